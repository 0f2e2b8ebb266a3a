//! The one file, called by the names of the programs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;
use tempfile::TempDir;

/// A folder with the file and links to it, as an image has them.
fn image() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::hard_link(env!("CARGO_BIN_EXE_solder"), folder.path().join("solder"))
        .or_else(|_| {
            std::fs::copy(env!("CARGO_BIN_EXE_solder"), folder.path().join("solder")).map(drop)
        })
        .unwrap();
    for name in ["engine", "ingest"] {
        symlink("solder", folder.path().join(name)).unwrap();
    }
    folder
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    // No program of the path may help out.
    Command::new(program)
        .args(arguments)
        .current_dir(root)
        .env("PATH", "")
        .env_remove("AWS_LAMBDA_RUNTIME_API")
        .output()
        .unwrap()
}

#[rstest]
#[case("engine", "Usage: engine ")]
#[case("ingest", "Usage: ingest ")]
fn it_is_the_program_it_is_called_by(#[case] name: &str, #[case] usage: &str) {
    let image = image();
    let told = run(&image.path().join(name), &["--help"]);
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && text.contains(usage), "{text}");
}

#[test]
fn it_is_no_program_by_any_other_name() {
    let image = image();
    let told = run(&image.path().join("solder"), &["--help"]);
    assert_eq!(told.status.code(), Some(64));
    let text = String::from_utf8_lossy(&told.stderr);
    assert!(text.contains("`engine` or `ingest`"), "{text}");
}

/// J2: the steps of a job are both programs, found beside the one that runs it.
#[test]
fn j2_steps_are_called_by_their_names() {
    let image = image();
    let out = TempDir::new().unwrap();
    let out = format!("out={}", out.path().display());
    let job = ["run", "fixtures/solder.yaml", "--param", &out, "--report", "json"];
    let told = run(&image.path().join("engine"), &job);
    let log = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{log}");
    let report: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["step"] == "ingest.events_api"), "{report}");
    assert!(steps.iter().all(|step| step["outcome"] == "done"), "{report}");
}
