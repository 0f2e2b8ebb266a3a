//! M6: child rows are those of the newest record, all of them and no others.

use rstest::rstest;
use solder_lake::merge::Rule;

use super::lab::{LakeLab, table};

/// M6: whatever becomes of an array, nothing of its former elements stays, at any depth.
#[rstest]
#[case::grew("[{\"u\":[1,2]},{\"u\":[3]},{\"u\":[4]}]")]
#[case::shrank("[{\"u\":[1]}]")]
#[case::inner_shrank_to_nothing("[{\"u\":[]},{\"u\":[3]}]")]
#[case::shrank_to_nothing("[]")]
#[case::null("null")]
#[case::scalar("7")]
#[case::object("{\"w\":[5]}")]
#[case::other_elements("[\"x\",[6,7]]")]
fn m6_arrays_are_replaced(#[case] array: &str) {
    let other = "{\"id\":2,\"t\":[{\"u\":[8,9]},{\"u\":[]}]}".to_owned();
    let lab =
        LakeLab::of(&format!("{{\"id\":1,\"t\":[{{\"u\":[1,2]}},{{\"u\":[3]}}]}}\n{other}\n"));
    let record = format!("{{\"id\":1,\"t\":{array}}}");
    lab.take(&format!("{record}\n"), Rule::default());
    lab.is_like(&[record, other]);
}

/// M6: an array that is missing from the whole batch goes, too: its table has no staged rows then.
#[test]
fn m6_an_array_that_vanished() {
    let lab = LakeLab::of("{\"id\":1,\"t\":[1,2]}\n{\"id\":2,\"t\":[3]}\n");
    let report = lab.take("{\"id\":1,\"v\":true}\n", Rule::default());
    assert_eq!(table(&report, "orders__t").metrics.num_target_rows_deleted, 2);
    lab.is_like(&["{\"id\":1,\"v\":true}".to_owned(), "{\"id\":2,\"t\":[3]}".to_owned()]);
}

/// M6: a staging area that has never seen the array replaces records all the same, so the child rows that
/// only the lake has must go.
#[test]
fn m6_child_tables_that_only_the_lake_has() {
    let lab = LakeLab::of("{\"id\":1,\"t\":[1,2]}\n{\"id\":2,\"t\":[3]}\n");
    let other = LakeLab::new();
    other.stage("{\"id\":1,\"v\":5}\n");
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    lab.try_merge(Rule::default(), |settings| settings.staging = staging).unwrap();
    lab.is_like(&["{\"id\":1,\"v\":5}".to_owned(), "{\"id\":2,\"t\":[3]}".to_owned()]);
}

/// M6: a composite key leads to the rows of its own record alone.
#[test]
fn m6_composite_keys() {
    let with_key = |settings: &mut solder_relationalize::Settings| {
        settings.keys = crate::support::key("shop,id")
    };
    let lab = LakeLab::new();
    lab.stage_with(
        "{\"shop\":\"a\",\"id\":1,\"t\":[1]}\n{\"shop\":\"b\",\"id\":1,\"t\":[2]}\n{\"shop\":\"a\",\"id\":2,\"t\":[3]}\n",
        with_key,
    );
    lab.merge(Rule::default());
    lab.stage_with("{\"shop\":\"b\",\"id\":1,\"t\":[4,5]}\n", with_key);
    lab.merge(Rule::default());
    lab.shows(
        "orders__t",
        "| _root_shop | _root_id | value |\n| a | 1 | 1 |\n| a | 2 | 3 |\n| b | 1 | 4 |\n| b | 1 | 5 |",
    );
}

/// M6, M11: the same where rows are deleted by marking them, again and again in one file.
#[test]
fn m6_arrays_are_replaced_with_deletion_vectors() {
    let rule = || Rule { deletion_vectors: Some(true), ..Rule::default() };
    let record =
        |id: i32, value: i32| format!("{{\"id\":{id},\"v\":{value},\"t\":[{value},{id}]}}");
    let mut records: Vec<String> = (0..60).map(|id| record(id, 0)).collect();
    let lab = LakeLab::new();
    lab.take(&records.join("\n"), rule());
    let mut num_vectors = 0;
    for round in 1..4 {
        let id = round * 7;
        records[usize::try_from(id).unwrap()] = record(id, round);
        records[0] = record(0, round);
        let batch = format!("{}\n{}\n", record(id, round), record(0, round));
        let report = lab.take(&batch, rule());
        let tables = report.tables.iter();
        num_vectors += tables.map(|table| table.metrics.num_deletion_vectors).sum::<u64>();
        lab.is_like(&records);
    }
    assert!(num_vectors >= 6, "{num_vectors}");
}
