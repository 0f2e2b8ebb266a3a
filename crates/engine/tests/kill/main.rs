//! R20, and for merges M8: a run that is killed at any stage leaves the last committed state whole, and the next run
//! neither loses nor repeats a record, and clears away what the dead one left. O7: so does one that is stopped.
//!
//! The program itself is run and killed; `SOLDER_PAUSE_AT` holds it at a stage until then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../lake/mod.rs"]
mod lake;
mod merge;
mod shards;
mod stopped;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rstest::rstest;
use solder_relationalize::curated::{Bookmark, Manifest, StoredShape};
use tempfile::TempDir;

/// The stages before the manifest exists, in order.
const BEFORE_COMMIT: [&str; 11] = [
    "after-listing",
    "after-begin",
    "after-first-block",
    "before-last-row-groups",
    "after-last-row-groups",
    "after-entities",
    "before-finishing",
    "after-finishing",
    "before-publish",
    "while-publishing",
    "before-manifest",
];
/// The stages after it.
const AFTER_COMMIT: [&str; 3] = ["after-manifest", "after-cleaning", "after-commit"];

/// What a killed run was about to do.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// The first run ever.
    First,
    /// New objects are appended; a column widens, so that old files are rewritten.
    Append,
    /// The tables are replaced.
    Replace,
}

