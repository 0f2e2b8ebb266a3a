//! stderr where it is no terminal.

use std::collections::BTreeSet;

use crate::support::{Folder, ORDERS, filters};

const KNOWN_SHAPE: &str = "{\"id\":1,\"items\":[{\"sku\":\"secret-value\"}]}\n";

/// One object a line, the run's id in each, the summary last, no values.
#[test]
fn lines_of_a_run() {
    let folder = Folder::new().with("raw/1.ndjson", KNOWN_SHAPE);
    folder.engine("relationalize raw curated");
    folder.write("raw/2.ndjson", "{\"id\":2,\"note\":\"secret-value\"}\n{\"secret-value\n");
    let outcome = folder.engine("relationalize raw curated --run-id r-2");
    assert!(!outcome.stderr.contains("secret-value"), "{}", outcome.stderr);
    let lines = outcome.log();
    for line in &lines {
        assert_eq!(line["run_id"], "r-2");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line["level"].is_string());
    }
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected = [
        "run_started",
        "entity_started",
        "entity_finished",
        "quarantined",
        "shape_changed",
        "committing",
        "committed",
        "summary",
    ];
    assert_eq!(events, expected);
    let quarantined = lines.iter().find(|line| line["event"] == "quarantined").unwrap();
    assert_eq!(quarantined["records"], 1);
    assert!(quarantined["first"].as_str().unwrap().starts_with("raw/2.ndjson:2: "));
}

/// R10: an object with ever new keys is told of, and read again as a map.
#[test]
fn r10_a_map_is_told_of() {
    let mut records = String::new();
    for number in 0..40 {
        records.push_str(&format!("{{\"seen\":{{\"k{number}\":1}}}}\n"));
    }
    let folder = Folder::new().with("raw/1.ndjson", records);
    let lines = folder.engine("relationalize raw curated --map-keys 20").log();
    let events: BTreeSet<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert!(events.contains("entity_restarted") && events.contains("map_found"), "{events:?}");
    assert_eq!(lines.last().unwrap()["records_read"], 40);
}

#[test]
fn lines_of_a_failure() {
    let _filters = filters();
    let folder = Folder::new();
    let outcome = folder.engine("relationalize nowhere curated --run-id r-1");
    let lines = outcome.log();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["run_started", "error", "summary"]);
    assert_eq!(lines[1]["exit_code"], 66);
    assert_eq!(lines[2]["exit_code"], 66);
    assert_eq!(lines[1]["message"], "no object at `nowhere`");
}

/// The options decide, whatever stderr is.
#[test]
fn the_format_of_the_log() {
    let folder = Folder::new().with("raw/1.ndjson", ORDERS);
    let text = folder.engine("relationalize raw curated --log text");
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "no bar without a terminal");
    let global = folder.engine("--log text relationalize nowhere curated");
    assert!(global.stderr.starts_with("error: "), "{}", global.stderr);
    let json = folder.engine("relationalize raw curated --log json");
    assert_eq!(json.log().last().unwrap()["event"], "summary");
}

/// An address that holds credentials is refused, and repeated nowhere.
#[test]
fn credentials_are_not_repeated() {
    let folder = Folder::new().with("raw/1.ndjson", ORDERS);
    for arguments in [
        "relationalize s3://key:hidden-secret@bucket/raw curated --manifest m.json",
        "relationalize raw s3://key:hidden-secret@bucket/raw --report json",
        "relationalize raw curated --manifest s3://key:hidden-secret@bucket/m.json",
    ] {
        for format in ["text", "json"] {
            let outcome = folder.engine(&format!("{arguments} --log {format}"));
            assert_ne!(outcome.code, 0);
            assert!(!outcome.stderr.contains("hidden-secret"), "{}", outcome.stderr);
            assert!(!outcome.stdout.contains("hidden-secret"), "{}", outcome.stdout);
        }
    }
    assert!(!folder.read("m.json").contains("hidden-secret"));
}
