//! Runs the program in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder that the program runs in.
pub struct Folder {
    folder: TempDir,
}

/// What the program did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub const ORDERS: &str = "\
{\"id\":1,\"customer\":{\"name\":\"Ada\"},\"items\":[{\"sku\":\"a\",\"price\":1},{\"sku\":\"b\",\"price\":2.5}]}
{\"id\":2,\"customer\":{\"name\":\"Bob\"},\"items\":[]}
";

impl Folder {
    pub fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub fn with(self, path: &str, content: impl AsRef<[u8]>) -> Folder {
        self.write(path, content);
        self
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// The names in a folder, none when it is not there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path().join(path)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program, here, with arguments divided by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_engine"));
        command.current_dir(self.path()).args(arguments.split_whitespace());
        command.env("COLUMNS", "100").stdin(Stdio::null());
        command
    }

    pub fn engine(&self, arguments: &str) -> Outcome {
        self.command(arguments).output().unwrap().into()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code().expect("the program ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    /// The lines of the log.
    pub fn log(&self) -> Vec<Value> {
        log_lines(&self.stderr)
    }
}

pub fn log_lines(stderr: &str) -> Vec<Value> {
    stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What differs from run to run, and from version to version.
pub fn filters() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "[run]");
    settings.add_filter(r"\d+\.\d\d s\b", "[time]");
    settings.add_filter(r" +\d+(\.\d)? k?B\n", " [size]\n");
    settings.add_filter(r"( +)size\n", " size\n");
    settings.add_filter(r#""(duration_ms|started_ms|wall_ms)": \d+"#, r#""$1": "[time]""#);
    settings.add_filter(r#""started_at": "[^"]+""#, r#""started_at": "[time]""#);
    let works = "read|decompress|frame|shred|encode|write";
    settings.add_filter(&format!(r#""({works})": \d+"#), r#""$1": "[time]""#);
    // A slow machine has more to tell.
    settings.add_filter(r"time of all threads: .*\n", "");
    settings.add_filter(r#""bytes": \d+"#, r#""bytes": "[size]""#);
    settings.bind_to_scope()
}

/// The name of the case that runs, below what all of them are about: rstest numbers them, as in
/// `case_07_bad_key`.
pub fn snapshot_name(about: &str) -> String {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or(about).rsplit("::").next().unwrap_or(about).to_owned();
    let case = test.strip_prefix("case_").and_then(|rest| rest.split_once('_'));
    format!("{about}_{}", case.map_or(test.as_str(), |(_, name)| name))
}
