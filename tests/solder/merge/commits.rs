//! M8 to M11: one commit per table, done once; what it costs and says; which readers understand it.

use rstest::rstest;
use serde_json::json;
use solder_lake::merge::{EntityReport, Metrics, Mode, Rule};

use super::lab::{LakeLab, deleting, table};

/// M8: one commit per table, children first, root last, each with the run that it is of; the root also
/// says that the merge has begun.
#[test]
fn m8_one_commit_per_table() {
    let lab = LakeLab::new();
    let report = lab.take("{\"id\":1,\"t\":[{\"u\":[1]}]}\n", Rule::default());
    let order: Vec<&str> = report.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(order, ["orders__t", "orders__t__u", "orders"]);
    for (name, num_commits) in [("orders", 2), ("orders__t", 1), ("orders__t__u", 1)] {
        assert_eq!(lab.operations(name).len(), num_commits, "{name}");
        let transaction = lab.action(name, "txn");
        assert_eq!(transaction["version"], 1);
        assert!(transaction["appId"].as_str().unwrap().ends_with(":orders"), "{transaction}");
    }
    assert_eq!(lab.action("orders", "metaData")["configuration"].get("solder.merging"), None);
}

/// A rule with deletions, where the mode knows any.
fn rule_of(mode: Mode) -> Rule {
    if mode == Mode::Append { Rule::default() } else { deleting() }
}

/// M8: a rerun of what is merged does nothing, in any mode, and says so.
#[rstest]
fn m8_a_rerun_changes_nothing(
    #[values(Mode::Upsert, Mode::Append, Mode::InsertOnly, Mode::Overwrite)] mode: Mode,
) {
    let rule = || Rule { mode: Some(mode), ..rule_of(mode) };
    let lab = LakeLab::new();
    lab.take("{\"id\":1,\"t\":[1],\"deleted\":false}\n{\"id\":2,\"t\":[2]}\n", rule());
    lab.take("{\"id\":1,\"t\":[1,2]}\n{\"id\":3,\"t\":[]}\n", rule());
    let before = lab.bytes();
    let report = lab.merge(rule());
    assert!(report.already_merged && report.tables.is_empty());
    assert_eq!((report.sequence_before, report.sequence), (2, 2));
    assert_eq!(lab.bytes(), before);
}

/// M8: a run that changes no row is marked as merged all the same.
#[test]
fn m8_a_run_without_effect_is_marked() {
    let lab = LakeLab::of("{\"id\":1,\"t\":[1]}\n");
    lab.take("{\"id\":5,\"deleted\":true}\n", deleting());
    assert!(lab.merge(deleting()).already_merged);
    lab.shows("orders", "| id |\n| 1 |");
}

/// M8: two staging areas feed one table, and each has its own marks.
#[test]
fn m8_two_staging_areas() {
    let lab = LakeLab::of("{\"id\":1,\"v\":1,\"t\":[1]}\n{\"id\":2,\"v\":1,\"t\":[]}\n");
    let other = LakeLab::new();
    other.stage("{\"id\":2,\"v\":2,\"t\":[2,3]}\n{\"id\":3,\"v\":2,\"t\":[4]}\n");
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    let merge = || {
        let staging = staging.clone();
        lab.try_merge(Rule::default(), |settings| settings.staging = staging).unwrap()
    };
    assert!(!merge().entities[0].already_merged);
    assert!(merge().entities[0].already_merged);
    assert!(lab.merge(Rule::default()).already_merged);
    lab.is_like(&[
        "{\"id\":1,\"v\":1,\"t\":[1]}".to_owned(),
        "{\"id\":2,\"v\":2,\"t\":[2,3]}".to_owned(),
        "{\"id\":3,\"v\":2,\"t\":[4]}".to_owned(),
    ]);
}

/// M9: files whose keys are others stay as they are, and are not opened.
#[test]
fn m9_a_merge_costs_what_it_touches() {
    let lab = LakeLab::of("{\"id\":1,\"t\":[1]}\n{\"id\":2,\"t\":[2]}\n");
    lab.take("{\"id\":11,\"t\":[1]}\n{\"id\":12,\"t\":[2]}\n", Rule::default());
    let report = lab.take("{\"id\":11,\"t\":[3]}\n", Rule::default());
    for name in ["orders", "orders__t"] {
        let metrics = &table(&report, name).metrics;
        assert_eq!(metrics.num_target_files_skipped, 1, "{name}");
        assert_eq!(metrics.num_target_files_scanned, 1, "{name}");
        assert_eq!(metrics.num_target_files_removed, 1, "{name}");
        assert_eq!(metrics.num_target_rows_copied, 1, "{name}");
    }
}

/// M9: many small files are folded into one, with all their rows, whatever columns they had.
#[test]
fn m9_small_files_are_folded() {
    let lab = LakeLab::new();
    let mut records = Vec::new();
    for id in 0..12 {
        let record = format!("{{\"id\":{id},\"v\":{id},\"w{id}\":true,\"t\":[{id}]}}");
        lab.take(&format!("{record}\n"), Rule::default());
        records.push(record);
        lab.is_like(&records);
    }
    let table = lab.open("orders");
    let num_files = table.get_file_uris().unwrap().count();
    assert!(num_files < 9, "{num_files}");
}

/// The counts that a dry run can know: not those of files that would be written.
fn counts(report: &EntityReport) -> Vec<(String, Metrics)> {
    let mut counts: Vec<_> = report
        .tables
        .iter()
        .map(|table| {
            let metrics = Metrics {
                num_target_rows_copied: 0,
                num_target_files_scanned: 0,
                num_target_files_skipped: 0,
                num_target_files_added: 0,
                num_target_files_removed: 0,
                num_deletion_vectors: 0,
                ..table.metrics.clone()
            };
            (table.name.clone(), metrics)
        })
        .collect();
    counts.sort_by(|a, b| a.0.cmp(&b.0));
    counts
}

