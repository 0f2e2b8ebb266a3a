//! M2: tables that keep history (`--mode scd2`): every record is a version of its key.

use rstest::rstest;
use solder_lake::Lake;
use solder_lake::maintain::check;
use solder_lake::merge::{Mode, Rule};
use solder_relationalize::Settings;

use super::lab::{LakeLab, table};
use crate::support::key;

fn history() -> Rule {
    Rule {
        mode: Some(Mode::Scd2),
        order_by: vec!["at".to_owned()],
        delete_when: Some("deleted".to_owned()),
        ..Rule::default()
    }
}

/// A record with an array; `deleted` is always there.
fn record(id: i64, at: i64, v: &str, t: &str) -> String {
    format!("{{\"id\":{id},\"at\":{at},\"v\":\"{v}\",\"t\":{t},\"deleted\":false}}\n")
}

fn deletion(id: i64, at: i64) -> String {
    format!("{{\"id\":{id},\"at\":{at},\"deleted\":true}}\n")
}

/// Lengths, references and keys hold, versions as part of the key.
#[track_caller]
pub fn must_fit(lab: &LakeLab) {
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(check(&lake, &[], 64 << 20, 2)).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.num_checks >= 2);
}

/// M2: every record of a batch and of later ones is a row, valid until the next one of its key; child rows
/// are those of all versions.
#[test]
fn m2_history_of_every_record() {
    let lab = LakeLab::new();
    let report = lab.take(
        &[record(1, 10, "a", "[1,2]"), record(1, 20, "b", "[3]"), record(2, 10, "x", "[]")]
            .concat(),
        history(),
    );
    assert_eq!((report.mode, report.num_records_superseded), ("scd2", 0));
    let report = lab.take(&record(1, 30, "c", "[4]"), history());
    let orders = &table(&report, "orders").metrics;
    assert_eq!((orders.num_target_rows_inserted, orders.num_target_rows_updated), (1, 1));
    assert_eq!(table(&report, "orders__t").metrics.num_target_rows_deleted, 0);
    lab.shows(
        "orders",
        "| id | at | v | t__len | _valid_from | _valid_to | _is_current |
         | 1 | 10 | a | 2 | 10 | 20 | false |
         | 1 | 20 | b | 1 | 20 | 30 | false |
         | 1 | 30 | c | 1 | 30 | null | true |
         | 2 | 10 | x | 0 | 10 | null | true |",
    );
    lab.shows(
        "orders__t",
        "| _root_id | _valid_from | _index_1 | value |
         | 1 | 10 | 0 | 1 |
         | 1 | 10 | 1 | 2 |
         | 1 | 20 | 0 | 3 |
         | 1 | 30 | 0 | 4 |",
    );
    must_fit(&lab);
}

/// M2: a late record falls into its place, also before the first one, and its children with it.
#[rstest]
#[case::between(15, "| 10 | 15 | false |\n| 15 | 20 | false |\n| 20 | null | true |")]
#[case::before(5, "| 10 | 20 | false |\n| 20 | null | true |\n| 5 | 10 | false |")]
#[case::after(25, "| 10 | 20 | false |\n| 20 | 25 | false |\n| 25 | null | true |")]
fn m2_a_late_version(#[case] at: i64, #[case] expected: &str) {
    let lab = LakeLab::new();
    lab.take(&(record(1, 10, "a", "[1]") + &record(1, 20, "b", "[2]")), history());
    lab.take(&record(1, at, "late", "[9,9]"), history());
    lab.shows("orders", &format!("| _valid_from | _valid_to | _is_current |\n{expected}"));
    must_fit(&lab);
}

/// M2, M5: a deletion closes the version before it and stays as a row that is valid for no time; what came
/// before it and arrives after it ends there, what came after it opens the record again.
#[test]
fn m5_deletions_in_history() {
    let lab = LakeLab::new();
    lab.take(&(record(1, 10, "a", "[1]") + &deletion(1, 30)), history());
    let columns = "| v | t__len | _valid_from | _valid_to | _is_current |";
    lab.shows(
        "orders",
        &format!("{columns}\n| null | null | 30 | 30 | false |\n| a | 1 | 10 | 30 | false |"),
    );
    // A deletion of what is not there yet, and then the record from before it.
    lab.take(&deletion(2, 20), history());
    lab.take(&record(2, 10, "b", "[2]"), history());
    lab.take(&record(1, 20, "c", "[3,3]"), history());
    lab.take(&record(1, 40, "d", "[]"), history());
    lab.shows(
        "orders",
        "| id | v | t__len | _valid_from | _valid_to | _is_current |
         | 1 | null | null | 30 | 30 | false |
         | 1 | a | 1 | 10 | 20 | false |
         | 1 | c | 2 | 20 | 30 | false |
         | 1 | d | 0 | 40 | null | true |
         | 2 | null | null | 20 | 20 | false |
         | 2 | b | 1 | 10 | 20 | false |",
    );
    must_fit(&lab);
}

