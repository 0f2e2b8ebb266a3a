//! The program itself, in a process of its own with an environment of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::Path;
use std::process::{Command, Output};

use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// `engine` without any credentials of the machine that runs the tests.
pub fn engine() -> Command {
    engine_at(env!("CARGO_BIN_EXE_engine").as_ref())
}

/// As [`engine`], another build of it.
pub fn engine_at(path: &OsStr) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("AWS_REGION", "eu-central-1").env("AWS_MAX_ATTEMPTS", "4");
    command
}

/// `engine relationalize` against the server.
pub fn relationalize(server: &Server, arguments: &[&str]) -> Output {
    with_access(engine(), server).arg("relationalize").args(arguments).output().unwrap()
}

/// With what the server wants to see.
pub fn with_access(mut command: Command, server: &Server) -> Command {
    command
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}

/// As [`relationalize`], which has to succeed.
pub fn must_relationalize(server: &Server, arguments: &[&str]) -> Output {
    let output = relationalize(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The tables' files below a folder, by key: all but the quarantine, which names its objects by their full
/// addresses.
pub fn tables(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = files(folder).into_iter();
    files
        .filter(|(key, _)| key.ends_with(".parquet") && !key.starts_with('_'))
        .map(|(key, _)| (key.clone(), std::fs::read(folder.join(&key)).unwrap()))
        .collect()
}

/// All files below a folder, with what the disk knows of them.
pub fn files(folder: &Path) -> BTreeMap<String, Metadata> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(key, path.metadata().unwrap());
            }
        }
    }
    found
}
