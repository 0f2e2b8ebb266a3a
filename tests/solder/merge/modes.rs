//! M2 to M4: how rows come in, and which of two records is newer.

use rstest::rstest;
use solder_lake::merge::{Mode, Rule};
use solder_relationalize::Settings;

use super::lab::{LakeLab, ordered, table};

fn mode(mode: Mode) -> Rule {
    Rule { mode: Some(mode), ..Rule::default() }
}

const FIRST: &str = "{\"id\":1,\"v\":\"a\",\"t\":[10,11]}\n{\"id\":2,\"v\":\"b\",\"t\":[20]}\n";
const SECOND: &str = "{\"id\":2,\"v\":\"c\",\"t\":[21,22]}\n{\"id\":3,\"v\":\"d\",\"t\":[]}\n";

/// M2: what each mode leaves, in the root and in the child table, and how Delta calls it.
#[rstest]
#[case::upsert(
    Mode::Upsert,
    "| id | v |\n| 1 | a |\n| 2 | c |\n| 3 | d |",
    "| _root_id | value |\n| 1 | 10 |\n| 1 | 11 |\n| 2 | 21 |\n| 2 | 22 |",
    "MERGE"
)]
#[case::append(
    Mode::Append,
    "| id | v |\n| 1 | a |\n| 2 | b |\n| 2 | c |\n| 3 | d |",
    "| _root_id | value |\n| 1 | 10 |\n| 1 | 11 |\n| 2 | 20 |\n| 2 | 21 |\n| 2 | 22 |",
    "WRITE"
)]
#[case::insert_only(
    Mode::InsertOnly,
    "| id | v |\n| 1 | a |\n| 2 | b |\n| 3 | d |",
    "| _root_id | value |\n| 1 | 10 |\n| 1 | 11 |\n| 2 | 20 |",
    "MERGE"
)]
#[case::overwrite(
    Mode::Overwrite,
    "| id | v |\n| 1 | a |\n| 2 | c |\n| 3 | d |",
    "| _root_id | value |\n| 1 | 10 |\n| 1 | 11 |\n| 2 | 21 |\n| 2 | 22 |",
    "WRITE"
)]
fn m2_modes(#[case] kind: Mode, #[case] orders: &str, #[case] tags: &str, #[case] operation: &str) {
    let lab = LakeLab::new();
    lab.stage(FIRST);
    lab.merge(mode(kind));
    lab.shows("orders", "| id | v |\n| 1 | a |\n| 2 | b |");
    lab.stage(SECOND);
    lab.merge(mode(kind));
    lab.shows("orders", orders);
    lab.shows("orders__t", tags);
    assert_eq!(lab.operations("orders")[0], operation);
    assert_eq!(lab.operations("orders__t")[0], operation);
}

/// M2: an overwrite takes all that is staged, and of the lake keeps the columns alone: rows that came
/// from elsewhere go, in one commit.
#[test]
fn m2_overwrite_reloads_the_table() {
    let lab = LakeLab::of("{\"id\":1,\"old\":true,\"t\":[10]}\n{\"id\":2,\"t\":[20]}\n");
    let metadata = lab.action("orders", "metaData");
    let other = LakeLab::new();
    other.stage("{\"id\":9,\"t\":[90]}\n");
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    let report = lab.try_merge(mode(Mode::Overwrite), |settings| settings.staging = staging);
    let report = report.unwrap().entities.remove(0);
    assert_eq!(table(&report, "orders").metrics.num_target_rows_deleted, 2);
    assert_eq!(table(&report, "orders").metrics.num_target_rows_inserted, 1);
    lab.shows("orders", "| id | old |\n| 9 | null |");
    lab.shows("orders__t", "| _root_id | value |\n| 9 | 90 |");
    assert_eq!(lab.action("orders", "metaData")["id"], metadata["id"]);
}

/// M2: without a key, records can be added, and tables reloaded.
#[rstest]
#[case::append(Mode::Append, "| v |\n| 1 |\n| 1 |\n| 2 |")]
#[case::overwrite(Mode::Overwrite, "| v |\n| 1 |\n| 1 |\n| 2 |")]
fn m2_modes_that_need_no_key(#[case] kind: Mode, #[case] expected: &str) {
    let without_key = |_: &mut Settings| {};
    let lab = LakeLab::new();
    lab.stage_with("{\"v\":1,\"t\":[1]}\n", without_key);
    lab.merge(mode(kind));
    lab.stage_with("{\"v\":1,\"t\":[1,2]}\n{\"v\":2}\n", without_key);
    lab.merge(mode(kind));
    lab.shows("orders", expected);
    lab.shows("orders__t", "| value |\n| 1 |\n| 1 |\n| 2 |");
    lab.merge(mode(kind));
    lab.shows("orders", expected);
}

/// M1: runs that wait are merged together, and the later record wins.
#[test]
fn m1_all_runs_that_wait() {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"v\":1}\n");
    lab.stage("{\"id\":1,\"v\":2}\n{\"id\":2,\"v\":2}\n");
    lab.stage("{\"id\":2,\"v\":3}\n");
    let report = lab.merge(Rule::default());
    assert_eq!((report.sequence_before, report.sequence), (0, 3));
    assert_eq!((report.num_records, report.num_records_superseded), (4, 2));
    lab.shows("orders", "| id | v |\n| 1 | 2 |\n| 2 | 3 |");
    assert_eq!(lab.operations("orders").len(), 1);
}

