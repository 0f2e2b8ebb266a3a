//! Expectations as SQL that gives the rows that fail, and in words.

use solder_relationalize::readable::{count, thousands};

use crate::merge::quoted;

use super::{Expectation, Kind};

impl Kind {
    /// As it is called in a job file.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::NotNull(_) => "not_null",
            Kind::Unique(_) => "unique",
            Kind::Accepted(..) => "accepted_values",
            Kind::Range(..) => "range",
            Kind::Matches(..) => "matches",
            Kind::RowCount(..) => "row_count",
            Kind::Fresh(..) => "fresh",
            Kind::References(..) => "references",
            Kind::None(_) => "no_rows",
        }
    }
}

impl Expectation {
    /// The rows that fail, or the values that do.
    pub fn statement(&self) -> String {
        let table = quoted(&self.table);
        let rows = |condition: String| format!("SELECT * FROM {table} WHERE {condition}");
        let each = |columns: &[String], what: &str, word: &str| {
            let each = columns.iter().map(|column| format!("{}{what}", quoted(column)));
            each.collect::<Vec<_>>().join(word)
        };
        match &self.kind {
            Kind::NotNull(columns) => rows(each(columns, " IS NULL", " OR ")),
            Kind::Unique(columns) => {
                let (key, is_there) =
                    (each(columns, "", ", "), each(columns, " IS NOT NULL", " AND "));
                format!(
                    "SELECT {key}, count(*) AS num_rows FROM {table} WHERE {is_there} GROUP BY {key} HAVING count(*) > 1"
                )
            }
            Kind::Accepted(column, values) => {
                rows(format!("{} NOT IN ({})", quoted(column), values.join(", ")))
            }
            Kind::Range(column, min, max) => {
                let column = quoted(column);
                let below = min.iter().map(|min| format!("{column} < {min}"));
                let above = max.iter().map(|max| format!("{column} > {max}"));
                rows(below.chain(above).collect::<Vec<_>>().join(" OR "))
            }
            Kind::Matches(column, pattern) => rows(format!(
                "NOT regexp_like(CAST({} AS VARCHAR), {})",
                quoted(column),
                text(pattern)
            )),
            Kind::RowCount(min, max) => {
                let below = min.iter().map(|min| format!("count(*) < {min}"));
                let above = max.iter().map(|max| format!("count(*) > {max}"));
                let wrong = below.chain(above).collect::<Vec<_>>().join(" OR ");
                format!("SELECT count(*) AS num_rows FROM {table} HAVING {wrong}")
            }
            Kind::Fresh(column, seconds) => {
                let newest = format!("max(to_timestamp({}))", quoted(column));
                format!(
                    "SELECT {newest} AS newest FROM {table} HAVING {newest} IS NULL OR {newest} < CAST(now() AS TIMESTAMP) - INTERVAL '{seconds} seconds'"
                )
            }
            Kind::References(column, other, to) => {
                let (column, other, to) = (quoted(column), quoted(other), quoted(to));
                rows(format!(
                    "{column} IS NOT NULL AND {column} NOT IN (SELECT {to} FROM {other} WHERE {to} IS NOT NULL)"
                ))
            }
            Kind::None(statement) => statement.clone(),
        }
    }

    /// What does not hold, in words without any value of a row.
    pub(super) fn text(&self, num_failing: usize) -> String {
        let rows = count(num_failing as u64, "row");
        let list = |columns: &[String]| {
            columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
        };
        match &self.kind {
            Kind::NotNull(columns) => {
                format!("{} is null in {rows}", list(columns).replace(", ", " or "))
            }
            Kind::Unique(columns) => {
                let values = count(num_failing as u64, "value");
                format!("{values} of {} in more than one row", list(columns))
            }
            Kind::Accepted(column, _) => {
                format!("`{column}` has none of the accepted values in {rows}")
            }
            Kind::Range(column, min, max) => {
                let bounds = match (min, max) {
                    (Some(min), Some(max)) => format!("between {min} and {max}"),
                    (Some(min), None) => format!("{min} or more"),
                    (None, max) => format!("{} or less", max.as_deref().unwrap_or_default()),
                };
                format!("`{column}` is not {bounds} in {rows}")
            }
            Kind::Matches(column, pattern) => {
                format!("`{column}` does not match `{pattern}` in {rows}")
            }
            Kind::RowCount(min, max) => match (min, max) {
                (Some(min), Some(max)) => format!(
                    "the number of rows is not between {} and {}",
                    thousands(*min),
                    thousands(*max)
                ),
                (Some(min), None) => format!("there are fewer than {} rows", thousands(*min)),
                (None, max) => {
                    format!("there are more than {} rows", thousands(max.unwrap_or_default()))
                }
            },
            Kind::Fresh(column, seconds) => {
                format!(
                    "the newest `{column}` is more than {} old, or there is none",
                    age(*seconds)
                )
            }
            Kind::References(column, other, to) => {
                format!("`{column}` is not in `{other}.{to}` for {rows}")
            }
            Kind::None(_) => format!("the statement at {} gives {rows}", self.at),
        }
    }
}

/// A text in SQL.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn age(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let fits = |(length, _): &&(u64, &str)| seconds.is_multiple_of(*length) && seconds >= *length;
    let unit = units.iter().find(fits);
    unit.map_or_else(
        || format!("{seconds} s"),
        |(length, unit)| format!("{} {unit}", seconds / length),
    )
}
