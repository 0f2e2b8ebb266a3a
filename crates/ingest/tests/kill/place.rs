//! Runs of the program into one place, and what counts there.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use solder_landing::Place as Raw;
use solder_landing::raw::{CommittedStream, committed};
use tempfile::TempDir;

use crate::server::{Fault, PATIENCE, Server, State, read_all};
use crate::store::{BUCKET, Store};

/// How the server gives its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ascending: every page counts at once.
    Feed,
    /// Newest first: a window counts when it is whole.
    Window,
    /// A full list: a run counts when it is whole, and replaces the one before.
    List,
}

impl Kind {
    fn stream(self) -> &'static str {
        match self {
            Kind::Feed => "feed",
            Kind::Window => "window",
            Kind::List => "list",
        }
    }
}

/// How a run has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub report: Value,
    pub stderr: String,
}

impl Ended {
    pub fn outcome(&self) -> &str {
        self.report["streams"][0]["outcome"].as_str().unwrap_or_default()
    }
}

/// A folder with a source file and `raw/`.
pub struct Place {
    folder: TempDir,
    pub kind: Kind,
    pub server: Server,
    /// Where `raw/` is, when it is not in the folder.
    store: Option<Store>,
}

impl Place {
    pub fn new(kind: Kind, server: Server) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let initial = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(60);
        let source = include_str!("source.yaml")
            .replace("ADDRESS", &server.address)
            .replace("INITIAL", &initial.to_string());
        fs::write(folder.path().join("api.yaml"), source).unwrap();
        Place { folder, kind, server, store: None }
    }

    /// With `raw/` in a store.
    pub fn in_store(self, store: &Store) -> Place {
        Place { store: Some(store.clone()), ..self }
    }

    pub fn raw(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    /// A run that commits as often as it may: with big records, after every page.
    pub fn command(&self, run_id: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingest"));
        command.current_dir(self.folder.path());
        command.args(["run", "api.yaml", "--stream", self.kind.stream(), "--to"]);
        match &self.store {
            None => command.arg("raw"),
            Some(store) => command
                .arg(format!("s3://{BUCKET}/raw"))
                .env("AWS_ENDPOINT_URL", &store.endpoint)
                .env("AWS_MAX_ATTEMPTS", "3")
                .env("AWS_REGION", "eu-central-1")
                .env("AWS_ACCESS_KEY_ID", "key")
                .env("AWS_SECRET_ACCESS_KEY", "secret"),
        };
        command.args(["--run-id", run_id, "--report", "json", "--part-size", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, run_id: &str) -> Child {
        self.command(run_id).spawn().unwrap()
    }

    pub fn run(&self, run_id: &str) -> Ended {
        end(self.start(run_id))
    }

    /// A run that succeeds.
    pub fn complete(&self, run_id: &str) -> Ended {
        let ended = self.run(run_id);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended
    }

    /// Runs until the stage and kills there; false when the run ended before.
    pub fn kill_at(&self, stage: &str, run_id: &str) -> bool {
        let mut child = self.command(run_id).env("SOLDER_PAUSE_AT", stage).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let wanted = format!("paused at {stage}");
        let has_come = lines.any(|line| line.unwrap().contains(&wanted));
        child.kill().unwrap();
        child.wait().unwrap();
        has_come
    }

    /// Runs until the stage, sends SIGTERM there, and lets it go on if asked to. Gives the exit code and how long
    /// the end took.
    pub fn stop_at(&self, stage: &str, run_id: &str, goes_on: bool) -> (i32, Duration) {
        let go_on = self.folder.path().join(format!("go-on-{run_id}"));
        let mut command = self.command(run_id);
        command.env("SOLDER_PAUSE_AT", stage).env("SOLDER_PAUSE_UNTIL", &go_on);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let wanted = format!("paused at {stage}");
        assert!(lines.any(|line| line.unwrap().contains(&wanted)), "it never came to {stage}");
        let rest = std::thread::spawn(move || lines.count());
        let began = Instant::now();
        signal(&child, "TERM");
        if goes_on {
            // The signal is there before.
            std::thread::sleep(Duration::from_millis(100));
            fs::write(go_on, "").unwrap();
        }
        let code = child.wait().unwrap().code().expect("the program ends by itself");
        let took = began.elapsed();
        rest.join().unwrap();
        (code, took)
    }

    /// A run whose answers are held back from this request on; false when it ended before.
    pub fn hold(&self, from_request: u64, run_id: &str) -> (Child, bool) {
        self.server.set(Fault::Hold { from_request });
        let mut child = self.start(run_id);
        let began = Instant::now();
        let is_held = self.server.wait_held(1, || {
            assert!(began.elapsed() < PATIENCE, "the run stands");
            child.try_wait().unwrap().is_some()
        });
        (child, is_held)
    }

    /// Runs until this request is answered no more, and kills there.
    pub fn kill_at_request(&self, from_request: u64, run_id: &str) -> bool {
        let (mut child, is_held) = self.hold(from_request, run_id);
        child.kill().unwrap();
        child.wait().unwrap();
        self.server.set(Fault::None);
        is_held
    }

    /// The states that count. Each counts once, was one of the server's, and stands in a part that is as its
    /// manifest says.
    pub fn committed(&self) -> BTreeSet<State> {
        let Some(stream) = self.stream() else { return BTreeSet::new() };
        let mut states = BTreeSet::new();
        for part in &stream.parts {
            let file = &part.file;
            let bytes = fs::read(self.raw().join(&file.key)).unwrap();
            assert_eq!(bytes.len() as u64, file.size_bytes, "{}", file.key);
            assert_eq!(hex::encode(Sha256::digest(&bytes)), file.sha256, "{}", file.key);
            let lines = zstd::decode_all(bytes.as_slice()).unwrap();
            let mut times = Vec::new();
            let mut num_records = 0;
            for line in lines.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n') {
                let record: Value = serde_json::from_slice(line).unwrap();
                let ms = record["ms"].as_i64().unwrap();
                let state = (record["id"].as_u64().unwrap(), ms, record["n"].as_u64().unwrap());
                assert!(states.insert(state), "{state:?} counts twice");
                times.push(match self.kind {
                    Kind::Window => (ms, ms.to_string()),
                    _ => (ms, record["time"].as_str().unwrap().to_owned()),
                });
                num_records += 1;
            }
            assert_eq!(num_records, file.num_records, "{}", file.key);
            if self.kind != Kind::List {
                times.sort();
                let range = (times[0].1.clone(), times[times.len() - 1].1.clone());
                assert_eq!(file.cursor_range, Some(range), "{}", file.key);
            }
        }
        let history = self.server.history();
        assert!(states.is_subset(&history), "the server never had {:?}", &states - &history);
        states
    }

    /// What a run that saw everything leaves: nothing is missing, and of a list nothing is old.
    pub fn assert_all_committed(&self) {
        let (committed, now) = (self.committed(), self.server.now());
        assert!(now.is_subset(&committed), "missing: {:?}", &now - &committed);
        if self.kind == Kind::List {
            assert_eq!(committed, now, "a list is replaced");
        }
    }

    pub fn num_commits(&self) -> usize {
        self.files("manifests").len()
    }

    /// The files below a folder of the stream in `raw/`.
    pub fn files(&self, part: &str) -> Vec<PathBuf> {
        let stream = format!("{part}/source=api/stream={}", self.kind.stream());
        let mut files = Vec::new();
        let mut folders = vec![self.raw().join(stream)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }

    fn stream(&self) -> Option<CommittedStream> {
        if let Some(store) = &self.store {
            store.save(self.folder.path());
        }
        let raw = Raw::parse(self.raw().to_str().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let streams = runtime.block_on(committed(&raw)).unwrap()?;
        streams.into_iter().find(|stream| stream.name.stream() == self.kind.stream())
    }
}

/// Waits for the end of a run.
pub fn end(mut child: Child) -> Ended {
    let stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || read_all(stderr));
    let stdout = read_all(child.stdout.take().unwrap());
    let code = child.wait().unwrap().code().expect("the program ends by itself");
    let stderr = errors.join().unwrap();
    let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    Ended { code, report, stderr }
}

/// Sends a signal to a run.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
