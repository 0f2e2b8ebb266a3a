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
