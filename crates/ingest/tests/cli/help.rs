//! The help, and what the program says of itself.

use rstest::rstest;
use serde_json::Value;

use crate::support::{Folder, filters};

#[rstest]
#[case::help("--help")]
#[case::help_check("check --help")]
#[case::help_doctor("doctor --help")]
#[case::help_plan("plan --help")]
#[case::help_run("run --help")]
#[case::help_test("test --help")]
fn help(#[case] arguments: &str) {
    let _filters = filters();
    let outcome = Folder::new().ingest(arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(crate::support::test_name(), outcome.stdout);
}

/// Without a command, the help is an error of usage.
#[test]
fn no_command() {
    let folder = Folder::new();
    let outcome = folder.ingest("");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (64, ""));
    assert_eq!(outcome.stderr, folder.ingest("-h").stdout);
}

/// I1: the schema that editors take; it has every key of a stream, each with words for it.
#[test]
fn i1_schema() {
    let _filters = filters();
    let schema: Value = serde_json::from_str(&Folder::new().ingest("schema").stdout).unwrap();
    let streams = schema.pointer("/$defs/Stream/properties").unwrap().as_object().unwrap();
    let mut keys: Vec<_> = streams.keys().map(String::as_str).collect();
    keys.sort_unstable();
    insta::assert_snapshot!("schema_stream_keys", keys.join("\n"));
    for (key, property) in streams {
        let words = property["description"].as_str().unwrap_or_default();
        assert!(!words.is_empty(), "nothing is said of `{key}`");
    }
    assert_eq!(schema["additionalProperties"], false, "unknown keys are refused");
}
