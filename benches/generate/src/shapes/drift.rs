//! Types that meet (R13), one path per way of meeting, and fields that appear late:
//!
//! | path | what meets there |
//! |---|---|
//! | `amount` | int, float: all exact |
//! | `quantity` | int, float, rarely an int beyond 2^53 |
//! | `sequence` | int64, rarely an int beyond int64 |
//! | `ratio` | float, rarely more digits than float64 holds, very rarely 1e400 |
//! | `code` | int, string of the same digits |
//! | `flag` | bool, number, string, null |
//! | `contact` | string, object, array |
//! | `readings` | array of int, float, string, null |
//! | `parts` | array of objects and scalars |
//! | `owner` | null, from record 100 on an object |
//! | `late_100`, `late_10000`, `late_1000000` | absent before that record |

use super::moment_ms;
use crate::json::JsonWriter;
use crate::random::Random;
use crate::words;

/// Writes the record at `index`.
pub(crate) fn write(json: &mut JsonWriter<'_>, random: &mut Random, index: u64) {
    json.key("id").number(index.wrapping_add(1));
    json.key("updated_at").timestamp(moment_ms(index, 1000));
    write_numbers(json, random);
    let code = u64::from(random.below(10_000));
    match random.below(20) {
        0 => json.key("code").open_text().padded(code, 1).close_text(),
        _ => json.key("code").number(code),
    }
    match random.below(4) {
        0 => json.key("flag").boolean(random.chance(50)),
        1 => json.key("flag").number(u64::from(random.below(2))),
        2 => json.key("flag").text(random.pick(&["true", "yes", "1", "null", ""])),
        _ => json.key("flag").raw("null"),
    }
    write_contact(json, random);
    write_arrays(json, random);
    write_late_fields(json, random, index);
}

fn write_numbers(json: &mut JsonWriter<'_>, random: &mut Random) {
    let number = u64::from(random.below(1_000_000));
    match random.below(3) {
        0 => json.key("amount").hundredths(number),
        _ => json.key("amount").number(number),
    }
    match random.below(1000) {
        0 => json.key("quantity").number((1 << 53) + 1 + number),
        1..100 => json.key("quantity").hundredths(number),
        _ => json.key("quantity").number(number),
    }
    match random.below(500) {
        0 => json.key("sequence").number(u64::MAX - number),
        _ => json.key("sequence").number(number << 32),
    }
    match random.below(10_000) {
        0 => json.key("ratio").raw("1e400"),
        1..100 => json.key("ratio").raw("0.1234567890123456789012345"),
        _ => json.key("ratio").millionths(number as i64 - 500_000),
    }
}

fn write_contact(json: &mut JsonWriter<'_>, random: &mut Random) {
    let name = random.pick(words::FIRST_NAMES);
    json.key("contact");
    match random.below(10) {
        0..6 => json.text(name),
        6..9 => {
            json.open_object();
            json.key("name").text(name);
            json.key("city").text(random.pick(words::CITIES));
            json.close_object();
        }
        _ => {
            json.open_array();
            json.text(name);
            json.text(random.pick(words::LAST_NAMES));
            json.close_array();
        }
    }
}

fn write_arrays(json: &mut JsonWriter<'_>, random: &mut Random) {
    json.key("readings").open_array();
    for _ in 0..random.below(5) {
        let number = u64::from(random.below(10_000));
        match random.below(12) {
            0 => json.text("n/a"),
            1 => json.raw("null"),
            2..6 => json.hundredths(number),
            _ => json.number(number),
        }
    }
    json.close_array();
    json.key("parts").open_array();
    for _ in 0..random.below(3) {
        if random.chance(80) {
            json.open_object();
            json.key("name").text(random.pick(words::PRODUCTS));
            json.key("count").number(u64::from(random.below(9)));
            json.close_object();
        } else {
            json.text(random.pick(words::PRODUCTS));
        }
    }
    json.close_array();
}

fn write_late_fields(json: &mut JsonWriter<'_>, random: &mut Random, index: u64) {
    if index < 100 || random.chance(50) {
        json.key("owner").raw("null");
    } else {
        json.key("owner").open_object();
        json.key("name").text(random.pick(words::FIRST_NAMES));
        json.key("team").text(random.pick(words::TAGS));
        json.close_object();
    }
    if index >= 100 {
        json.key("late_100").number(u64::from(random.below(100)));
    }
    if index >= 10_000 && random.chance(50) {
        json.key("late_10000").text(random.pick(words::TAGS));
    }
    if index >= 1_000_000 && random.chance(10) {
        json.key("late_1000000").open_array();
        json.number(u64::from(random.below(100)));
        json.close_array();
    }
}
