//! M8: a merge that is killed at any stage is brought to its end by the next one, and then all tables are
//! as if nothing had happened.

#[path = "merge_feeds.rs"]
mod feeds;
#[path = "merge_resumed.rs"]
mod resumed;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::lake::{Tables, num_commits, properties, tables};
use crate::stopped::Held;

/// The stages of a merge, in order.
const STAGES: [&str; 6] = [
    "merge-planned",
    "merge-begun",
    "merge-files-written",
    "merge-child-committed",
    "merge-children-committed",
    "merge-root-committed",
];

/// A root with two child tables.
struct Place {
    folder: TempDir,
}

/// What is staged, run by run. The second replaces records of the first with shorter and longer arrays,
/// brings new ones and a new column; the third replaces and deletes records of both.
fn batch(run: usize) -> String {
    let record = |id: usize| match run {
        1 => format!(
            r#"{{"id":{id},"v":1,"items":[{{"n":{id}}},{{"n":0}}],"tags":["a"],"deleted":false}}"#
        ),
        2 => match id % 2 {
            0 => format!(r#"{{"id":{id},"v":2,"w":true,"items":[],"tags":["b","c"]}}"#),
            _ => format!(r#"{{"id":{id},"v":2,"items":[{{"n":1}},{{"n":2}},{{"n":{id}}}]}}"#),
        },
        _ => match id % 3 {
            0 => format!(r#"{{"id":{id},"deleted":true}}"#),
            1 => format!(r#"{{"id":{id},"v":3,"tags":["d"]}}"#),
            _ => format!(r#"{{"id":{id},"v":3,"items":[{{"n":9}}]}}"#),
        },
    };
    let ids = match run {
        1 => 0..20,
        2 => 10..30,
        _ => 5..35,
    };
    ids.map(|id| record(id) + "\n").collect()
}

impl Place {
    fn new() -> Place {
        Place { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn stage(&self, run: usize) {
        self.stage_lines(run, &batch(run), &["--bookmark"]);
    }

    /// Stages a run of its own lines.
    fn stage_lines(&self, run: usize, lines: &str, options: &[&str]) {
        let raw = self.path("raw/orders");
        fs::create_dir_all(&raw).unwrap();
        fs::write(raw.join(format!("{run}.ndjson")), lines).unwrap();
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine.arg("relationalize").arg(self.path("raw")).arg(self.path("curated"));
        must_succeed(engine.args(["--key", "orders=id", "--threads", "2"]).args(options));
    }

    /// A merge with the settings of a test.
    fn merging_with(&self, options: &[&str]) -> Command {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine.arg("merge").arg("--staging").arg(self.path("curated"));
        engine.arg("--into").arg(self.path("lake"));
        engine.args(["--threads", "2", "--wait", "0"]).args(options);
        engine
    }

    /// What a merge says of itself, entity by entity.
    fn reports(&self, options: &[&str]) -> Vec<Value> {
        let mut merging = self.merging_with(options);
        let output = merging.args(["--report", "json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["entities"].as_array().unwrap().clone()
    }

    /// Lengths are those of the child rows, and child rows have their parents (M12).
    fn must_fit(&self, context: &str) {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        let output = engine.arg("check").arg(self.path("lake")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{context}: {text}");
    }

    /// The job of this place.
    fn job(&self) -> Command {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine.current_dir(self.folder.path()).args(["run", "job.yaml", "--run-id", "r"]);
        engine
    }

    fn merging(&self) -> Command {
        self.merging_with(&["--delete-when", "deleted"])
    }

    fn merge(&self) {
        must_succeed(&mut self.merging());
    }

    /// Merges until the stage and kills there.
    fn kill_at(&self, stage: &str) {
        kill(self.merging(), stage);
    }

    /// The rows of all tables; no merge is under way any more.
    fn tables(&self) -> Tables {
        let lake = self.path("lake");
        let properties = properties(&lake.join("orders"));
        assert!(properties.get("solder.merging").is_none(), "{properties}");
        let found = tables(&lake);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["orders", "orders__items", "orders__tags"]);
        found
    }
}

/// Runs until the stage and kills there.
fn kill(mut merging: Command, stage: &str) {
    merging.env("SOLDER_PAUSE_AT", stage).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = merging.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let paused = lines.find(|line| line.as_ref().unwrap().contains("paused at"));
    assert!(paused.is_some(), "the merge never came to {stage}");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn must_succeed(engine: &mut Command) {
    let output = engine.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The tables after so many runs, each merged when it was staged and never disturbed.
static UNDISTURBED: LazyLock<Vec<Tables>> = LazyLock::new(|| {
    let place = Place::new();
    let after = |run| {
        place.stage(run);
        place.merge();
        place.tables()
    };
    (1..=3).map(after).collect()
});

/// A place where the merge of the run `run` is to be killed.
fn prepare(run: usize) -> Place {
    let place = Place::new();
    for earlier in 1..run {
        place.stage(earlier);
        place.merge();
    }
    place.stage(run);
    place
}

/// M8: killed at a stage of the first merge or of a later one, then merged again, and once more.
#[rstest]
fn m8_killed_merges(#[values(1, 2)] run: usize) {
    for stage in STAGES {
        let place = prepare(run);
        place.kill_at(stage);
        place.merge();
        assert_eq!(place.tables(), UNDISTURBED[run - 1], "run {run} killed at {stage}");
        let commits = num_commits(&place.path("lake/orders"));
        place.merge();
        assert_eq!(num_commits(&place.path("lake/orders")), commits, "{stage}: nothing to do");
    }
}

/// O7: SIGTERM ends a merge at once, wherever it is; the next one does the rest.
#[rstest]
fn o7_stopped_merges(#[values(1, 2)] run: usize) {
    for stage in STAGES {
        let place = prepare(run);
        let mut held = Held::at(stage, place.merging()).unwrap();
        held.stop();
        assert_eq!(held.end(stage).code(), Some(143), "{stage}");
        place.merge();
        assert_eq!(place.tables(), UNDISTURBED[run - 1], "run {run} stopped at {stage}");
    }
}

/// O7: as a merge, a result that comes into the lake comes whole or not at all.
#[test]
fn o7_stopped_results() {
    let place = prepare(1);
    place.merge();
    let result = |version: usize| {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine
            .arg("sql")
            .arg("--lake")
            .arg(place.path("lake"))
            .arg("--into")
            .arg(place.path("lake"));
        engine.args(["--table", "mart", "--key", "id", "--threads", "2", "-c"]);
        engine.arg(format!("select id, {version} as version from orders"));
        engine
    };
    must_succeed(&mut result(0));
    let rows = || crate::lake::rows(&place.path("lake/mart"));
    let mut num_held = 0;
    for (number, stage) in STAGES.into_iter().enumerate() {
        let version = number + 1;
        let before = rows();
        let Some(mut held) = Held::at(stage, result(version)) else { continue };
        num_held += 1;
        held.stop();
        assert_eq!(held.end(stage).code(), Some(143), "{stage}");
        let found = rows();
        let is_new = found.iter().all(|row| row.contains(&format!("version: {version}")));
        assert!(found == before || (found.len() == before.len() && is_new), "{stage}: {found:?}");
        must_succeed(&mut result(version));
        assert_ne!(rows(), before, "{stage}");
    }
    assert!(num_held >= 3, "{num_held} stages");
}

/// O7: SIGTERM to a job goes to its steps; the same run id again does what is left.
#[test]
fn o7_stopped_jobs() {
    let stages =
        ["before-manifest", "merge-planned", "merge-child-committed", "merge-root-committed"];
    let held = stages.map(|stage| {
        let place = Place::new();
        fs::create_dir_all(place.path("raw/orders")).unwrap();
        fs::write(place.path("raw/orders/1.ndjson"), batch(1)).unwrap();
        let job = "relationalize:\n  shop: { input: raw, output: curated, bookmark: true, key: { orders: id } }\n\
                   merge: { staging: curated, into: lake, defaults: { delete_when: deleted } }\n";
        fs::write(place.path("job.yaml"), job).unwrap();
        let mut held = Held::at(stage, place.job()).unwrap();
        held.stop();
        (stage, place, held)
    });
    for (stage, place, held) in held {
        assert_eq!(held.end(stage).code(), Some(143), "{stage}");
        must_succeed(&mut place.job());
        assert_eq!(place.tables(), UNDISTURBED[0], "stopped at {stage}");
    }
}

/// M8: killed at one stage, and the one that goes on at another.
#[test]
fn m8_killed_twice() {
    for (first, second) in [
        ("merge-begun", "merge-child-committed"),
        ("merge-child-committed", "merge-files-written"),
        ("merge-child-committed", "merge-children-committed"),
        ("merge-children-committed", "merge-planned"),
    ] {
        let place = prepare(2);
        place.kill_at(first);
        place.kill_at(second);
        place.merge();
        assert_eq!(place.tables(), UNDISTURBED[1], "killed at {first} and {second}");
    }
}

/// M6, M8: killed, then a new run is staged that replaces and deletes what the dead merge had brought to
/// the child tables and not to the root.
#[rstest]
fn m8_killed_merges_and_a_new_run(#[values(1, 2)] run: usize) {
    for stage in STAGES {
        let place = prepare(run);
        place.kill_at(stage);
        for later in run + 1..=3 {
            place.stage(later);
        }
        place.merge();
        assert_eq!(place.tables(), UNDISTURBED[2], "run {run} killed at {stage}");
    }
}
