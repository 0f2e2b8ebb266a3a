//! O7: SIGTERM at any stage ends a command within 20 s. What is half done is visible to nobody, and the next run does
//! the rest, whether the stage went on and the command stopped by itself, or hung and was ended.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::*;

/// What those who send SIGTERM wait.
const SOON: Duration = Duration::from_secs(20);
const STOPPED: i32 = 143;

/// The stages of a run behind which it looks whether it is to stop.
const STOPS_AFTER: [&str; 8] = [
    "after-listing",
    "after-begin",
    "after-first-block",
    "before-last-row-groups",
    "after-last-row-groups",
    "after-entities",
    "before-finishing",
    "after-finishing",
];

/// A command that stands at a stage.
pub struct Held {
    child: Child,
    go_on: PathBuf,
    folder: TempDir,
    told: Option<Instant>,
}

impl Held {
    /// Runs a command until the stage; `None` when it ended before.
    pub fn at(stage: &str, mut command: Command) -> Option<Held> {
        let folder = TempDir::new().unwrap();
        let go_on = folder.path().join("go-on");
        command.env("SOLDER_PAUSE_AT", stage).env("SOLDER_PAUSE_UNTIL", &go_on);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        if !lines.any(|line| line.unwrap().contains("paused at")) {
            child.wait().unwrap();
            return None;
        }
        // Nobody reads on, but it may write on.
        std::thread::spawn(move || lines.count());
        Some(Held { child, go_on, folder, told: None })
    }

    /// Sends SIGTERM.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.told = Some(Instant::now());
    }

    /// The stage ends.
    pub fn go_on(&self) {
        // The signal is there before.
        std::thread::sleep(Duration::from_millis(100));
        fs::write(&self.go_on, "").unwrap();
    }

    /// Waits for the end, which comes soon.
    pub fn end(mut self, context: &str) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let took = self.told.unwrap().elapsed();
        assert!(took < SOON, "{context}: {took:?}");
        drop(self.folder);
        status
    }
}

fn hold(stage: &str, command: Command) -> Held {
    Held::at(stage, command).unwrap_or_else(|| panic!("it never came to {stage}"))
}

/// Holds a command at each stage in a place of its own, and stops all of them together.
fn stopped(
    stages: &[&'static str],
    goes_on: bool,
    mut command: impl FnMut() -> (Place, Command),
) -> Vec<(&'static str, Place, i32)> {
    let held = stages.iter().map(|stage| {
        let (place, command) = command();
        (*stage, place, hold(stage, command))
    });
    let mut held: Vec<_> = held.collect();
    for (_, _, held) in &mut held {
        held.stop();
        if goes_on {
            held.go_on();
        }
    }
    let ended = held.into_iter().map(|(stage, place, held)| {
        let code = held.end(stage).code().expect("it ends by itself");
        (stage, place, code)
    });
    ended.collect()
}

/// Checks what a stopped command left: all of the state before, or all of the state after.
fn assert_whole(place: &Place, stage: &str, code: i32, old: &Ids, new: &Ids) {
    let committed = place.committed();
    let is_committed = place
        .manifest()
        .is_some_and(|manifest| manifest.runs.last().is_some_and(|run| run.run_id == "stopped"));
    assert_eq!(committed, *if is_committed { new } else { old }, "stopped at {stage}");
    match code {
        0 => assert!(is_committed, "{stage}: done, it says"),
        _ => assert_eq!(code, STOPPED, "{stage}"),
    }
}

#[rstest]
fn o7_runs_that_stop_by_themselves(#[values(Mode::First, Mode::Append, Mode::Replace)] mode: Mode) {
    let stages: Vec<_> = BEFORE_COMMIT.into_iter().chain(AFTER_COMMIT).collect();
    let (_, old, new) = prepare(mode);
    let ended = stopped(&stages, true, || {
        let (place, ..) = prepare(mode);
        let command = place.engine("stopped", mode);
        (place, command)
    });
    for (stage, place, code) in ended {
        assert_whole(&place, stage, code, &old, &new);
        if STOPS_AFTER.contains(&stage) {
            assert_eq!(code, STOPPED, "{stage}");
            let (found, named) = place.files();
            assert_eq!(found, named, "{stage}: it left something");
        }
        place.run("again", mode);
        assert_eq!(place.committed(), new, "{stage}");
    }
}

#[rstest]
fn o7_runs_that_hang(#[values(Mode::Append, Mode::Replace)] mode: Mode) {
    let stages: Vec<_> = BEFORE_COMMIT.into_iter().chain(AFTER_COMMIT).collect();
    let (_, old, new) = prepare(mode);
    let ended = stopped(&stages, false, || {
        let (place, ..) = prepare(mode);
        let command = place.engine("stopped", mode);
        (place, command)
    });
    for (stage, place, code) in ended {
        assert_eq!(code, STOPPED, "{stage}");
        assert_whole(&place, stage, code, &old, &new);
        place.run("again", mode);
        assert_eq!(place.committed(), new, "{stage}");
        let (found, named) = place.files();
        assert_eq!(found, named, "{stage}: garbage");
    }
}

#[rstest]
fn o7_shards(#[values(true, false)] goes_on: bool) {
    let ended = stopped(&shards::OF_SHARD, goes_on, || {
        let place = shards::prepare();
        place.plan("stopped");
        let command = place.sharded("shard", "stopped", &["--number", "1"]);
        (place, command)
    });
    for (stage, place, code) in ended {
        // Behind its last block, a shard is as good as done.
        assert!(code == STOPPED || (goes_on && code == 0), "{stage}: {code}");
        assert_eq!(place.committed(), expected(0..50), "{stage}: nothing is visible");
        (0..3).for_each(|number| place.shard("stopped", number));
        place.commit("stopped");
        assert_eq!(place.committed(), expected(0..140), "{stage}");
        place.assert_clean(stage);
    }
}

#[rstest]
fn o7_commits(#[values(true, false)] goes_on: bool) {
    let stages: Vec<_> = shards::BEFORE_COMMIT.into_iter().chain(AFTER_COMMIT).collect();
    let ended = stopped(&stages, goes_on, || {
        let place = shards::prepare();
        place.plan("stopped");
        (0..3).for_each(|number| place.shard("stopped", number));
        let command = place.sharded("commit", "stopped", &[]);
        (place, command)
    });
    for (stage, place, code) in ended {
        assert_whole(&place, stage, code, &expected(0..50), &expected(0..140));
        assert!(goes_on || code == STOPPED, "{stage}");
        place.commit("stopped");
        assert_eq!(place.committed(), expected(0..140), "{stage}");
        place.run("next", Mode::Append);
        place.assert_clean(stage);
    }
}
