//! Round trips one by one: what each rule promises, and what was once lost.

use std::fs;

use rstest::rstest;
use solder_relationalize::relation::Naming;
use solder_relationalize::{Error, relationalize};

use super::json::Json;
use super::{Way, crew, folder, nested, round_trip};

fn way(naming: Naming) -> Way {
    Way {
        naming,
        map_keys: 512,
        num_threads: 2,
        block_bytes: 8 << 20,
        memory_bytes: 1 << 30,
        ..Way::default()
    }
}

/// R18: what comes back, and what is left out.
#[rstest]
#[case(r#"{"a":1,"b":{"c":"x","d":null}}"#, r#"{"a":1,"b":{"c":"x"}}"#)]
#[case(r#"{"a":{},"b":null}"#, "{}")]
#[case(r#"{"a":[null,1,[],[[2]],{"b":[]},{}]}"#, r#"{"a":[null,1,[],[[2]],{"b":[]},null]}"#)]
#[case(r#"{"a":[]}"#, r#"{"a":[]}"#)]
#[case(r#"{"a":[1,"1",true,1.5]}"#, r#"{"a":[1,"1",true,1.5]}"#)]
#[case(r#"{"a":1e400,"b":12345678901234567890}"#, r#"{"a":1e400,"b":12345678901234567890}"#)]
#[case(
    r#"{"":{"":0},"a.b":1,"a":{"b":2},"_seq":3}"#,
    r#"{"":{"":0},"a.b":1,"a":{"b":2},"_seq":3}"#
)]
fn r18_records_come_back(
    #[values(Naming::Sql, Naming::Glue)] naming: Naming,
    #[case] record: &str,
    #[case] expected: &str,
) {
    let (_, found) = round_trip(&way(naming), &[&[record]]);
    assert_eq!(found, [expected]);
}

/// R4, R12: a column of texts keeps how they are spelled, also when its first rows were written while
/// they all were timestamps.
#[test]
fn r12_texts_among_timestamps_keep_their_spelling() {
    let way = Way { timestamps: true, block_bytes: 1, memory_bytes: 4, ..way(Naming::Sql) };
    let lines = [
        r#"{"a":"2024-01-02T03:04:05.000+01:00","b":["2024-01-02T03:04:05.000Z"]}"#,
        r#"{"b":[true]}"#,
        r#"{"a":"x"}"#,
    ];
    let (_, found) = round_trip(&way, &[&lines]);
    assert_eq!(found, lines);
}

/// R11, R14: a run that appends cannot keep values another way than the rows that are there, or those
/// would lose their columns.
#[rstest]
#[case(None, Some("drop"), r#"{"a":1}"#)]
#[case(None, Some("list"), r#"{"a":[1]}"#)]
#[case(None, Some("json"), r#"{"a":"x"}"#)]
#[case(None, Some("make_cols"), r#"{"a":1}"#)]
#[case(None, Some("cast:string"), r#"{"a":1}"#)]
#[case(Some("list"), Some("json"), r#"{"a":[1]}"#)]
fn r11_rules_do_not_change_under_rows_that_stay(
    #[case] before: Option<&'static str>,
    #[case] after: Option<&'static str>,
    #[case] record: &str,
) {
    let resolve = |action: Option<&'static str>| {
        let rules = action.map(|action| ("$.a", action)).into_iter().collect();
        Way { rules, ..way(Naming::Sql) }
    };
    let folder = folder();
    resolve(before).relationalize(folder.path(), &[vec![format!("{record}\n")]]).unwrap();
    fs::write(folder.path().join("raw/1.ndjson"), "{\"a\":null}\n").unwrap();
    let again = relationalize(&resolve(after).settings(folder.path(), 1), crew(1));
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    // Without a rule, the one that the rows were written with goes on.
    relationalize(&resolve(None).settings(folder.path(), 1), crew(1)).unwrap();
    let found: Vec<String> = nested(folder.path()).iter().map(Json::to_string).collect();
    assert_eq!(found, [record, "{}"]);
}

/// R4, R10, R15: what a record showed before it was walked again, or set aside, does not count when
/// maps are looked for.
#[rstest]
#[case(r#"{"m":{"a":1},"m":2}"#)]
#[case(r#"{"m":{"a":1},"x":tru}"#)]
#[case(r#"{"m":{"a":1},"c":"no number"}"#)]
fn r10_records_taken_back_do_not_count(#[case] taken_back: &str) {
    for block_bytes in [1, 8 << 20] {
        let rules = vec![("$.c", "cast:long")];
        let way = Way { map_keys: 1, block_bytes, rules, ..way(Naming::Sql) };
        let lines = [r#"{"y":0}"#, taken_back, r#"{"m":{"a":1,"b":2}}"#];
        let (folder, _) = round_trip(&way, &[&lines]);
        assert!(folder.path().join("curated/t__m").is_dir(), "blocks of {block_bytes}");
    }
}

/// R11, R14: lists that were empty, or held nulls alone, take whatever elements come later, in the
/// same run or in another.
#[rstest]
#[case("[1]")]
#[case("[true]")]
#[case("[0.5]")]
#[case("[\"x\"]")]
fn r14_empty_lists_take_any_element(#[case] later: &str) {
    let way =
        Way { rules: vec![("$.b", "list")], block_bytes: 1, memory_bytes: 4, ..way(Naming::Sql) };
    let before = [r#"{"b":[]}"#, r#"{"b":[null]}"#];
    let after = format!(r#"{{"b":{later}}}"#);
    let all = [before[0], before[1], &after];
    assert_eq!(round_trip(&way, &[&all]).1, all);
    assert_eq!(round_trip(&way, &[&before, &[&after]]).1, all);
}
