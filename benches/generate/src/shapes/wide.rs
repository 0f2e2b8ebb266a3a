//! ```text
//! {id, count_0001?, amount_0002?, label_0003?, flag_0004?, at_0005?, day_0006?, count_0007?, …}
//! ```
//! Every column is optional; how often it is present depends on its number alone, from nearly
//! always to rarely, and one in thirty values present is null.

use super::{EPOCH_DAY, EPOCH_MS};
use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

/// How often columns are present, in percent, in turn.
const PRESENCE_PERCENT: [u32; 7] = [95, 80, 50, 30, 10, 60, 2];

/// One optional column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    name: String,
    kind: Kind,
    presence_percent: u32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Count,
    Amount,
    Label,
    Flag,
    At,
    Day,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Count, "count"),
    (Kind::Amount, "amount"),
    (Kind::Label, "label"),
    (Kind::Flag, "flag"),
    (Kind::At, "at"),
    (Kind::Day, "day"),
];

/// The first `num_columns` columns, the same for every seed.
pub(crate) fn columns(num_columns: u32) -> Vec<Column> {
    KINDS
        .iter()
        .cycle()
        .zip(PRESENCE_PERCENT.iter().cycle())
        .zip(1..=num_columns)
        .map(|((&(kind, prefix), &presence_percent), number)| Column {
            name: format!("{prefix}_{number:04}"),
            kind,
            presence_percent,
        })
        .collect()
}

/// Writes the record at `index`.
pub(crate) fn write(
    json: &mut JsonWriter<'_>,
    random: &mut Random,
    index: u64,
    columns: &[Column],
) {
    json.key("id").number(index.wrapping_add(1));
    for column in columns {
        if random.chance(column.presence_percent) {
            json.key(&column.name);
            write_value(json, random, column.kind);
        }
    }
}

fn write_value(json: &mut JsonWriter<'_>, random: &mut Random, kind: Kind) {
    if random.below(30) == 0 {
        return json.raw("null");
    }
    let number = u64::from(random.below(1_000_000));
    match kind {
        Kind::Count => json.number(number),
        Kind::Amount => json.hundredths(number),
        Kind::Label => json.text(random.pick(words::PRODUCTS)),
        Kind::Flag => json.boolean(number % 2 == 0),
        Kind::At => json.timestamp(EPOCH_MS + number * 60_000),
        Kind::Day => json.date(EPOCH_DAY + number % 1000),
    }
}