/// Ids in the root table and in the child table.
type Ids = (Vec<i64>, Vec<i64>);

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: TempDir::new().unwrap() }
    }

    fn curated(&self) -> PathBuf {
        self.folder.path().join("curated")
    }

    fn write(&self, key: &str, ids: std::ops::Range<i64>, value: &str) {
        let path = self.folder.path().join("raw").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = |id| format!("{{\"id\":{id},\"v\":{value},\"a\":[{id},{id}]}}\n");
        let bad = "bad\n".to_owned();
        fs::write(path, ids.map(line).chain([bad]).collect::<String>()).unwrap();
    }

    fn engine(&self, run_id: &str, mode: Mode) -> Command {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine.arg("relationalize").arg(self.folder.path().join("raw")).arg(self.curated());
        engine.args(["--key", "id", "--threads", "2", "--run-id", run_id]);
        if matches!(mode, Mode::Append) {
            engine.arg("--bookmark");
        }
        engine.stdout(Stdio::null()).stderr(Stdio::piped());
        engine
    }

    fn run(&self, run_id: &str, mode: Mode) {
        let output = self.engine(run_id, mode).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }

    /// Runs until the stage and kills there.
    fn kill_at(&self, stage: &str, run_id: &str, mode: Mode) {
        let mut child = self.engine(run_id, mode).env("SOLDER_PAUSE_AT", stage).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let paused = lines.find(|line| line.as_ref().unwrap().contains("paused at"));
        assert!(paused.is_some(), "the run never came to {stage}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The last manifest, when there is one.
    fn manifest(&self) -> Option<Manifest> {
        let manifests = files_below(&self.curated().join("_solder/manifests"));
        let last = manifests.iter().rfind(|path| path.extension().is_some_and(|e| e == "json"))?;
        Some(serde_json::from_slice(&fs::read(last).unwrap()).unwrap())
    }

    /// The ids in the root table and in the child table, as the manifest has them; checks that all
    /// it names is there and as it says.
    fn committed(&self) -> Ids {
        let Some(manifest) = self.manifest() else { return Default::default() };
        let entity = &manifest.entities["orders"];
        let read = |key: &str| fs::read(self.curated().join(key)).unwrap();
        let shape: StoredShape = serde_json::from_slice(&read(&entity.shape)).unwrap();
        assert_eq!(shape.layout.tables.len(), 2);
        if let Some(key) = &entity.bookmark {
            let bookmark: Bookmark = serde_json::from_slice(&read(key)).unwrap();
            assert!(!bookmark.objects.is_empty());
        }
        for file in &manifest.quarantine {
            assert_eq!(num_rows(&self.curated().join(&file.key)), file.num_rows, "{}", file.key);
        }
        let ids = |table: &str, column: &str| {
            let mut ids = Vec::new();
            for file in &entity.tables[table] {
                let path = self.curated().join(&file.key);
                assert_eq!(fs::metadata(&path).unwrap().len(), file.size_bytes, "{}", file.key);
                assert_eq!(num_rows(&path), file.num_rows, "{}", file.key);
                ids.extend(read_ids(&path, column));
            }
            ids
        };
        (ids("orders", "id"), ids("orders__a", "_root_id"))
    }

    /// All files but manifests, and those that the manifest names.
    fn files(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let root = self.curated();
        let key = |path: PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
        let found = files_below(&root).into_iter().map(key);
        let found = found.filter(|key| !key.starts_with("_solder/manifests/")).collect();
        let manifest = self.manifest().unwrap_or_default();
        let mut named: BTreeSet<String> = manifest.quarantine.into_iter().map(|f| f.key).collect();
        for entity in manifest.entities.into_values() {
            named.extend(entity.tables.into_values().flatten().map(|file| file.key));
            named.extend([Some(entity.shape), entity.bookmark].into_iter().flatten());
        }
        (found, named)
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn open(path: &Path) -> ParquetRecordBatchReaderBuilder<fs::File> {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap()
}

fn num_rows(path: &Path) -> u64 {
    open(path).build().unwrap().map(|batch| batch.unwrap().num_rows() as u64).sum()
}

fn read_ids(path: &Path, column: &str) -> Vec<i64> {
    let batches = open(path).build().unwrap().map(Result::unwrap);
    batches
        .flat_map(|batch| {
            let ids = batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().clone();
            ids.values().to_vec()
        })
        .collect()
}

/// Every id once in the root, twice in the child.
fn expected(ids: impl Iterator<Item = i64> + Clone) -> Ids {
    (ids.clone().collect(), ids.flat_map(|id| [id, id]).collect())
}

/// A place ready for the run that is to be killed, and what is committed before and after it.
fn prepare(mode: Mode) -> (Place, Ids, Ids) {
    let place = Place::new();
    place.write("orders/1.ndjson", 0..50, "1");
    match mode {
        Mode::First => (place, expected(0..0), expected(0..50)),
        Mode::Append => {
            place.run("first", mode);
            place.write("orders/2.ndjson", 50..80, "\"x\"");
            (place, expected(0..50), expected(0..80))
        }
        Mode::Replace => {
            place.run("first", mode);
            place.write("orders/1.ndjson", 100..120, "2.5");
            (place, expected(0..50), expected(100..120))
        }
    }
}

/// R20: killed at any stage, in any mode, then run again, under a new id or the same.
#[rstest]
fn r20_killed_runs(
    #[values(Mode::First, Mode::Append, Mode::Replace)] mode: Mode,
    #[values("again", "killed")] next_id: &str,
) {
    for stage in BEFORE_COMMIT.into_iter().chain(AFTER_COMMIT) {
        let (place, old, new) = prepare(mode);
        place.kill_at(stage, "killed", mode);

        let is_committed = AFTER_COMMIT.contains(&stage);
        let state = if is_committed { &new } else { &old };
        assert_eq!(place.committed(), *state, "{mode:?} killed at {stage}");
        // Who reads the folders without the manifest sees a stranger only while files are moved.
        let (found, named) = place.files();
        let is_data = |key: &&String| !key.starts_with("_solder/");
        let strangers: Vec<_> = found.difference(&named).filter(is_data).collect();
        let is_moving = ["while-publishing", "before-manifest", "after-manifest"].contains(&stage);
        assert!(is_moving || strangers.is_empty(), "{mode:?} killed at {stage}: {strangers:?}");

        place.run(next_id, mode);
        assert_eq!(place.committed(), new, "{mode:?} killed at {stage}, then run again");
        let (found, named) = place.files();
        // A run that was committed is not done again, and so clears nothing away under its own id.
        let is_no_op = is_committed && next_id == "killed";
        assert!(named.is_subset(&found));
        if !is_no_op {
            assert_eq!(found, named, "{mode:?} killed at {stage}: garbage");
        }
    }
}

/// R20: killed twice in a row, then a third run with nothing new to read.
#[test]
fn r20_killed_twice() {
    for (first, second) in [
        ("while-publishing", "before-manifest"),
        ("before-manifest", "after-manifest"),
        ("after-first-block", "while-publishing"),
        ("after-manifest", "after-begin"),
    ] {
        let (place, _, new) = prepare(Mode::Append);
        place.kill_at(first, "killed-1", Mode::Append);
        place.kill_at(second, "killed-2", Mode::Append);
        place.run("again", Mode::Append);
        place.run("and-again", Mode::Append);
        assert_eq!(place.committed(), new, "killed at {first} and {second}");
        let (found, named) = place.files();
        assert_eq!(found, named, "killed at {first} and {second}: garbage");
    }
}

/// R20: a run that is alive is no garbage, whatever is cleared away beside it.
#[test]
fn r20_the_living_stay() {
    let (place, _, _) = prepare(Mode::Append);
    place.kill_at("before-manifest", "dead", Mode::Append);
    let mut alive = place
        .engine("alive", Mode::Append)
        .env("SOLDER_PAUSE_AT", "before-publish")
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(alive.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("paused at")));
    let staged = |place: &Place| {
        let (found, _) = place.files();
        found.into_iter().filter(|key| key.contains("alive")).collect::<Vec<_>>()
    };
    let before = staged(&place);
    place.kill_at("before-publish", "dead-2", Mode::Append);
    place.run("other", Mode::Append);
    assert_eq!(staged(&place), before);
    assert!(before.len() > 3, "{before:?}");
    alive.kill().unwrap();
    alive.wait().unwrap();
}
