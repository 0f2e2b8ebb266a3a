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

impl Folder {
    pub fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub fn with(self, path: &str, content: impl AsRef<[u8]>) -> Folder {
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        self
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// All files below a folder, with what is in them.
    pub fn files(&self, path: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().join(path)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(self.path()).unwrap().display().to_string();
                files.push((name, fs::read(path).unwrap()));
            }
        }
        files.sort();
        files
    }

    /// The program, here, with arguments divided by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingest"));
        command.current_dir(self.path()).args(arguments.split_whitespace());
        command.env("COLUMNS", "100").stdin(Stdio::null());
        command
    }

    pub fn ingest(&self, arguments: &str) -> Outcome {
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
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All that was said, as a snapshot shows it.
    pub fn shown(&self, arguments: &str) -> String {
        format!("$ ingest {arguments}\n{}{}=> {}\n", self.stdout, self.stderr, self.code)
    }
}

/// What differs from run to run.
pub fn filters() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "[run]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[host]");
    settings.add_filter(r"\d+\.\d s\b", "[time]");
    settings.add_filter(r#""(started_at|time)": ?"[^"]+""#, r#""$1": "[time]""#);
    settings.add_filter(r#""(duration_ms|num_file_bytes)": ?\d+"#, r#""$1": "[number]""#);
    settings.add_filter(r"window_end=\d+|created\[lt\]=\d+", "created[lt]=[time]");
    settings.bind_to_scope()
}

/// The name of the test that runs; of a case, the case's. `rstest` numbers them: `case_07_bad_key`.
pub fn test_name() -> String {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default().rsplit("::").next().unwrap_or_default().to_owned();
    let case = test.strip_prefix("case_").and_then(|rest| rest.split_once('_'));
    case.map_or(test.clone(), |(_, name)| name.to_owned())
}
