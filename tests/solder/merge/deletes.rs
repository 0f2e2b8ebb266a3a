//! M5: deletions, with all that hangs below a record, or as a mark.

use rstest::rstest;
use solder_lake::merge::Rule;

use super::lab::{LakeLab, deleting, ordered, table};

const TWO: &str =
    "{\"id\":1,\"v\":\"a\",\"t\":[{\"u\":[1,2]}]}\n{\"id\":2,\"v\":\"b\",\"t\":[{\"u\":[3]}]}\n";

fn marking() -> Rule {
    Rule { soft_delete: Some("is_gone".to_owned()), ..deleting() }
}

/// M5: a deleted record goes with all its child rows, whatever arrays the deletion itself has.
#[rstest]
#[case::without_arrays("")]
#[case::with_arrays(",\"t\":[{\"u\":[9]},{\"u\":[8]}]")]
fn m5_a_deletion_takes_the_child_rows(#[case] arrays: &str) {
    let lab = LakeLab::of(TWO);
    let report = lab.take(&format!("{{\"id\":1,\"deleted\":true{arrays}}}\n"), deleting());
    assert_eq!(table(&report, "orders").metrics.num_target_rows_deleted, 1);
    assert_eq!(table(&report, "orders__t__u").metrics.num_target_rows_deleted, 2);
    lab.shows("orders", "| id | v |\n| 2 | b |");
    lab.shows("orders__t", "| _root_id |\n| 2 |");
    lab.shows("orders__t__u", "| _root_id | value |\n| 2 | 3 |");
}

/// M5: only where the condition holds; where it gives null it does not.
#[rstest]
#[case::is_false("false", "| id |\n| 1 |\n| 2 |")]
#[case::null("null", "| id |\n| 1 |\n| 2 |")]
#[case::is_true("true", "| id |\n| 2 |")]
fn m5_where_the_condition_holds(#[case] deleted: &str, #[case] expected: &str) {
    let lab = LakeLab::of("{\"id\":1,\"deleted\":false}\n{\"id\":2}\n");
    lab.take(&format!("{{\"id\":1,\"deleted\":{deleted}}}\n"), deleting());
    lab.shows("orders", expected);
}

/// M5: a deletion of what is not there changes nothing, and is counted.
#[test]
fn m5_a_deletion_of_nothing() {
    let lab = LakeLab::of(TWO);
    let report = lab.take("{\"id\":3,\"deleted\":true,\"t\":[{\"u\":[9]}]}\n", deleting());
    assert_eq!(report.num_deletes_absent, 1);
    lab.shows("orders", "| id |\n| 1 |\n| 2 |");
    lab.shows("orders__t__u", "| value |\n| 1 |\n| 2 |\n| 3 |");
}

/// M3, M5: the newest record decides: a deletion after an insert, an insert after a deletion.
#[rstest]
#[case::deleted_last("{\"id\":3,\"t\":[]}\n{\"id\":3,\"deleted\":true}\n", "| id |\n| 1 |\n| 2 |")]
#[case::inserted_last("{\"id\":1,\"deleted\":true}\n{\"id\":1,\"t\":[]}\n", "| id |\n| 1 |\n| 2 |")]
fn m5_the_newest_decides(#[case] batch: &str, #[case] expected: &str) {
    let lab = LakeLab::of(TWO);
    lab.take(batch, deleting());
    lab.shows("orders", expected);
    lab.shows(
        "orders__t",
        match batch.contains("\"id\":1") {
            true => "| _root_id |\n| 2 |",
            false => "| _root_id |\n| 1 |\n| 2 |",
        },
    );
}

/// M4, M5: a late deletion deletes nothing.
#[test]
fn m5_a_late_deletion() {
    let rule = || Rule { order_by: ordered().order_by, ..deleting() };
    let lab = LakeLab::new();
    lab.take("{\"id\":1,\"version\":5,\"t\":[1]}\n", Rule { delete_when: None, ..rule() });
    let report = lab.take("{\"id\":1,\"version\":4,\"deleted\":true}\n", rule());
    assert_eq!(report.num_records_late, 1);
    lab.shows("orders", "| id |\n| 1 |");
    lab.shows("orders__t", "| value |\n| 1 |");
}

/// M5: a soft delete leaves the row with its last values and its child rows, and marks it; the column is
/// there from the first merge. A record that comes again is not marked any more.
#[test]
fn m5_soft_delete_marks() {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"v\":\"a\",\"t\":[1,2],\"deleted\":false}\n{\"id\":2,\"v\":\"b\"}\n");
    lab.merge(marking());
    lab.shows("orders", "| id | v | is_gone |\n| 1 | a | false |\n| 2 | b | false |");
    let report = lab.take("{\"id\":1,\"v\":\"z\",\"t\":[9],\"deleted\":true}\n", marking());
    assert_eq!(table(&report, "orders").metrics.num_target_rows_updated, 1);
    assert_eq!(table(&report, "orders").metrics.num_target_rows_deleted, 0);
    lab.shows(
        "orders",
        "| id | v | t__len | is_gone |\n| 1 | a | 2 | true |\n| 2 | b | null | false |",
    );
    lab.shows("orders__t", "| _root_id | value |\n| 1 | 1 |\n| 1 | 2 |");
    lab.take("{\"id\":1,\"v\":\"c\",\"t\":[3]}\n", marking());
    lab.shows(
        "orders",
        "| id | v | t__len | is_gone |\n| 1 | c | 1 | false |\n| 2 | b | null | false |",
    );
    lab.shows("orders__t", "| _root_id | value |\n| 1 | 3 |");
}

/// M4, M5: a row that was marked at a time keeps that time, so that a record from before does not bring it
/// back.
#[test]
fn m5_a_late_record_does_not_unmark() {
    let rule = || Rule { order_by: ordered().order_by, ..marking() };
    let lab = LakeLab::new();
    lab.take("{\"id\":1,\"version\":1,\"v\":\"a\",\"deleted\":false}\n", rule());
    lab.take("{\"id\":1,\"version\":5,\"deleted\":true}\n", rule());
    lab.take("{\"id\":1,\"version\":3,\"v\":\"b\"}\n", rule());
    lab.shows("orders", "| id | version | v | is_gone |\n| 1 | 5 | a | true |");
}

/// M5, M7: rows that came before deletions were marked have no mark.
#[test]
fn m5_soft_delete_in_an_older_table() {
    let lab = LakeLab::of("{\"id\":1,\"v\":\"a\",\"t\":[1]}\n{\"id\":2,\"v\":\"b\"}\n");
    let report = lab.take("{\"id\":1,\"deleted\":true}\n", marking());
    assert!(table(&report, "orders").columns_added.contains(&"is_gone".to_owned()));
    lab.shows("orders", "| id | v | is_gone |\n| 1 | a | true |\n| 2 | b | null |");
    lab.shows("orders__t", "| value |\n| 1 |");
}
