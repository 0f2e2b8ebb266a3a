//! Both ways of a record into columns are held against each other.

use std::sync::Arc;

use proptest::prelude::*;

use crate::read::{Block, Records, Segment};
use crate::shape::{Kinds, Plan};
use crate::shred::{ColumnData, Keep, Lengths, Shredded, Shredder, write_scalar};

use super::SpelledKey;

/// All that a block adds, with names instead of numbers: a bad record may have numbered its paths.
fn told(shredded: &Shredded, plan: &Plan) -> String {
    let name = |path| plan.registry.path(path).to_string();
    let mut lines = vec![format!(
        "{} {:?} {:?} {}",
        shredded.num_records, shredded.rejects, shredded.counts, shredded.num_without_key
    )];
    for seen in &shredded.paths {
        lines.push(format!("{} {:?} {}", name(seen.id), seen.kinds, seen.num_seen));
    }
    // Their order is that in which a thread met them, in good records and bad ones: nothing depends on it.
    let mut tables: Vec<_> = shredded.tables.iter().collect();
    tables.sort_by_key(|table| name(table.table));
    for table in tables {
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| format!("{} {}", name(column.path), data(&column.data)))
            .collect();
        columns.sort();
        lines.push(format!(
            "{} {} {:?} {:?} {:?} {:?} {columns:?}",
            name(table.table),
            table.num_rows,
            table.records,
            table.joins,
            table.positions,
            table.keys.row_ids,
        ));
    }
    lines.join("\n")
}

/// The values of a column, whatever form they are kept in: a record that was taken back may have left a wider
/// one.
fn data(data: &ColumnData) -> String {
    let lengths = |lengths: &Lengths| {
        let rows: Vec<u32> = lengths.validity.valid_rows().collect();
        format!("{rows:?} {:?}", lengths.values)
    };
    let scalars = match data {
        ColumnData::Scalars(scalars) => scalars,
        ColumnData::ArrayLengths(arrays) => return format!("arrays {}", lengths(arrays)),
        ColumnData::MapLengths(maps) => return format!("maps {}", lengths(maps)),
        ColumnData::Lists { .. } => return format!("{data:?}"),
    };
    let rows: Vec<u32> = scalars.validity.valid_rows().collect();
    let mut values = Vec::new();
    scalars.values.for_each(|value| {
        let mut text = Vec::new();
        write_scalar(value, &mut text);
        let is_text = [Kinds::STRING, Kinds::TIMESTAMP].contains(&value.kind());
        values.push((is_text, String::from_utf8_lossy(&text).into_owned()));
    });
    format!("{rows:?} {values:?}")
}

/// What comes of two blocks with the same lines, the second of which knows their shape, by each way.
fn both_ways(lines: &[u8], glue_keys: bool, max_depth: usize) -> [String; 2] {
    [false, true].map(|by_tape| {
        let plan = Plan { root_table: "t".to_owned(), max_depth, glue_keys, ..Plan::default() };
        let plan = Arc::new(plan);
        let mut shredder = Shredder::new(plan.clone());
        shredder.only_by_tape = by_tape;
        let segment = Segment {
            range: 0..lines.len(),
            offset: 0,
            line: 1,
            records: Records::Lines,
            rejected: Vec::new(),
        };
        let block =
            Block { bytes: lines.to_vec(), segments: vec![(0, segment)], ..Block::default() };
        let blocks = [(); 2].map(|()| told(&shredder.shred(&block, &[7], Keep::All), &plan));
        blocks.join("\n--\n")
    })
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|value| value.to_string()),
        (-20_i64..20).prop_map(|value| value.to_string()),
        any::<f64>().prop_filter_map("JSON has no such number", |value| {
            value.is_finite().then(|| value.to_string())
        }),
        "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "-?[0-9]{0,3}\\.?[eE]?[0-9]{0,3}",
        "\"[a-z0-9]{0,24}\"",
        "\"([a-zé漢]|\\\\n|\\\\\"|\\\\u00e9|\\\\ud800|\\\\ud83d\\\\ude00){0,6}\"",
        "\"2026-0[1-3]-[0-3][0-9]T00:00:00Z\"",
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        1 => "[a-c]{20,26}",
        1 => Just("a\\\"b".to_owned()),
        1 => Just("\\u0061".to_owned()),
        1 => Just("é漢".to_owned()),
        1 => Just(String::new()),
    ]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 1 => Just(" ".to_owned()), 1 => Just("\t \r".to_owned())]
}