/// M5: the arrays of a deletion do not come, whatever it carries.
#[test]
fn m5_a_deletion_with_arrays_in_history() {
    let lab = LakeLab::new();
    let deletion = "{\"id\":1,\"at\":20,\"t\":[7,8],\"deleted\":true}\n";
    lab.take(&(record(1, 10, "a", "[1]") + deletion), history());
    lab.shows("orders__t", "| _valid_from | value |\n| 10 | 1 |");
    // At the time of a version, it takes its place, and the other way round.
    lab.take(&deletion.replace("20", "10"), history());
    lab.shows(
        "orders",
        "| _valid_from | _valid_to | t__len |\n| 10 | 10 | null |\n| 20 | 20 | null |",
    );
    assert!(lab.rows("orders__t").is_empty());
    lab.take(&record(1, 20, "b", "[5]"), history());
    lab.shows(
        "orders",
        "| _valid_from | _valid_to | t__len |\n| 10 | 10 | null |\n| 20 | null | 1 |",
    );
    must_fit(&lab);
}

/// M2, M3: of two records of one key and time the later one in the input wins, in a batch and between batches.
#[rstest]
#[case::one_batch(false)]
#[case::two_batches(true)]
fn m3_two_records_of_one_time(#[case] are_apart: bool) {
    let lab = LakeLab::new();
    let (first, second) = (record(1, 10, "a", "[1,2]"), record(1, 10, "b", "[3]"));
    match are_apart {
        true => {
            lab.take(&first, history());
            let report = lab.take(&second, history());
            let orders = &table(&report, "orders").metrics;
            assert_eq!((orders.num_target_rows_inserted, orders.num_target_rows_updated), (0, 1));
        }
        false => drop(lab.take(&(first + &second), history())),
    }
    lab.shows("orders", "| v | _valid_from | _valid_to |\n| b | 10 | null |");
    lab.shows("orders__t", "| _valid_from | value |\n| 10 | 3 |");
    must_fit(&lab);
}

/// M2: a record that is delivered again makes no new row, whether it is current or not.
#[test]
fn m2_a_repeated_delivery_changes_nothing() {
    let lab = LakeLab::new();
    let feed = [record(1, 10, "a", "[1]"), record(1, 20, "b", "[2]"), deletion(1, 30)];
    lab.take(&feed.concat(), history());
    let rows = || (lab.rows("orders"), lab.rows("orders__t"));
    let before = rows();
    for line in &feed {
        lab.take(line, history());
        assert_eq!(rows(), before, "{line}");
    }
    let bytes = lab.bytes();
    assert!(lab.merge(history()).already_merged);
    assert_eq!(lab.bytes(), bytes);
}

/// M3: a record without a time has no place in history and is set aside.
#[test]
fn m3_records_without_a_time() {
    let lab = LakeLab::new();
    let without = "{\"id\":1,\"v\":\"z\",\"t\":[9],\"deleted\":false}\n";
    let report = lab.take(&(record(1, 10, "a", "[1]") + without), history());
    assert_eq!(report.num_records_quarantined, 1);
    lab.shows("orders", "| v |\n| a |");
    lab.shows("orders__t", "| value |\n| 1 |");
    must_fit(&lab);
}

/// M11: the same with deletion vectors, where rows whose validity changes are marked and written anew.
#[test]
fn m2_history_with_deletion_vectors() {
    let rule = || Rule { deletion_vectors: Some(true), ..history() };
    let lab = LakeLab::new();
    let others: String = (100..140).map(|id| record(id, 1, "o", "[0]")).collect();
    lab.take(&(record(1, 10, "a", "[1]") + &others), rule());
    let report = lab.take(&(record(1, 30, "c", "[3]") + &record(1, 20, "b", "[2,2]")), rule());
    assert_eq!(table(&report, "orders").metrics.num_deletion_vectors, 1);
    lab.take(&deletion(100, 2), rule());
    let rows = lab.rows("orders");
    assert_eq!(rows.len(), 44);
    let of_one: Vec<_> = rows.iter().filter(|row| row["id"] == "1").collect();
    let ends: Vec<_> = of_one.iter().map(|row| row.get("_valid_to").map(String::as_str)).collect();
    assert_eq!(ends, [Some("20"), Some("30"), None], "{of_one:?}");
    must_fit(&lab);
}

