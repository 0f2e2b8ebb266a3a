//! What the log says of the values in a file: written from Parquet's own statistics, read to leave files
//! out of a merge (M9).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parquet::basic::{LogicalType, TimeUnit, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics as ColumnStatistics;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

/// Columns that get statistics: Delta's own default. The key of a root table stands among the first.
const NUM_INDEXED_COLUMNS: usize = 32;

/// What the log says of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Rows, deleted ones included.
    pub num_records: u64,
    /// Smallest and largest value of columns that have them.
    pub ranges: BTreeMap<String, Range>,
}

/// Bounds of the values of a column: no value lies outside, though none may lie on them.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Of integers.
    Int(i64, i64),
    /// Of texts, in the order of their bytes.
    Text(String, String),
}

impl Statistics {
    /// Reads the `stats` of an add action; `None` when it does not even count rows.
    pub fn parse(text: &str) -> Option<Statistics> {
        let value: Value = serde_json::from_str(text).ok()?;
        let num_records = value.get("numRecords")?.as_u64()?;
        let (low, high) = (value.get("minValues"), value.get("maxValues"));
        let mut ranges = BTreeMap::new();
        if let (Some(Value::Object(low)), Some(Value::Object(high))) = (low, high) {
            for (name, low) in low {
                if let Some(range) = high.get(name).and_then(|high| Range::of(low, high)) {
                    ranges.insert(name.clone(), range);
                }
            }
        }
        Some(Statistics { num_records, ranges })
    }
}

impl Range {
    fn of(low: &Value, high: &Value) -> Option<Range> {
        match (low, high) {
            (Value::Number(low), Value::Number(high)) => {
                Some(Range::Int(low.as_i64()?, high.as_i64()?))
            }
            (Value::String(low), Value::String(high)) => {
                Some(Range::Text(low.clone(), high.clone()))
            }
            _ => None,
        }
    }

    /// The bounds that a Parquet row group states of a column of integers or texts.
    pub fn of_column(statistics: Option<&ColumnStatistics>) -> Option<Range> {
        match statistics? {
            ColumnStatistics::Int32(values) => {
                Some(Range::Int(i64::from(*values.min_opt()?), i64::from(*values.max_opt()?)))
            }
            ColumnStatistics::Int64(values) => {
                Some(Range::Int(*values.min_opt()?, *values.max_opt()?))
            }
            ColumnStatistics::ByteArray(values) => Some(Range::Text(
                values.min_opt()?.as_utf8().ok()?.to_owned(),
                values.max_opt()?.as_utf8().ok()?.to_owned(),
            )),
            _ => None,
        }
    }
}

/// The `stats` of an add action for a file, from its footer.
pub(crate) fn describe(metadata: &ParquetMetaData) -> String {
    let columns = metadata.file_metadata().schema_descr();
    let (mut low, mut high, mut nulls) = (String::new(), String::new(), String::new());
    for (position, column) in columns.columns().iter().enumerate().take(NUM_INDEXED_COLUMNS) {
        if column.path().parts().len() != 1 {
            continue;
        }
        let name = Value::from(column.name());
        let groups =
            || metadata.row_groups().iter().map(|group| group.column(position).statistics());
        let null_count: Option<u64> =
            groups().map(|group| group.and_then(ColumnStatistics::null_count_opt)).sum();
        if let Some(null_count) = null_count {
            entry(&mut nulls, &name, &null_count.to_string());
        }
        if let Some((least, greatest)) = bounds(column, groups) {
            entry(&mut low, &name, &least);
            entry(&mut high, &name, &greatest);
        }
    }
    let num_records = metadata.file_metadata().num_rows();
    format!(
        r#"{{"numRecords":{num_records},"minValues":{{{low}}},"maxValues":{{{high}}},"nullCount":{{{nulls}}}}}"#
    )
}

fn entry(object: &mut String, name: &Value, value: &str) {
    let separator = if object.is_empty() { "" } else { "," };
    let _ = write!(object, "{separator}{name}:{value}");
}

/// The bounds of a column over all row groups as JSON; `None` when a group with values states none.
fn bounds<'m, I>(column: &ColumnDescriptor, groups: impl Fn() -> I) -> Option<(String, String)>
where
    I: Iterator<Item = Option<&'m ColumnStatistics>>,
{
    let fold = |pick: fn(Bound<'m>, Bound<'m>) -> Bound<'m>,
                bound: fn(&'m ColumnStatistics) -> Option<Bound<'m>>| {
        let mut found: Option<Bound<'m>> = None;
        for group in groups() {
            let group = group?;
            let Some(value) = bound(group) else {
                // A group of nulls has no bounds; the count of its values is not in its statistics.
                return None;
            };
            found = Some(found.map_or(value, |found| pick(found, value)));
        }
        found
    };
    let least = fold(Bound::least, |group| Bound::of(group, false))?;
    let greatest = fold(Bound::greatest, |group| Bound::of(group, true))?;
    Some((least.json(column, false)?, greatest.json(column, true)?))
}

/// One bound, in the order of its physical type.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Bound<'m> {
    Int(i64),
    Float(f64),
    Text(&'m str),
}

impl<'m> Bound<'m> {
    fn of(statistics: &'m ColumnStatistics, greatest: bool) -> Option<Bound<'m>> {
        match statistics {
            ColumnStatistics::Int32(values) => {
                let value = if greatest { values.max_opt() } else { values.min_opt() };
                Some(Bound::Int(i64::from(*value?)))
            }
            ColumnStatistics::Int64(values) => {
                let value = if greatest { values.max_opt() } else { values.min_opt() };
                Some(Bound::Int(*value?))
            }
            ColumnStatistics::Double(values) => {
                let value = if greatest { values.max_opt() } else { values.min_opt() };
                value.copied().filter(|value| value.is_finite()).map(Bound::Float)
            }
            ColumnStatistics::ByteArray(values) => {
                let value = if greatest { values.max_opt() } else { values.min_opt() };
                Some(Bound::Text(value?.as_utf8().ok()?))
            }
            _ => None,
        }
    }

    fn least(self, other: Bound<'m>) -> Bound<'m> {
        if other < self { other } else { self }
    }

    fn greatest(self, other: Bound<'m>) -> Bound<'m> {
        if other > self { other } else { self }
    }

    /// The bound as the log spells it; instants in milliseconds, rounded away from the values.
    fn json(self, column: &ColumnDescriptor, greatest: bool) -> Option<String> {
        let logical = column.logical_type_ref();
        match (self, logical) {
            (Bound::Int(days), Some(LogicalType::Date)) => {
                let date = jiff::civil::date(1970, 1, 1)
                    .checked_add(jiff::Span::new().try_days(days).ok()?)
                    .ok()?;
                Some(Value::from(date.to_string()).to_string())
            }
            (Bound::Int(micros), Some(LogicalType::Timestamp(timestamp))) => {
                if timestamp.unit != TimeUnit::MICROS {
                    return None;
                }
                let millis =
                    micros.div_euclid(1_000) + i64::from(greatest && micros.rem_euclid(1_000) != 0);
                let instant = jiff::Timestamp::from_millisecond(millis).ok()?;
                Some(
                    Value::from(instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()).to_string(),
                )
            }
            (Bound::Int(value), None | Some(LogicalType::Integer(_))) => Some(value.to_string()),
            (Bound::Float(value), _) => Some(Value::from(value).to_string()),
            (Bound::Text(value), Some(LogicalType::String)) => Some(Value::from(value).to_string()),
            _ => None,
        }
        .filter(|_| column.physical_type() != PhysicalType::INT96)
    }
}
