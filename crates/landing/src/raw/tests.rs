use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::Place;

fn manifest(sequence: u64, run_id: &str, mode: Mode, is_last_of_run: bool) -> Manifest {
    Manifest {
        version: 1,
        source: "shop".to_owned(),
        stream: "orders".to_owned(),
        sequence,
        run_id: run_id.to_owned(),
        is_last_of_run,
        mode,
        primary_key: vec!["$.id".to_owned()],
        program: "ingest 0.1.0".to_owned(),
        started_at: "2024-05-01T00:00:00Z".to_owned(),
        committed_at: "2024-05-01T00:00:01Z".to_owned(),
        files: vec![DataFile {
            key: format!("data/{run_id}-{sequence}.ndjson.zst"),
            size_bytes: 1,
            num_records: 1,
            sha256: String::new(),
            cursor_range: None,
        }],
        state: PartitionStates::from([(format!("p{sequence}"), json!({"cursor": sequence}))]),
        counts: BTreeMap::new(),
    }
}

fn keys(stream: &CommittedStream) -> Vec<&str> {
    stream.parts.iter().map(|part| part.file.key.as_str()).collect()
}

async fn place(name: &str) -> Place {
    Place::parse(&format!("memory://{name}/raw")).unwrap()
}

fn log(place: &Place) -> StreamLog {
    StreamLog::new(place, &StreamName::new("shop", "orders").unwrap())
}

/// Commits as a writer does, with the state folded.
async fn commit(log: &StreamLog, manifest: Manifest) -> Commit {
    let mut state = log.head().await.unwrap().state;
    state.extend(manifest.state.clone());
    log.commit(&manifest, &state).await.unwrap()
}

#[tokio::test]
async fn i13_only_commits_count_and_a_replacement_hides_what_was_before() {
    let raw = place("i13-count").await;
    let log = log(&raw);
    assert_eq!(committed(&raw).await.unwrap(), None);
    assert_eq!(commit(&log, manifest(1, "r1", Mode::Append, false)).await, Commit::Committed);
    assert_eq!(commit(&log, manifest(2, "r1", Mode::Append, true)).await, Commit::Committed);
    let streams = committed(&raw).await.unwrap().unwrap();
    assert_eq!(keys(&streams[0]), ["data/r1-1.ndjson.zst", "data/r1-2.ndjson.zst"]);
    assert_eq!(streams[0].last_replaced, None);

    assert_eq!(commit(&log, manifest(3, "r2", Mode::Replace, true)).await, Commit::Committed);
    let streams = committed(&raw).await.unwrap().unwrap();
    assert_eq!(keys(&streams[0]), ["data/r2-3.ndjson.zst"]);
    assert_eq!(streams[0].last_replaced, Some(3));
    assert_eq!(streams[0].primary_key, ["$.id"]);
}

#[tokio::test]
async fn i13_of_two_runs_at_once_one_commits() {
    let raw = place("i13-two").await;
    let log = log(&raw);
    assert_eq!(commit(&log, manifest(1, "r1", Mode::Append, true)).await, Commit::Committed);
    assert_eq!(commit(&log, manifest(1, "r2", Mode::Append, true)).await, Commit::Overtaken);
    // The same commit again: its answer had been lost.
    assert_eq!(commit(&log, manifest(1, "r1", Mode::Append, true)).await, Commit::Committed);
    assert_eq!(keys(&committed(&raw).await.unwrap().unwrap()[0]), ["data/r1-1.ndjson.zst"]);
}

#[tokio::test]
async fn i13_a_run_knows_whether_it_is_committed() {
    let raw = place("i13-run").await;
    let log = log(&raw);
    let head = log.begin("r1").await.unwrap();
    assert_eq!((head.sequence, head.is_run_committed), (0, false));
    let _ = commit(&log, manifest(1, "r1", Mode::Append, false)).await;
    // It died between two commits, and other runs came.
    let head = log.begin("r1").await.unwrap();
    assert_eq!((head.sequence, head.is_run_committed), (1, false));
    let _ = commit(&log, manifest(2, "r1", Mode::Append, true)).await;
    let _ = commit(&log, manifest(3, "r2", Mode::Append, true)).await;
    let head = log.begin("r1").await.unwrap();
    assert_eq!((head.sequence, head.is_run_committed), (3, true));
    assert!(!log.begin("r3").await.unwrap().is_run_committed);
}

#[tokio::test]
async fn i13_the_state_is_that_of_the_log_whatever_is_lost_beside_it() {
    let raw = place("i13-state").await;
    let log = log(&raw);
    for sequence in 1..=12 {
        let _ = commit(&log, manifest(sequence, "r1", Mode::Append, true)).await;
    }
    let whole = log.head().await.unwrap();
    assert_eq!((whole.sequence, whole.state.len()), (12, 12));
    let snapshots = raw.list_from("state").await.unwrap();
    assert_eq!(snapshots.len(), 10, "old snapshots go");

    // It died between the manifest and the snapshot.
    raw.delete(&["state/source=shop/stream=orders/0000000012.json"]).await.unwrap();
    assert_eq!(log.head().await.unwrap(), whole);
    assert_eq!(log.begin("r9").await.unwrap(), whole);
    let all: Vec<_> = snapshots.iter().map(|object| object.key.clone()).collect();
    raw.delete(&all).await.unwrap();
    assert_eq!(log.head().await.unwrap(), whole);
}

#[tokio::test]
async fn i13_files_of_other_versions_and_makers_are_refused() {
    let raw = place("i13-version").await;
    let key = "manifests/source=shop/stream=orders/0000000001.json";
    raw.write(key, r#"{"version": 2}"#.into()).await.unwrap();
    let error = committed(&raw).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "`memory://i13-version/raw/{key}` has format version 2; this program reads up to 1"
        )
    );
    raw.write(key, "[]".into()).await.unwrap();
    assert!(
        log(&raw).head().await.unwrap_err().to_string().contains("is not a file that `ingest`")
    );
}

#[rstest::rstest]
#[case::parent("..")]
#[case::slash("a/b")]
#[case::empty("")]
#[case::hidden("_a")]
#[case::line("a\nb")]
#[case::equals("a=b")]
fn i13_names_cannot_lead_out_of_their_folder(#[case] name: &str) {
    assert!(StreamName::new("shop", name).is_err());
    assert!(StreamName::new(name, "orders").is_err());
    let stream = StreamName::new("shop", "orders").unwrap();
    assert!(stream.data_folder("2024-05-01", name).is_err());
}