fn value() -> impl Strategy<Value = String> {
    let spaced = |inner: String, space: String| format!("{space}{inner}{space}");
    scalar().prop_recursive(5, 40, 6, move |inner| {
        let member = (key(), inner.clone(), space())
            .prop_map(|(key, value, space)| format!("{space}\"{key}\"{space}:{space}{value}"));
        prop_oneof![
            prop::collection::vec(member, 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            (prop::collection::vec(inner, 0..5), space()).prop_map(
                move |(elements, space)| spaced(format!("[{}]", elements.join(",")), space)
            ),
        ]
    })
}

/// A line, sometimes with one byte that does not belong there.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let spoilt = prop::option::weighted(0.15, (any::<prop::sample::Index>(), any::<u8>()));
    (value(), spoilt).prop_map(|(text, spoilt)| {
        let mut line = text.into_bytes();
        if let Some((at, byte)) = spoilt
            && !line.is_empty()
        {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line
    })
}

proptest! {
    /// R4, R13, R15, R16: the way that a record takes does not show in what comes of it.
    #[test]
    fn r4_both_ways_put_the_same_into_columns(
        lines in prop::collection::vec(line(), 1..12),
        glue_keys in any::<bool>(),
        max_depth in prop_oneof![Just(512_usize), 1_usize..4],
    ) {
        let [directly, by_tape] = both_ways(&lines.join(&b'\n'), glue_keys, max_depth);
        prop_assert_eq!(directly, by_tape);
    }
}

#[test]
fn r4_both_ways_agree_on_what_is_unusual() {
    let lines = [
        r#"{"a":1,"b":"x","c":{"d":[1,2,{"e":null}]}}"#,
        r#"{"a":2,"b":"y","c":{"d":[]}}"#,
        r#"{"a":1,"a":2,"b":"the last wins"}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":-0,"b":12345678901234567890,"c":1e400}"#,
        r#"{"a":999999999999999999,"b":9999999999999999999}"#,
        r#"{"a" : 1 , "b":"q" }"#,
        r#"{"a":1}}"#,
        r#"{"a":1}{"a":2} {"a":3}"#,
        r#"{"a":1}{"a":2"#,
        r#"{"a":nul}"#,
        r#"{"a":tru"#,
        r#"{"a":[1,]}"#,
        r#"{"a":1,}"#,
        r#"{"aé":"\ud800"}"#,
        r#"[1]"#,
        r#""text""#,
    ];
    let [directly, by_tape] = both_ways(lines.join("\n").as_bytes(), true, 512);
    assert_eq!(directly, by_tape);
    // Good records did go somewhere.
    assert!(directly.contains("$.c.d[*].e"), "{directly}");
}

#[test]
fn a_key_is_known_as_it_is_spelled() {
    let text = br#""order_id":1, and a text behind it that is long enough"#;
    assert_eq!(SpelledKey::of(b"order_id").end_in(text, 1), Some(11));
    assert_eq!(SpelledKey::of(b"order_i").end_in(text, 1), None);
    assert_eq!(SpelledKey::of(b"order_idx").end_in(text, 1), None);
    // A key with a quote would be spelled with an escape.
    let trap = br#""a"b":1, and a text behind it that is long enough"#;
    assert_eq!(SpelledKey::of(b"a\"b").end_in(trap, 1), None);
    // The empty key is a key.
    let empty = br#""":1, and a text behind it that is long enough"#;
    assert_eq!(SpelledKey::of(b"").end_in(empty, 1), Some(3));
}
