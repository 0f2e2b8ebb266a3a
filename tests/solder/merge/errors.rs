//! What a merge refuses, and in which words; the lake is as it was then.

use std::fs;

use deltalake_core::kernel::{DataType, PrimitiveType};
use deltalake_core::operations::create::CreateBuilder;
use rstest::rstest;
use solder_lake::merge::{Mode, Rule};
use solder_relationalize::Settings;

use super::lab::{LakeLab, deleting};
use crate::support::key;

fn text(name: &str) -> String {
    name.to_owned()
}

/// A table of somebody else's making.
fn create(lab: &LakeLab, change: impl FnOnce(CreateBuilder) -> CreateBuilder) {
    let folder = lab.folder("orders");
    fs::create_dir_all(&folder).unwrap();
    let builder = CreateBuilder::new()
        .with_location(folder.to_str().unwrap())
        .with_column("id", DataType::Primitive(PrimitiveType::Long), true, None)
        .with_column("v", DataType::Primitive(PrimitiveType::String), true, None);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { change(builder).await }).unwrap();
}

/// No key: the words say what to do, and the modes that need none.
#[rstest]
#[case::upsert(Mode::Upsert, "upsert")]
#[case::insert_only(Mode::InsertOnly, "insert-only")]
fn m2_a_mode_that_needs_a_key(#[case] mode: Mode, #[case] name: &str) {
    let lab = LakeLab::new();
    lab.stage_with("{\"id\":1}\n", |_: &mut Settings| {});
    let (code, error) = lab.fail(Rule { mode: Some(mode), ..Rule::default() });
    assert_eq!(code, 64);
    assert_eq!(
        error,
        format!(
            "`orders` has no key, which {name} needs: declare it with `engine relationalize --key orders=COLUMN`, or merge with --key orders=COLUMN, --mode append or --mode overwrite"
        )
    );
    lab.merge(Rule { mode: Some(mode), key: vec![text("id")], ..Rule::default() });
    lab.shows("orders", "| id |\n| 1 |");
}

/// A column that is not there, with those that are.
#[rstest]
#[case::key(Rule { key: vec![text("idd")], ..Rule::default() }, "--key: `orders` has no column `idd`")]
#[case::order_by(
    Rule { order_by: vec![text("at")], ..Rule::default() },
    "--order-by: `orders` has no column `at`"
)]
#[case::delete_when(Rule { delete_when: Some(text("gone")), ..Rule::default() }, "gone")]
#[case::delete_when_syntax(
    Rule { delete_when: Some(text("deleted = = 1")), ..Rule::default() },
    "deleted = = 1"
)]
fn m5_columns_that_are_not_there(#[case] rule: Rule, #[case] words: &str) {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"v\":2}\n");
    let is_sql = rule.delete_when.is_some();
    let (code, error) = lab.fail(rule);
    assert_eq!(code, 64, "{error}");
    assert!(error.contains(words), "{error}");
    match is_sql {
        true => assert!(error.contains("--delete-when"), "{error}"),
        false => assert!(error.contains("it has id"), "{error}"),
    }
    assert!(lab.tables().is_empty());
}

/// A mark needs to know what a deletion is, and a name of its own.
#[rstest]
#[case::without_condition(
    Rule { soft_delete: Some(text("gone")), ..Rule::default() },
    "--soft-delete needs --delete-when, which says what a deletion is"
)]
#[case::name_is_taken(
    Rule { soft_delete: Some(text("v")), ..deleting() },
    "--soft-delete v: `orders` has a column of that name in staging"
)]
fn m5_marks_that_cannot_be(#[case] rule: Rule, #[case] words: &str) {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"v\":2,\"deleted\":true}\n");
    assert_eq!(lab.fail(rule), (64, text(words)));
}

/// A folder with files that are no Delta table is left alone.
#[rstest]
#[case::root("orders")]
#[case::child("orders__t")]
fn m8_a_folder_that_is_no_delta_table(#[case] name: &str) {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"t\":[1]}\n");
    fs::create_dir_all(lab.folder(name)).unwrap();
    fs::write(lab.folder(name).join("notes.txt"), "mine").unwrap();
    let before = lab.bytes();
    let (code, error) = lab.fail(Rule::default());
    assert_eq!(code, 65);
    assert_eq!(
        error,
        format!("`LAB/lake/{name}` is not a Delta table: it has files, but no _delta_log")
    );
    assert_eq!(lab.bytes(), before);
}

