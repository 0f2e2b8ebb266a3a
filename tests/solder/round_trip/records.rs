//! Records in which everything that can meet, meets.

use std::fmt;

use proptest::prelude::*;

use super::json::Json;

/// Keys that are often taken, so that paths have values of several kinds,
const COMMON: [&str; 5] = ["a", "b", "A", "c", "a b"];
/// and those that mean something to somebody.
const ODD: [&str; 34] = [
    "",
    "a.b",
    "a-b",
    "a_b",
    "aB",
    "a__b",
    "a__len",
    "len",
    "value",
    "value__type",
    "_seq",
    "_row_id",
    "_root_row_id",
    "_root_key",
    "_index_1",
    "_key_1",
    "_a__type",
    "id",
    "index",
    "val",
    "a.val",
    "a.val.b",
    "a.type",
    "type",
    "key_",
    "é",
    "日本",
    "😀",
    "'",
    "\"",
    "\\",
    "*",
    "[*]",
    "\u{1}\n",
];

/// Paths for `--map`.
pub(super) const MAP_PATHS: [&str; 6] = ["$.a", "$.b", "$.a.b", "$.a[*]", "$.b[*].a", "$.a.*"];
/// Paths for `--resolve`.
pub(super) const RULE_PATHS: [&str; 5] = ["$.a", "$.b", "$.a[*]", "$.a.b", "$.b[*].a"];

fn any_number() -> impl Strategy<Value = String> {
    let edges = [
        "0",
        "1",
        "-1",
        "10",
        "-0",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999999999999999",
        "-99999999999999999999999999999999999999",
        "100000000000000000000000000000000000000",
        "0.5",
        "1.0",
        "-0.0",
        "1e3",
        "1E-7",
        "2.50e+1",
        "1e22",
        "1e23",
        "123456789012345.6",
        "5e-324",
        "1.7976931348623157e308",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999",
        "0.1000",
        "9007199254740993.0",
        "0.12345678901234567890123456789",
    ];
    prop_oneof![
        4 => prop::sample::select(vec!["0", "1", "2", "-7"]).prop_map(str::to_owned),
        4 => prop::sample::select(edges.to_vec()).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|value| value.to_string()),
        1 => prop::num::f64::NORMAL.prop_map(|value| format!("{value:?}")),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    let texts = [
        "",
        "1",
        "true",
        "null",
        "0.5",
        "x",
        "\"",
        "\\",
        "\n\r\t\u{8}\u{c}\u{1}\u{7f}",
        "é😀",
        "2024-01-02",
        "{}",
        "[]",
        "9007199254740993",
    ];
    let timestamps = [
        "2024-01-02T03:04:05Z",
        "2024-01-02T03:04:05.000Z",
        "2024-01-02T03:04:05+01:00",
        "1969-12-31T23:59:59.999999Z",
        "2024-01-02T03:04:05.1234567Z",
    ];
    prop_oneof![
        4 => prop::sample::select(texts.to_vec()).prop_map(str::to_owned),
        4 => prop::sample::select(timestamps.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (1..2_000_usize).prop_map(|length| "long ".repeat(length)),
    ]
}

fn any_scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        2 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Boolean),
        3 => any_number().prop_map(Json::Number),
        3 => any_text().prop_map(Json::String),
    ]
}

fn any_object(
    keys: Vec<&'static str>,
    value: impl Strategy<Value = Json>,
) -> impl Strategy<Value = Json> {
    let member = (prop::sample::select(keys), value);
    // A key may stand twice, now and then.
    let members = prop::collection::vec(member, 0..5);
    (members, prop::bool::weighted(0.05)).prop_map(|(members, twice)| {
        let mut kept: Vec<(String, Json)> = Vec::new();
        for (key, value) in members {
            if twice || kept.iter().all(|(known, _)| known != key) {
                kept.push((key.to_owned(), value));
            }
        }
        Json::Object(kept)
    })
}

fn any_record(keys: Vec<&'static str>) -> impl Strategy<Value = Json> {
    let inner = keys.clone();
    let value = any_scalar().prop_recursive(5, 24, 4, move |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(Json::Array),
            any_object(inner.clone(), value),
        ]
    });
    any_object(keys, value)
}

/// The few keys that the records of a case share.
fn any_keys() -> impl Strategy<Value = Vec<&'static str>> {
    let common = prop::sample::subsequence(COMMON.to_vec(), 2..=4);
    let odd = prop::sample::subsequence(ODD.to_vec(), 0..=3);
    (common, odd).prop_map(|(common, odd)| [common, odd].concat())
}

/// Records that are all good.
pub(super) fn any_records() -> impl Strategy<Value = Vec<Json>> {
    any_keys().prop_flat_map(|keys| prop::collection::vec(any_record(keys), 1..12))
}

/// A line of the input.
#[derive(Clone, Debug)]
pub(super) enum Line {
    Record(Json),
    /// For quarantine.
    Bad(&'static str),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Record(record) => record.fmt(f),
            Line::Bad(text) => f.write_str(text),
        }
    }
}

impl Line {
    pub(super) fn with_key(self, key: usize) -> Line {
        match self {
            Line::Record(record) => Line::Record(record.with_key(key)),
            bad => bad,
        }
    }

    pub(super) fn shuffled(&self, seed: u64) -> Line {
        match self {
            Line::Record(record) => Line::Record(record.shuffled(seed)),
            bad => bad.clone(),
        }
    }
}

/// Lines, some of them bad. The first is a record: by it the framing is recognised.
pub(super) fn any_input() -> impl Strategy<Value = Vec<Line>> {
    let bad = prop::sample::select(vec![
        r#"{"key":0,"a":"#,
        r#"{"key":0,"a":[1,{"b":tru}]}"#,
        r#"{"a":1}{"b":"#,
        "7",
    ]);
    any_keys().prop_flat_map(move |keys| {
        let record = any_record(keys.clone()).prop_map(Line::Record);
        let line = prop_oneof![
            9 => any_record(keys).prop_map(Line::Record),
            1 => bad.clone().prop_map(Line::Bad),
        ];
        (record, prop::collection::vec(line, 0..12)).prop_map(|(first, mut lines)| {
            lines.insert(0, first);
            lines
        })
    })
}