/// M1: only the entities that are asked for.
#[test]
fn m1_one_entity_of_two() {
    let lab = LakeLab::new();
    lab.staging.write("donors/1.ndjson", "{\"id\":1}\n");
    lab.stage("{\"id\":1}\n");
    let only = |name: &str| {
        let tables = vec![name.to_owned()];
        lab.try_merge(Rule::default(), |settings| settings.tables = tables)
    };
    only("donors").unwrap();
    assert_eq!(lab.tables(), ["donors"]);
    let error = only("gifts").unwrap_err();
    assert_eq!(error.exit_code(), 66);
    assert!(error.to_string().contains("it has donors"), "{error}");
    only("orders").unwrap();
    assert_eq!(lab.tables(), ["donors", "orders"]);
}

/// M3: of the records of one key in a batch the newest by order wins, then the last; its array comes, and
/// no other.
#[rstest]
#[case::last_of_the_input(Rule::default(), "| id | v |\n| 1 | c |", "| value |\n| 3 |")]
#[case::newest(ordered(), "| id | v |\n| 1 | b |", "| value |\n| 2 |")]
fn m3_the_newest_of_a_key(#[case] rule: Rule, #[case] orders: &str, #[case] tags: &str) {
    let lab = LakeLab::new();
    let report = lab.take(
        "{\"id\":1,\"version\":1,\"v\":\"a\",\"t\":[1]}\n\
         {\"id\":1,\"version\":7,\"v\":\"b\",\"t\":[2]}\n\
         {\"id\":1,\"version\":6,\"v\":\"c\",\"t\":[3]}\n",
        rule,
    );
    assert_eq!((report.num_records, report.num_records_superseded), (3, 2));
    lab.shows("orders", orders);
    lab.shows("orders__t", tags);
}

/// M3: of equally new ones the last wins; one without an order is the oldest.
#[test]
fn m3_ties_and_missing_orders() {
    let lab = LakeLab::new();
    lab.take(
        "{\"id\":1,\"version\":1,\"v\":\"a\"}\n{\"id\":1,\"version\":1,\"v\":\"b\"}\n{\"id\":1,\"v\":\"c\"}\n",
        ordered(),
    );
    lab.shows("orders", "| id | v |\n| 1 | b |");
}

/// M4: a record older than its row changes nothing, neither the row nor what hangs below it; one as old
/// replaces it.
#[rstest]
#[case::older("\"version\":4,", "| id | v |\n| 1 | a |", "| value |\n| 1 |", 1)]
#[case::without("", "| id | v |\n| 1 | a |", "| value |\n| 1 |", 1)]
#[case::as_old("\"version\":5,", "| id | v |\n| 1 | b |", "| value |\n| 2 |", 0)]
#[case::newer("\"version\":6,", "| id | v |\n| 1 | b |", "| value |\n| 2 |", 0)]
fn m4_late_records(
    #[case] version: &str,
    #[case] orders: &str,
    #[case] tags: &str,
    #[case] num_late: u64,
) {
    let lab = LakeLab::new();
    lab.take("{\"id\":1,\"version\":5,\"v\":\"a\",\"t\":[1]}\n", ordered());
    let report = lab.take(&format!("{{\"id\":1,{version}\"v\":\"b\",\"t\":[2]}}\n"), ordered());
    assert_eq!(report.num_records_late, num_late);
    lab.shows("orders", orders);
    lab.shows("orders__t", tags);
}

/// M4: of several columns of order, the next decides where the one before does not.
#[rstest]
#[case::first_decides(4, 9, "a")]
#[case::second_decides(5, 1, "a")]
#[case::both_newer(5, 3, "b")]
fn m4_several_columns_of_order(#[case] day: i64, #[case] hour: i64, #[case] winner: &str) {
    let rule = || Rule { order_by: vec!["day".into(), "hour".into()], ..Rule::default() };
    let lab = LakeLab::new();
    lab.take("{\"id\":1,\"day\":5,\"hour\":2,\"v\":\"a\"}\n", rule());
    lab.take(&format!("{{\"id\":1,\"day\":{day},\"hour\":{hour},\"v\":\"b\"}}\n"), rule());
    lab.shows("orders", &format!("| id | v |\n| 1 | {winner} |"));
}

/// M3: a record without its key cannot be placed: it is set aside, with its neighbours left as they are,
/// and its child rows do not come.
#[test]
fn m3_records_without_a_key() {
    let lab = LakeLab::new();
    let rule = || Rule { key: vec!["code".to_owned()], ..Rule::default() };
    lab.stage_with(
        "{\"code\":\"a\",\"t\":[1]}\n{\"code\":null,\"t\":[2]}\n",
        |_: &mut Settings| {},
    );
    let report = lab.merge(rule());
    assert_eq!(report.num_records_quarantined, 1);
    assert!(report.quarantine.is_some_and(|place| place.contains("_quarantine")));
    lab.shows("orders", "| code |\n| a |");
    lab.shows("orders__t", "| value |\n| 1 |");
}
