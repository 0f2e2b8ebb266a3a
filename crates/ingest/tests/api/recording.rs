//! I14: answers that are kept in a folder, and played from it.

use std::path::Path;

use rstest::rstest;
use serde_json::json;
use solder_ingest::Reach;
use tokio::sync::watch;

use crate::lab::{Api, Asked, Lab, Outcome, gzip};
use crate::server::{Reply, Server};

const STARTED: &str = "2026-03-01T06:00:00Z";

async fn record(lab: &Lab, api: &Api, folder: &Path) -> Outcome {
    let source = lab.parse(&api.text(), &[]);
    let started = STARTED.parse().unwrap();
    let reach = Reach::recording(&source.connection, lab.folder(), folder, started).unwrap();
    lab.run_over(&source, &reach, Asked::default(), watch::channel(0).1).await
}

async fn play(lab: &Lab, text: &str, folder: &Path) -> Outcome {
    let source = lab.parse(text, &[]);
    let reach = Reach::replay(&source.connection, folder).unwrap();
    lab.run_over(&source, &reach, Asked::default(), watch::channel(0).1).await
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[rstest]
#[case::plain(false)]
#[case::compressed(true)]
#[tokio::test]
async fn i2_trap_19_a_recording_holds_no_secret(#[case] is_compressed: bool) {
    let server = Server::start(move |request| match request.path.as_str() {
        "/login" => {
            Reply::json(&json!({"token": "token-0123456789"})).header("x-token", "token-0123456789")
        }
        _ => {
            let token = request.header("authorization").unwrap();
            let body = json!([{"id": 1, "echo": token, "password": "pass-0123456789"}]).to_string();
            match is_compressed {
                true => Reply::bytes(gzip(body.as_bytes())).header("content-encoding", "gzip"),
                false => Reply::bytes(body),
            }
        }
    })
    .await;
    let lab = Lab::new();
    let password = lab.secret("password", "pass-0123456789");
    let auth = format!(
        "auth: {{ type: session, token: $.token, login: {{ path: /login, form: {{ p: '{password}' }} }} }}"
    );
    let api = Api::at(&server).connection(&auth).stream("items", "path: /items");
    let folder = tempfile::tempdir().unwrap();

    record(&lab, &api, folder.path()).await.ok();

    let files = files(folder.path());
    assert_eq!(files.len(), 3, "two answers, and when they were recorded");
    for file in &files {
        assert!(!file.contains("-0123456789") && !file.contains("base64"), "{file}");
    }
    let num_requests = server.requests().len();
    let played = Lab::new();
    play(&played, &api.text(), folder.path()).await.ok();
    assert_eq!(played.lines("items").await, lab.lines("items").await);
    assert_eq!(server.requests().len(), num_requests, "nothing goes over the network");
}

/// A folder of answers as one would write it by hand.
fn folder_of(answers: &[(&str, serde_json::Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: serde_json::Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("recording.json", json!({"version": 1, "started_at": STARTED}));
    for (n, (url, response)) in answers.iter().enumerate() {
        let exchange = json!({"request": {"method": "GET", "url": url}, "response": response});
        write(&format!("{n:04}.json"), exchange);
    }
    folder
}

#[rstest]
#[case::plain_behind_tls("http://api.example.com/items?page=2", 0)]
#[case::plain_with_its_port("http://api.example.com:80/items?page=2", 0)]
#[case::relative("/items?page=2", 0)]
#[case::without_scheme("//api.example.com/items?page=2", 0)]
#[case::other_port("http://api.example.com:8080/items?page=2", 78)]
#[case::plain_elsewhere("http://files.example.com/items?page=2", 78)]
#[tokio::test]
async fn i4_trap_03_next_urls_behind_a_proxy_that_ends_tls(#[case] next: &str, #[case] code: u8) {
    let link = format!("<{next}>; rel=next");
    let folder = folder_of(&[
        (
            "https://api.example.com/items",
            json!({"status": 200, "headers": [["link", link]], "body": "[{\"id\": 1}]"}),
        ),
        ("https://api.example.com/items?page=2", json!({"status": 200, "body": "[{\"id\": 2}]"})),
    ]);
    let lab = Lab::new();
    let api = Api::with_url("https://api.example.com")
        .connection("allowed_hosts: [files.example.com]")
        .stream("items", "path: /items\npaginate: { type: link_header }");

    let outcome = play(&lab, &api.text(), folder.path()).await;

    match code {
        0 => {
            outcome.ok();
            assert_eq!(lab.ids("items").await, [1, 2]);
        }
        _ => outcome.assert_fails(code, "outside of the source's origin"),
    }
}

#[tokio::test]
async fn i14_waits_of_a_recording_take_no_time_and_its_clock_stands_still() {
    let folder = folder_of(&[
        (
            "https://api.example.com/a?day=2026-03-01",
            json!({"status": 429, "headers": [["retry-after", "600"]]}),
        ),
        (
            "https://api.example.com/a?day=2026-03-01",
            json!({"status": 200, "body": "[{\"id\": 1}]"}),
        ),
    ]);
    let lab = Lab::new();
    let api = Api::with_url("https://api.example.com")
        .stream("items", "path: /a\nparams: { day: '{run.date}' }");

    let report = play(&lab, &api.text(), folder.path()).await.ok();

    assert_eq!(lab.ids("items").await, [1]);
    assert_eq!(report.started_at, STARTED);
}

#[tokio::test]
async fn i14_what_was_not_recorded_is_an_error() {
    let folder = folder_of(&[]);
    let lab = Lab::new();
    let api = Api::with_url("https://api.example.com").stream("items", "path: /a");

    let outcome = play(&lab, &api.text(), folder.path()).await;

    let (code, text) = outcome.failure();
    assert!(text.contains("no recorded answer to GET https://api.example.com/a"), "{text}");
    assert_ne!(code, 0);
}