/// M2, M7: times are those of the column: text and timestamps as well as numbers; new columns and tables come.
#[test]
fn m2_history_by_timestamps_and_new_columns() {
    let lab = LakeLab::new();
    let with_timestamps = |settings: &mut Settings| {
        settings.keys = key("id");
        settings.timestamps = true;
    };
    let line = |day: u32, rest: &str| {
        format!("{{\"id\":1,\"at\":\"2024-03-0{day}T00:00:00Z\",\"deleted\":false{rest}}}\n")
    };
    lab.stage_with(&line(1, ""), with_timestamps);
    lab.merge(history());
    lab.stage_with(&line(3, ",\"w\":1,\"u\":[{\"x\":[1]}]"), with_timestamps);
    lab.merge(history());
    lab.stage_with(&line(2, ",\"u\":[{\"x\":[2,3]},{\"x\":[]}]"), with_timestamps);
    lab.merge(history());
    let root = lab.rows("orders");
    assert_eq!(root.len(), 3);
    assert_eq!(root.iter().filter(|row| row["_is_current"] == "true").count(), 1);
    assert_eq!(lab.rows("orders__u__x").len(), 3);
    must_fit(&lab);
}

/// M2: versions are linked by the key that was declared to relationalize, or by row ids without one.
#[rstest]
#[case::without(None)]
#[case::another(Some("code"))]
fn m2_history_by_a_key_of_the_merge(#[case] declared: Option<&str>) {
    let lab = LakeLab::new();
    let with_key = |settings: &mut Settings| {
        if let Some(declared) = declared {
            settings.keys = key(declared);
        }
    };
    let rule = || Rule { key: vec!["id".to_owned()], ..history() };
    let line = |at: i64, t: &str| {
        format!("{{\"id\":1,\"code\":\"k\",\"at\":{at},\"t\":{t},\"deleted\":false}}\n")
    };
    for (at, t) in [(10, "[1]"), (30, "[3,3,3]"), (20, "[2,2]"), (30, "[4]"), (30, "[4]")] {
        lab.stage_with(&line(at, t), with_key);
        lab.merge(rule());
        must_fit(&lab);
    }
    lab.shows("orders", "| _valid_from | _valid_to |\n| 10 | 20 |\n| 20 | 30 |\n| 30 | null |");
    lab.shows(
        "orders__t",
        "| _valid_from | value |\n| 10 | 1 |\n| 20 | 2 |\n| 20 | 2 |\n| 30 | 4 |",
    );
}

/// M2, M6: all parts of a composite key and the time lead to the rows of one version.
#[test]
fn m2_history_by_a_composite_key() {
    let lab = LakeLab::new();
    let line = |shop: &str, id: i64, at: i64, t: &str| {
        record(id, at, "a", t).replacen('{', &format!("{{\"shop\":\"{shop}\","), 1)
    };
    let take = |lines: &[String]| {
        lab.stage_with(&lines.concat(), |settings| settings.keys = key("shop,id"));
        lab.merge(history());
    };
    take(&[line("a", 1, 10, "[1]"), line("b", 1, 10, "[2]"), line("a", 2, 10, "[3]")]);
    take(&[line("a", 1, 20, "[4]"), line("b", 1, 10, "[5,6]")]);
    lab.shows(
        "orders",
        "| shop | id | _valid_from | _valid_to |
         | a | 1 | 10 | 20 |
         | a | 1 | 20 | null |
         | a | 2 | 10 | null |
         | b | 1 | 10 | null |",
    );
    lab.shows(
        "orders__t",
        "| _root_shop | _root_id | _valid_from | value |
         | a | 1 | 10 | 1 |
         | a | 1 | 20 | 4 |
         | a | 2 | 10 | 3 |
         | b | 1 | 10 | 5 |
         | b | 1 | 10 | 6 |",
    );
    must_fit(&lab);
}

/// M2, M7: the column that orders versions does not change its type: in another one, their order might be
/// another.
#[rstest]
#[case::wider(
    "1.5",
    65,
    "column `at` of `orders` ($.at) is int64 in the lake and float64 in staging"
)]
#[case::mixed("\"x\"", 64, "whose values have no order in time")]
fn m7_the_time_keeps_its_type(#[case] at: &str, #[case] code: u8, #[case] words: &str) {
    let lab = LakeLab::new();
    lab.take(&record(1, 10, "a", "[1]"), history());
    lab.stage(&record(1, 20, "b", "[2]").replace("20", at));
    let before = lab.bytes();
    let (found, error) = lab.fail(history());
    assert_eq!((found, error.contains(words)), (code, true), "{error}");
    assert_eq!(lab.bytes(), before);
}

/// M2, M8: history that two staging areas feed.
#[test]
fn m8_history_of_two_staging_areas() {
    let lab = LakeLab::new();
    lab.take(&(record(1, 10, "a", "[1]") + &record(1, 30, "c", "[3]")), history());
    let other = LakeLab::new();
    other.stage(&(record(1, 20, "b", "[2,2]") + &deletion(1, 40)));
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    lab.try_merge(history(), |settings| settings.staging = staging).unwrap();
    lab.shows(
        "orders",
        "| v | _valid_from | _valid_to |\n| null | 40 | 40 |\n| a | 10 | 20 |\n| b | 20 | 30 |\n| c | 30 | 40 |",
    );
    must_fit(&lab);
}

