//! Round trips one by one: what each rule promises, and what was once lost.

use rstest::rstest;
use solder_engine::relation::Naming;

use super::{Way, round_trip};

fn way(naming: Naming) -> Way {
    Way { naming, num_threads: 2, block_bytes: 8 << 20, memory_bytes: 1 << 30, ..Way::default() }
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
