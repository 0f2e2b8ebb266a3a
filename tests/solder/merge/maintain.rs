//! The tables of a lake kept in order (M12): an earlier state again, small files folded, checks that find
//! what is wrong.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use solder_lake::Lake;
use solder_lake::maintain::{RestoreTo, check, optimize, restore, vacuum};
use solder_lake::merge::Rule;

use super::lab::LakeLab;

fn wait<T>(future: impl Future<Output = Result<T, solder_lake::Error>>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future).unwrap()
}

fn findings(lake: &Lake) -> Vec<String> {
    let report = wait(check(lake, &[], 64 << 20, 2));
    report
        .findings
        .into_iter()
        .map(|finding| format!("{}: {}", finding.table, finding.check))
        .collect()
}

/// M12: a root takes its children along, and a child table that was not there then has no rows.
#[test]
fn m12_restore_takes_children_along() {
    let lab = LakeLab::of("{\"id\":1,\"v\":1,\"t\":[1,2]}\n");
    lab.take(
        "{\"id\":1,\"v\":2,\"t\":[3],\"u\":[7]}\n{\"id\":2,\"v\":2,\"u\":[8,9]}\n",
        Rule::default(),
    );
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    assert!(findings(&lake).is_empty());
    // Version 0 begins the first merge, 1 ends it.
    wait(restore(&lake, "orders", RestoreTo::Version(1)));
    assert!(findings(&lake).is_empty());
    lab.shows("orders", "| id | t__len | v |\n| 1 | 2 | 1 |");
    lab.shows("orders__t", "| _index_1 | _root_id | value |\n| 0 | 1 | 1 |\n| 1 | 1 | 2 |");
    assert!(lab.rows("orders__u").is_empty());
}

/// M12: many small files become one, and marked rows go, with no row changed.
#[test]
fn m12_optimize_changes_no_row() {
    let rule = || Rule { deletion_vectors: Some(true), ..Rule::default() };
    let lab = LakeLab::new();
    for number in 0..6 {
        let line = |id: u32| format!("{{\"id\":{id},\"v\":{number},\"t\":[{number}]}}\n");
        let lines: String = (number..number + 8).map(line).collect();
        lab.take(&lines, rule());
    }
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    let rows = lab.rows("orders");
    let reports = wait(optimize(&lake, &[], &[], 2));
    assert!(reports.iter().all(|report| report.files_after == 1), "{reports:?}");
    assert_eq!(lab.rows("orders"), rows);
    assert!(findings(&lake).is_empty());
    assert!(wait(vacuum(&lake, &[], 24, true)).iter().all(|report| report.files.is_empty()));
}

/// M12: rows are put along a curve over columns, and none changes.
#[test]
fn m12_zorder_changes_no_row() {
    let lab = LakeLab::new();
    for number in 0..3 {
        let line = |id: u32| format!("{{\"id\":{id},\"v\":{},\"t\":[{number}]}}\n", id % 5);
        let lines: String = (number * 8..number * 8 + 8).map(line).collect();
        lab.take(&lines, Rule::default());
    }
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    let rows = lab.rows("orders");
    let columns = ["v".to_owned(), "id".to_owned()];
    let reports = wait(optimize(&lake, &["orders".to_owned()], &columns, 2));
    assert_eq!((reports[0].files_before, reports[0].files_after), (3, 1), "{reports:?}");
    assert_eq!(lab.rows("orders"), rows);
    // By `id` alone, which they came in, is another order.
    let ids = lab.read("orders")["id"].as_primitive::<Int64Type>().values().to_vec();
    assert!(!ids.is_sorted(), "{ids:?}");
    assert!(findings(&lake).is_empty());
    // A later merge finds its rows there.
    lab.take("{\"id\":3,\"v\":9,\"t\":[]}\n", Rule::default());
    assert_eq!(lab.rows("orders").len(), 24);
    assert!(findings(&lake).is_empty());
}

/// M12: a child table whose rows went away by themselves is found by length and, the root being gone, by
/// reference.
#[test]
fn m12_check_finds_what_does_not_fit() {
    let lab = LakeLab::of("{\"id\":1,\"t\":[1,2]}\n{\"id\":2,\"t\":[3]}\n");
    lab.take("{\"id\":1,\"t\":[]}\n", Rule::default());
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    assert!(findings(&lake).is_empty());
    wait(restore(&lake, "orders__t", RestoreTo::Version(0)));
    assert_eq!(findings(&lake), ["orders: length"]);
}
