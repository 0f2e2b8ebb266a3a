//! `engine bookmark`: what was read, forgotten and taken back, with the tables always in step (R20).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rstest::rstest;
use solder_relationalize::curated::bookmark::{
    Change, Stamp, change_text, reset, rewind, show, show_text,
};
use solder_relationalize::curated::{Curated, DataFile, Manifest};
use solder_relationalize::progress::NoProgress;
use solder_relationalize::report::Report;
use solder_relationalize::{Crew, Error, Io, Pool, Settings, Stop, relationalize};

/// An input folder and a curated place.
struct Bench {
    folder: tempfile::TempDir,
    crew: Crew,
}

impl Bench {
    fn new() -> Bench {
        let crew = Crew {
            io: Arc::new(Io::start().unwrap()),
            pool: Arc::new(Pool::start(2).unwrap()),
            progress: Arc::new(NoProgress),
            stop: Arc::new(Stop::default()),
        };
        Bench { folder: tempfile::tempdir().unwrap(), crew }
    }

    /// Three runs with a bookmark: orders in all of them, donors since the second.
    fn with_three_runs() -> Bench {
        let bench = Bench::new();
        bench.put("orders/a.ndjson", r#"{"id": 1, "items": [{"n": 10}, {"n": 11}]}"#);
        bench.run("run-1", true).unwrap();
        bench.put("orders/b.ndjson", "{\"id\": 2, \"items\": [{\"n\": 20}]}\n{bad}");
        bench.put("donors/a.ndjson", r#"{"id": 7}"#);
        bench.run("run-2", true).unwrap();
        bench.put("orders/c.ndjson", r#"{"id": 3, "extra": [{"z": 0.5}]}"#);
        bench.run("run-3", true).unwrap();
        bench
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    fn put(&self, key: &str, text: &str) {
        let path = self.path("raw").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }

    fn run(&self, run_id: &str, bookmark: bool) -> Result<Report, Error> {
        let input = self.path("raw").display().to_string();
        let output = self.path("curated").display().to_string();
        let settings = Settings {
            keys: vec!["id".parse().unwrap()],
            bookmark,
            run_id: run_id.to_owned(),
            started_at: "2026-11-23T10:46:06.123Z".to_owned(),
            ..Settings::new(&input, &output)
        };
        relationalize(&settings, &self.crew)
    }

    fn curated(&self) -> Curated {
        let place = self.path("curated").display().to_string();
        Curated::open(self.crew.io.clone(), &place).unwrap()
    }

    fn manifest(&self) -> Manifest {
        self.curated().latest().unwrap()
    }

    fn rewind(&self, table: Option<&str>, to: &str) -> Result<Change, Error> {
        rewind(&self.curated(), table, to, &stamp(&format!("back-to-{to}")))
    }

    /// Column `column` of a table, as its files have it.
    fn integers(&self, table: &str, column: &str) -> Vec<i64> {
        let manifest = self.manifest();
        let tables = manifest.entities.values().flat_map(|entity| &entity.tables);
        let files = tables.filter(|(name, _)| *name == table).flat_map(|(_, files)| files);
        let read = |file: &DataFile| {
            let file = File::open(self.path("curated").join(&file.key)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            reader.flat_map(|batch| {
                let batch = batch.unwrap();
                let values = batch.column_by_name(column).unwrap();
                values.as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>()
            })
        };
        files.flat_map(read).collect()
    }

    /// Every Parquet file of the place counts, and every one that counts is there.
    fn assert_no_strays(&self) {
        let manifest = self.manifest();
        let files = manifest.entities.values().flat_map(|entity| entity.tables.values().flatten());
        let mut named: Vec<String> =
            files.chain(&manifest.quarantine).map(|file| file.key.clone()).collect();
        named.sort();
        let mut found = Vec::new();
        collect_files(&self.path("curated"), "", &mut found);
        found.retain(|key| key.ends_with(".parquet"));
        found.sort();
        assert_eq!(found, named);
    }
}

fn collect_files(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type().unwrap().is_dir() {
            true => collect_files(&entry.path(), &format!("{key}/"), found),
            false => found.push(key),
        }
    }
}

fn stamp(run_id: &str) -> Stamp {
    Stamp { run_id: run_id.to_owned(), committed_at: "2026-11-23T11:00:00.5Z".to_owned() }
}

/// Compares with the snapshot; times of files stand for what they are.
fn assert_snapshot(name: &str, text: &str) {
    insta::with_settings!({
        filters => vec![(r"  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (\S+/)", "  [modified]  $1")],
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, { insta::assert_snapshot!(name, text); });
}

#[test]
fn r20_show_tells_runs_and_objects() {
    let bench = Bench::with_three_runs();
    let bookmarks = show(&bench.curated(), None).unwrap();
    assert_snapshot("bookmark_show", &show_text(&bookmarks));

    let orders = show(&bench.curated(), Some("orders")).unwrap();
    assert_eq!(orders.entities.len(), 1);
    let read: Vec<_> =
        orders.runs.iter().map(|run| (run.objects_read, run.records, run.rows)).collect();
    assert_eq!(read, [(1, 1, 3), (1, 1, 2), (1, 1, 2)]);
    let json = serde_json::to_value(&orders).unwrap();
    assert_eq!(json["entities"][0]["objects"][2]["key"], "orders/c.ndjson");
    assert_eq!(json["entities"][0]["objects"][2]["sequence"], 3);
}

#[test]
fn r20_after_a_reset_the_next_run_replaces() {
    let bench = Bench::with_three_runs();
    let change = reset(&bench.curated(), Some("orders"), &stamp("forget")).unwrap();
    assert_eq!((change.sequence, change.entities[0].objects_forgotten), (4, 3));
    assert_eq!(
        change_text(&change),
        "orders: 3 objects forgotten; the tables stay until the next run replaces them\ncommit 4, forget\n"
    );
    assert_eq!(bench.integers("orders", "id"), [1, 2, 3]);
    assert!(bench.manifest().entities["donors"].bookmark.is_some());

    let report = bench.run("run-5", true).unwrap();
    assert_eq!((report.objects_read, report.objects_skipped), (3, 1));
    assert_eq!(bench.integers("orders", "id"), [1, 2, 3]);
    assert_eq!(bench.integers("donors", "id"), [7]);
    assert_eq!(bench.manifest().entities["orders"].replaced, 5);
    // The record that was set aside before is set aside once, not twice.
    assert_eq!(bench.manifest().quarantine.len(), 1);
    bench.assert_no_strays();
}

#[test]
fn r20_a_reset_without_bookmark_changes_nothing() {
    let bench = Bench::new();
    bench.put("orders/a.ndjson", r#"{"id": 1}"#);
    bench.run("run-1", false).unwrap();
    let change = reset(&bench.curated(), None, &stamp("forget")).unwrap();
    assert_eq!((change.sequence, bench.manifest().sequence), (0, 1));
    assert_eq!(change_text(&change), "there is no bookmark, so nothing changed\n");
}

/// R20: a rewind by id or by number takes later rows and objects back together, and the next run
/// reads exactly those again.
#[rstest]
#[case("1", &[1], &[], 3, &[10, 11])]
#[case("run-1", &[1], &[], 3, &[10, 11])]
#[case("run-2", &[1, 2], &[7], 1, &[10, 11, 20])]
fn r20_rewind_and_read_again(
    #[case] to: &str,
    #[case] orders: &[i64],
    #[case] donors: &[i64],
    #[case] objects_forgotten: u64,
    #[case] items: &[i64],
) {
    let bench = Bench::with_three_runs();
    let change = bench.rewind(None, to).unwrap();
    let forgotten: u64 = change.entities.iter().map(|entity| entity.objects_forgotten).sum();
    assert_eq!((change.sequence, forgotten), (4, objects_forgotten));
    assert_eq!(bench.integers("orders", "id"), orders);
    assert_eq!(bench.integers("orders__items", "n"), items);
    assert_eq!(bench.integers("donors", "id"), donors);
    bench.assert_no_strays();

    let report = bench.run("run-5", true).unwrap();
    assert_eq!(report.objects_read, objects_forgotten);
    assert!(report.changes.is_empty(), "shapes stay: {:?}", report.changes);
    assert_eq!(bench.integers("orders", "id"), [1, 2, 3]);
    assert_eq!(bench.integers("orders__items", "n"), [10, 11, 20]);
    assert_eq!(bench.integers("donors", "id"), [7]);
    assert_eq!(bench.manifest().quarantine.len(), 1);
    // No number is given twice: gaps where rows were taken back.
    let numbers = bench.integers("orders", "_seq");
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers[2] > 2, "{numbers:?}");
    bench.assert_no_strays();
}

#[test]
fn r20_rewind_shows_in_the_history() {
    let bench = Bench::with_three_runs();
    let change = bench.rewind(None, "1").unwrap();
    assert_snapshot("bookmark_rewind", &change_text(&change));
    bench.run("run-5", true).unwrap();
    let bookmarks = show(&bench.curated(), None).unwrap();
    assert_snapshot("bookmark_show_rewound", &show_text(&bookmarks));
}

#[test]
fn r20_rewind_of_one_table_leaves_the_others() {
    let bench = Bench::with_three_runs();
    bench.rewind(Some("orders"), "1").unwrap();
    assert_eq!(bench.integers("orders", "id"), [1]);
    assert_eq!(bench.integers("donors", "id"), [7]);
    let objects: BTreeMap<_, _> = show(&bench.curated(), None)
        .unwrap()
        .entities
        .into_iter()
        .map(|entity| (entity.entity, entity.objects.len()))
        .collect();
    assert_eq!(objects, BTreeMap::from([("donors".to_owned(), 1), ("orders".to_owned(), 1)]));
    bench.assert_no_strays();
}

/// R11, R19: a table that lost all its rows is there all the same.
#[test]
fn r11_tables_without_rows_stay_readable() {
    let bench = Bench::with_three_runs();
    bench.rewind(None, "1").unwrap();
    let manifest = bench.manifest();
    let [file] = manifest.entities["orders"].tables["orders__extra"].as_slice() else {
        panic!("one file for a table without rows");
    };
    assert_eq!((file.num_rows, file.sequence), (0, 4));
    let file = File::open(bench.path("curated").join(&file.key)).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    assert!(schema.field_with_name("z").is_ok());
}

/// R20: an object that changed was read twice; going back to before its change remembers the first.
#[test]
fn r20_rewind_of_a_changed_object() {
    let bench = Bench::new();
    bench.put("orders/a.ndjson", r#"{"id": 1}"#);
    bench.run("run-1", true).unwrap();
    bench.put("orders/a.ndjson", "{\"id\": 1}\n{\"id\": 2}");
    bench.run("run-2", true).unwrap();
    assert_eq!(bench.integers("orders", "id"), [1, 1, 2]);
    bench.rewind(None, "1").unwrap();
    assert_eq!(bench.integers("orders", "id"), [1]);
    let report = bench.run("run-4", true).unwrap();
    assert_eq!(report.objects_changed, ["orders/a.ndjson"]);
}

#[test]
fn r20_rewind_to_before_a_replacement_is_refused() {
    let bench = Bench::with_three_runs();
    bench.run("run-4", false).unwrap();
    let error = bench.rewind(None, "2").unwrap_err();
    assert!(matches!(&error, Error::Replaced { to: 2, replaced: 4, .. }), "{error}");
    assert_eq!((error.exit_code(), bench.manifest().sequence), (64, 4));
    assert!(error.to_string().contains("run 4 replaced its tables"), "{error}");
    bench.assert_no_strays();
}

#[test]
fn r20_rewind_to_the_last_run_changes_nothing() {
    let bench = Bench::with_three_runs();
    let change = bench.rewind(None, "run-3").unwrap();
    assert_eq!((change.sequence, bench.manifest().sequence), (0, 3));
    assert_eq!(change_text(&change), "nothing was read since run 3, so nothing changed\n");
    // A second rewind finds nothing more, and what it made is not taken back either.
    bench.rewind(None, "1").unwrap();
    assert_eq!(bench.rewind(None, "3").unwrap().sequence, 0);
    assert_eq!(bench.rewind(None, "1").unwrap().sequence, 0);
    bench.assert_no_strays();
}

/// R20: the id of a run that was taken back does not pass for one that is committed.
#[test]
fn r20_the_id_of_a_rewound_run_is_refused() {
    let bench = Bench::with_three_runs();
    bench.rewind(None, "1").unwrap();
    let error = bench.run("run-3", true).unwrap_err();
    assert!(error.to_string().contains("taken back by the rewind `back-to-1`"), "{error}");
    assert_eq!(error.exit_code(), 64);
    assert_eq!(bench.run("run-1", true).unwrap().sequence, 1);
}

#[rstest]
#[case(Some("orders__items"), "1", "it is a child table, whose bookmark is that of `orders`")]
#[case(Some("order"), "1", "there are `donors`, `orders`")]
#[case(None, "9", "there is no run `9`")]
#[case(None, "0", "there are 1 to 3")]
fn unknown_names_are_errors(#[case] table: Option<&str>, #[case] to: &str, #[case] says: &str) {
    let bench = Bench::with_three_runs();
    let error = bench.rewind(table, to).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!((error.exit_code(), bench.manifest().sequence), (66, 3));
}

#[test]
fn places_without_commits_are_errors() {
    let bench = Bench::new();
    let error = show(&bench.curated(), None).unwrap_err();
    assert!(matches!(error, Error::NothingCommitted { .. }));
    assert!(!bench.path("curated").exists());
}

/// Objects are known by their keys below the input, so that another input with a file of the same name is no
/// input of before.
#[test]
fn r20_another_input_is_refused_unless_it_has_moved() {
    let bench = Bench::new();
    let run = |input: &str, run_id: &str, moved: bool| {
        let settings = Settings {
            table: Some("t".to_owned()),
            bookmark: true,
            moved,
            run_id: run_id.to_owned(),
            ..Settings::new(
                &bench.path(input).display().to_string(),
                &bench.path("curated").display().to_string(),
            )
        };
        relationalize(&settings, &bench.crew)
    };
    for folder in ["a", "b"] {
        std::fs::create_dir_all(bench.path(folder)).unwrap();
        std::fs::write(bench.path(folder).join("x.ndjson"), format!("{{\"{folder}\": 1}}\n"))
            .unwrap();
    }
    assert_eq!(run("a/x.ndjson", "1", false).unwrap().records_read, 1);
    // The folder of the file, and a glob in it, are the same input.
    assert_eq!(run("a", "2", false).unwrap().objects_skipped, 1);
    assert_eq!(run("a/*.ndjson", "3", false).unwrap().objects_skipped, 1);
    for input in ["b", "b/x.ndjson"] {
        let error = run(input, "4", false).unwrap_err();
        assert_eq!(error.exit_code(), 64);
        let text = error.to_string();
        assert!(text.contains("/a`") && text.contains("/b`") && text.contains("--moved"), "{text}");
    }
    std::fs::rename(bench.path("a"), bench.path("c")).unwrap();
    assert!(run("c", "5", false).is_err());
    assert_eq!(run("c", "6", true).unwrap().objects_skipped, 1);
    // With the first new object, the bookmark has moved as well.
    std::fs::write(bench.path("c").join("y.ndjson"), "{\"c\": 1}\n").unwrap();
    assert_eq!(run("c", "7", true).unwrap().records_read, 1);
    assert_eq!(run("c", "8", false).unwrap().objects_skipped, 2);
}
