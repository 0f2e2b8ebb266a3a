//! ```text
//! {id, name, list_0001?: [{position, label, score}], list_0002?: […], list_0003?: […],
//!  list_0004?: [12, 7], …}
//! ```
//! Every array is a child table; every fourth holds scalars. An array is present in one record of
//! three, and empty in a quarter of those.

use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

/// The names of the first `num_tables` arrays.
pub(crate) fn names(num_tables: u32) -> Vec<String> {
    (1..=num_tables).map(|number| format!("list_{number:04}")).collect()
}

/// Writes the record at `index`.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64, names: &[String]) {
    json.key("id").number(index.wrapping_add(1));
    json.key("name").text(random.pick(words::FIRST_NAMES));
    for (place, name) in names.iter().enumerate() {
        if !random.chance(33) {
            continue;
        }
        let of_scalars = place % 4 == 3;
        json.key(name).open_array();
        for position in 0..random.below(4) {
            let score = u64::from(random.below(100_000));
            if of_scalars {
                json.number(score);
                continue;
            }
            json.open_object();
            json.key("position").number(u64::from(position));
            json.key("label").text(random.pick(words::TAGS));
            json.key("score").hundredths(score);
            json.close_object();
        }
        json.close_array();
    }
}