/// M10: a dry run gives the counts of the merge and the columns that would be new, and writes nothing.
#[rstest]
fn m10_a_dry_run_says_what_a_merge_does(
    #[values(Mode::Upsert, Mode::Append, Mode::InsertOnly, Mode::Overwrite)] mode: Mode,
    #[values(false, true)] is_soft: bool,
) {
    let is_soft = is_soft && mode != Mode::Append;
    let soft_delete = is_soft.then(|| "is_gone".to_owned());
    let rule = || Rule { mode: Some(mode), soft_delete: soft_delete.clone(), ..rule_of(mode) };
    let lab = LakeLab::new();
    for batch in [
        "{\"id\":1,\"v\":1,\"t\":[1,2],\"deleted\":false}\n{\"id\":2,\"t\":[3]}\n{\"id\":4,\"t\":[9,9]}\n",
        "{\"id\":1,\"v\":\"x\",\"t\":[4]}\n{\"id\":2,\"deleted\":true}\n{\"id\":3,\"t\":[5,6],\"u\":[1]}\n\
         {\"id\":3,\"t\":[5]}\n{\"id\":7,\"deleted\":true}\n",
        "{\"id\":4,\"deleted\":true}\n",
    ] {
        lab.stage(batch);
        let before = lab.bytes();
        let rehearsed = lab.rehearse(rule());
        assert_eq!(lab.bytes(), before, "a dry run writes nothing");
        let merged = lab.merge(rule());
        assert_eq!(counts(&rehearsed), counts(&merged));
        let columns = |report: &EntityReport| {
            let tables = report.tables.iter();
            tables.map(|t| (t.columns_added.clone(), t.columns_widened.clone())).collect::<Vec<_>>()
        };
        assert_eq!(columns(&rehearsed), columns(&merged));
        let records = |report: &EntityReport| {
            (report.num_records, report.num_records_superseded, report.num_deletes_absent)
        };
        assert_eq!(records(&rehearsed), records(&merged));
    }
}

/// M10: the counts of a merge, table by table, are those that Delta's history keeps.
#[test]
fn m10_counts() {
    let lab = LakeLab::of(
        "{\"id\":1,\"t\":[1,2],\"deleted\":false}\n{\"id\":2,\"t\":[3]}\n{\"id\":3,\"t\":[4]}\n",
    );
    let report = lab.take(
        "{\"id\":1,\"t\":[5]}\n{\"id\":2,\"deleted\":true}\n{\"id\":9,\"t\":[6,7]}\n",
        deleting(),
    );
    let orders = &table(&report, "orders").metrics;
    assert_eq!(
        (orders.num_source_rows, orders.num_target_rows_inserted, orders.num_target_rows_updated),
        (3, 1, 1)
    );
    assert_eq!((orders.num_target_rows_deleted, orders.num_target_rows_copied), (1, 1));
    let tags = &table(&report, "orders__t").metrics;
    assert_eq!(
        (tags.num_source_rows, tags.num_target_rows_inserted, tags.num_target_rows_deleted),
        (3, 3, 3)
    );
    for (name, metrics) in [("orders", orders), ("orders__t", tags)] {
        let info = lab.action(name, "commitInfo");
        assert_eq!(info["operationMetrics"], json!(metrics), "{name}");
    }
}

/// M11: tables are readable everywhere: reader 1, writer 2, and stay so.
#[test]
fn m11_protocol_of_every_reader() {
    let lab = LakeLab::of("{\"id\":1,\"v\":1,\"t\":[1]}\n");
    lab.take("{\"id\":1,\"v\":\"x\",\"t\":[2]}\n", Rule::default());
    for name in ["orders", "orders__t"] {
        let protocol = lab.action(name, "protocol");
        assert_eq!(protocol, json!({"minReaderVersion": 1, "minWriterVersion": 2}), "{name}");
        let metadata = lab.action(name, "metaData");
        let configuration = metadata["configuration"].as_object().unwrap();
        assert!(configuration.keys().all(|key| key.starts_with("solder.")), "{configuration:?}");
    }
}

/// M11: deletion vectors raise the protocol to 3 and 7, for a new table and for one that is there, and
/// then stay on without being asked for.
#[rstest]
#[case::from_the_start(true)]
#[case::later(false)]
fn m11_protocol_of_deletion_vectors(#[case] from_the_start: bool) {
    let rule = |on: bool| Rule { deletion_vectors: on.then_some(true), ..Rule::default() };
    let mut records: Vec<String> = (0..40).map(|id| format!("{{\"id\":{id},\"v\":1}}")).collect();
    let lab = LakeLab::new();
    lab.take(&records.join("\n"), rule(from_the_start));
    for (id, is_asked) in [(5, true), (6, false)] {
        records[id] = format!("{{\"id\":{id},\"v\":2}}");
        let report = lab.take(&format!("{}\n", records[id]), rule(is_asked));
        let metrics = &table(&report, "orders").metrics;
        assert_eq!(metrics.num_deletion_vectors, 1);
        assert_eq!((metrics.num_target_files_removed, metrics.num_target_rows_copied), (0, 0));
        lab.is_like(&records);
    }
    let protocol = lab.action("orders", "protocol");
    assert_eq!(protocol["minReaderVersion"], 3);
    assert_eq!(protocol["minWriterVersion"], 7);
    assert_eq!(protocol["readerFeatures"], json!(["deletionVectors"]));
    assert_eq!(protocol["writerFeatures"], json!(["deletionVectors"]));
    let properties = &lab.action("orders", "metaData")["configuration"];
    assert_eq!(properties["delta.enableDeletionVectors"], "true");
}
