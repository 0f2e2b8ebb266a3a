//! R21: shards and commits that are killed at any stage, and plans that nobody ends.

use std::process::Output;

use super::*;

/// The stages of a shard.
pub const OF_SHARD: [&str; 4] =
    ["after-first-block", "before-last-row-groups", "after-last-row-groups", "before-record"];
/// The stages of a commit before the manifest exists.
pub const BEFORE_COMMIT: [&str; 6] = [
    "after-entities",
    "before-finishing",
    "after-finishing",
    "before-publish",
    "while-publishing",
    "before-manifest",
];

impl Place {
    /// `engine COMMAND … --run-id RUN OPTIONS`.
    pub fn sharded(&self, command: &str, run_id: &str, options: &[&str]) -> Command {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
        engine.arg(command);
        if command == "plan" {
            engine.arg(self.folder.path().join("raw"));
        }
        engine.arg(self.curated()).args(["--run-id", run_id]).args(options);
        engine.stdout(Stdio::piped()).stderr(Stdio::piped());
        engine
    }

    pub fn plan(&self, run_id: &str) {
        let options = ["--key", "id", "--bookmark", "--shards", "3"];
        done(&self.sharded("plan", run_id, &options).output().unwrap());
    }

    pub fn shard(&self, run_id: &str, number: usize) {
        done(&self.sharded("shard", run_id, &["--number", &number.to_string()]).output().unwrap());
    }

    pub fn commit(&self, run_id: &str) {
        done(&self.sharded("commit", run_id, &[]).output().unwrap());
    }

    /// Nothing lies about that no manifest names.
    #[track_caller]
    pub fn assert_clean(&self, when: &str) {
        let (found, named) = self.files();
        assert_eq!(found, named, "{when}: garbage");
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn kill_at(command: &mut Command, stage: &str) {
    let mut child = command.env("SOLDER_PAUSE_AT", stage).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let paused = lines.find(|line| line.as_ref().unwrap().contains("paused at"));
    assert!(paused.is_some(), "it never came to {stage}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Three files for three shards, after a run that read one; the second widens a column.
pub fn prepare() -> Place {
    let place = Place::new();
    place.write("orders/1.ndjson", 0..50, "1");
    place.run("first", Mode::Append);
    place.write("orders/2.ndjson", 50..80, "\"x\"");
    place.write("orders/3.ndjson", 80..110, "2");
    place.write("orders/4.ndjson", 110..140, "3.5");
    place
}

/// R21: a shard killed at any stage is read again, and nothing of the first attempt counts or stays.
#[test]
fn r21_killed_shards() {
    for stage in OF_SHARD {
        let place = prepare();
        place.plan("run");
        let nothing = place.sharded("commit", "run", &[]).output().unwrap();
        assert_eq!(nothing.status.code(), Some(66), "no shard has begun");
        kill_at(&mut place.sharded("shard", "run", &["--number", "1"]), stage);
        place.shard("run", 2);
        place.shard("run", 0);
        let early = place.sharded("commit", "run", &[]).output().unwrap();
        assert_eq!(early.status.code(), Some(66), "a shard is missing");
        assert!(
            String::from_utf8_lossy(&early.stderr)
                .contains("1 of 3 shards of run `run` are not done: 1")
        );
        place.shard("run", 1);
        assert_eq!(place.committed(), expected(0..50), "nothing is visible before the commit");
        place.commit("run");
        assert_eq!(place.committed(), expected(0..140), "a shard killed at {stage}");
        place.assert_clean(stage);
    }
}

/// R21: a commit killed at any stage is done again.
#[test]
fn r21_killed_commits() {
    for stage in BEFORE_COMMIT.into_iter().chain(AFTER_COMMIT) {
        let place = prepare();
        place.plan("run");
        (0..3).for_each(|number| place.shard("run", number));
        kill_at(&mut place.sharded("commit", "run", &[]), stage);
        let is_committed = AFTER_COMMIT.contains(&stage);
        let state = if is_committed { 0..140 } else { 0..50 };
        assert_eq!(place.committed(), expected(state), "a commit killed at {stage}");
        place.commit("run");
        assert_eq!(
            place.committed(),
            expected(0..140),
            "a commit killed at {stage}, then done again"
        );
        // A commit that finds itself done clears nothing away; the next run does.
        place.run("next", Mode::Append);
        assert_eq!(place.committed(), expected(0..140));
        place.assert_clean(stage);
    }
}

/// R21: a plan counts until another run commits; what its shards staged goes with the next run.
#[test]
fn r21_another_run_is_first() {
    let place = prepare();
    place.plan("slow");
    place.shard("slow", 0);
    place.run("other", Mode::Append);
    assert_eq!(place.committed(), expected(0..140));
    for (command, options) in [("shard", &["--number", "1"][..]), ("commit", &[])] {
        let refused = place.sharded(command, "slow", options).output().unwrap();
        assert_eq!(refused.status.code(), Some(66));
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(
            error.contains("run `other` has committed since run `slow` was planned"),
            "{error}"
        );
    }
    place.run("next", Mode::Append);
    assert_eq!(place.committed(), expected(0..140));
    place.assert_clean("the plan is void");
}

/// R21: what the shards of a standing plan have staged is no garbage of another run.
#[test]
fn r21_standing_plans_stay() {
    let place = prepare();
    place.plan("run");
    place.shard("run", 0);
    place.kill_at("before-publish", "dead", Mode::Append);
    // Clears away what the dead one left, and is killed before it commits.
    place.kill_at("before-publish", "dead-2", Mode::Append);
    (1..3).for_each(|number| place.shard("run", number));
    place.commit("run");
    assert_eq!(place.committed(), expected(0..140));
}