/// M12: a version that is missing is found by the one before it, and by its child rows.
#[test]
fn m12_check_finds_a_missing_version() {
    let lab = LakeLab::new();
    let versions: Vec<String> = (1..4).map(|at| record(1, at, "a", "[1]")).collect();
    lab.take(&versions.concat(), history());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deleting = lab.open("orders").delete().with_predicate("at = 2");
    runtime.block_on(async { deleting.await }).unwrap();
    let lake = Lake::open(lab.folder("").to_str().unwrap()).unwrap();
    let report = runtime.block_on(check(&lake, &[], 64 << 20, 2)).unwrap();
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(found, ["history", "reference"]);
}

/// M10: a dry run counts what the merge does.
#[test]
fn m10_a_dry_run_of_history() {
    let lab = LakeLab::new();
    for batch in [
        record(1, 10, "a", "[1,2]") + &record(1, 30, "b", "[3]") + &deletion(2, 5),
        record(1, 20, "c", "[4]")
            + &record(1, 30, "d", "[5]")
            + &deletion(1, 40)
            + &record(2, 1, "e", "[]"),
        deletion(1, 10),
    ] {
        lab.stage(&batch);
        let counts = |report: solder_lake::merge::EntityReport| {
            let mut counts: Vec<_> = report
                .tables
                .into_iter()
                .map(|table| {
                    let metrics = table.metrics;
                    let rows = (metrics.num_source_rows, metrics.num_target_rows_inserted);
                    (
                        table.name,
                        rows,
                        metrics.num_target_rows_updated,
                        metrics.num_target_rows_deleted,
                    )
                })
                .collect();
            counts.sort();
            counts
        };
        let rehearsed = counts(lab.rehearse(history()));
        assert_eq!(rehearsed, counts(lab.merge(history())));
    }
}

/// M2: what history cannot be kept by, in words.
#[rstest]
#[case::no_order(
    Rule { order_by: Vec::new(), ..history() },
    "--order-by has to name one column, whose values say from when a version is valid"
)]
#[case::two_orders(
    Rule { order_by: vec!["at".to_owned(), "v".to_owned()], ..history() },
    "--order-by has to name one column"
)]
#[case::no_order_in_time(
    Rule { order_by: vec!["deleted".to_owned()], ..history() },
    "--order-by deleted is boolean, whose values have no order in time"
)]
#[case::marks(
    Rule { soft_delete: Some("gone".to_owned()), ..history() },
    "--soft-delete has no meaning there"
)]
fn m2_history_that_cannot_be(#[case] rule: Rule, #[case] words: &str) {
    let lab = LakeLab::new();
    lab.stage(&record(1, 10, "a", "[1]"));
    let (code, error) = lab.fail(rule);
    assert_eq!(code, 64, "{error}");
    assert!(error.starts_with("`orders` cannot be merged with --mode scd2: "), "{error}");
    assert!(error.contains(words), "{error}");
    assert!(lab.tables().is_empty());
}

/// M2: a staged column that has a name of the history.
#[test]
fn m2_names_of_the_history() {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"at\":1,\"deleted\":false,\"_valid_to\":3}\n");
    let (code, error) = lab.fail(history());
    assert_eq!(code, 64);
    assert!(error.contains("`orders` has a column `_valid_to` in staging"), "{error}");
}

/// M2: a table with history takes no other mode, order or key, and one without does not begin to keep it.
#[test]
fn m2_history_is_kept_from_the_start() {
    let lab = LakeLab::new();
    lab.take(&record(1, 10, "a", "[1]"), history());
    lab.stage(&record(1, 20, "b", "[2]"));
    let before = lab.bytes();
    for (rule, words) in [
        (Rule::default(), "it keeps history, which --mode upsert would break"),
        (Rule { mode: Some(Mode::Append), ..Rule::default() }, "--mode append would break"),
        (Rule { mode: Some(Mode::Overwrite), ..Rule::default() }, "--mode overwrite would break"),
        (Rule { order_by: vec!["v".to_owned()], ..history() }, "its history is ordered by `at`"),
        (Rule { key: vec!["v".to_owned()], ..history() }, "its history is that of another key"),
    ] {
        let (code, error) = lab.fail(rule);
        assert_eq!(code, 65, "{error}");
        assert!(error.contains(words), "{error}");
        assert_eq!(lab.bytes(), before);
    }
    let other = LakeLab::of(&record(1, 10, "a", "[1]"));
    other.stage(&record(1, 20, "b", "[2]"));
    let (code, error) = other.fail(history());
    assert_eq!(code, 65);
    assert!(error.contains("its rows have no history"), "{error}");
}