/// Tables that a merge would break.
#[rstest]
#[case::partitioned(
    "partitioned",
    "it is partitioned by `v`, and only tables without partitions can be merged into"
)]
#[case::append_only(
    "append-only",
    "its property delta.appendOnly forbids to change or delete rows; --mode append adds rows only"
)]
#[case::change_data_feed(
    "change-data-feed",
    "it keeps a change data feed, which a merge does not write; switch delta.enableChangeDataFeed off"
)]
#[case::not_null("not-null", "its column `w` is declared NOT NULL, which staging cannot promise")]
fn m11_tables_that_cannot_be_merged_into(#[case] kind: &str, #[case] words: &str) {
    let lab = LakeLab::new();
    let property = |builder: CreateBuilder, name: &str| {
        builder.with_configuration([(name.to_owned(), Some("true"))])
    };
    create(&lab, |builder| match kind {
        "partitioned" => builder.with_partition_columns(["v"]),
        "append-only" => property(builder, "delta.appendOnly"),
        "change-data-feed" => property(builder, "delta.enableChangeDataFeed"),
        _ => builder.with_column("w", DataType::Primitive(PrimitiveType::Long), false, None),
    });
    lab.stage("{\"id\":1,\"v\":\"x\"}\n");
    let before = lab.bytes();
    let (code, error) = lab.fail(Rule::default());
    assert_eq!((code, error), (65, format!("cannot merge into `LAB/lake/orders`: {words}")));
    assert_eq!(lab.bytes(), before);
}

/// M11: what only forbids to take rows away does not forbid to add some.
#[test]
fn m11_append_only_tables_can_be_appended_to() {
    let lab = LakeLab::new();
    create(&lab, |builder| {
        builder.with_configuration([("delta.appendOnly".to_owned(), Some("true"))])
    });
    lab.stage("{\"id\":1,\"v\":\"x\"}\n");
    lab.merge(Rule { mode: Some(Mode::Append), ..Rule::default() });
    lab.shows("orders", "| id | v |\n| 1 | x |");
}

/// M11: a table that somebody else made, and that has nothing special, is merged into.
#[test]
fn m11_tables_of_others() {
    let lab = LakeLab::new();
    create(&lab, |builder| builder);
    lab.stage("{\"id\":1,\"v\":\"x\",\"t\":[1]}\n");
    lab.merge(Rule::default());
    lab.stage("{\"id\":1,\"v\":\"y\",\"t\":[]}\n");
    lab.merge(Rule::default());
    lab.is_like(&[text("{\"id\":1,\"v\":\"y\",\"t\":[]}")]);
}

/// M3: a key that stands twice in the target names no row; the words say how many and which.
#[test]
fn m3_duplicate_keys_in_the_target() {
    let lab = LakeLab::new();
    lab.stage("{\"id\":7,\"v\":1}\n{\"id\":7,\"v\":2}\n{\"id\":8,\"v\":1}\n{\"id\":8,\"v\":1}\n{\"id\":9,\"v\":1}\n");
    lab.merge(Rule { mode: Some(Mode::Append), ..Rule::default() });
    lab.stage("{\"id\":9,\"v\":3}\n");
    lab.merge(Rule::default());
    lab.stage("{\"id\":7,\"v\":3}\n{\"id\":8,\"v\":3}\n{\"id\":9,\"v\":4}\n");
    let before = lab.bytes();
    let (code, error) = lab.fail(Rule::default());
    assert_eq!(code, 65);
    assert_eq!(
        error,
        "`LAB/lake/orders` has 2 keys that stand in more than one row, the first: id = 7; a merge cannot tell which row is meant"
    );
    assert_eq!(lab.bytes(), before);
}

/// R7: the names of AWS Glue do not go into Delta tables.
#[test]
fn m11_glue_names() {
    let lab = LakeLab::new();
    lab.stage_with("{\"id\":1,\"t\":[1]}\n", |settings| {
        settings.bookmark = false;
        settings.naming = solder_relationalize::relation::Naming::Glue;
        settings.table = Some(text("root"));
        settings.keys = key("id");
    });
    let (code, error) = lab.fail(Rule::default());
    assert_eq!(code, 65);
    assert!(error.starts_with("`root` was relationalized with --naming glue"), "{error}");
    assert!(lab.tables().is_empty());
}

/// M1: a place where nothing was committed.
#[test]
fn m1_nothing_staged() {
    let lab = LakeLab::new();
    let (code, error) = lab.fail(Rule::default());
    assert_eq!(code, 66, "{error}");
    assert!(error.contains("LAB/curated"), "{error}");
}

/// M2: an append takes every record as it is, and says so when it is told what it would not do.
#[test]
fn m2_an_append_knows_no_deletions() {
    let lab = LakeLab::new();
    lab.stage("{\"id\":1,\"deleted\":true}\n");
    let (code, error) = lab.fail(Rule { mode: Some(Mode::Append), ..deleting() });
    assert_eq!(code, 64);
    assert!(error.contains("--delete-when and --order-by have no meaning there"), "{error}");
}
