//! I13: the records' own bytes, in parts that manifests name.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use solder_ingest::Compression;
use solder_ingest::report::StreamOutcome;
use solder_landing::Place;
use solder_landing::raw::Mode;

use crate::lab::{Api, Asked, Lab, inflate, sha256};
use crate::server::{Reply, Server};

const ODD: [&str; 10] = [
    r#"{"n":1e2,"m":12345678901234567890,"f":0.10,"e":-0}"#,
    r#"{"z":1,"a":{"y":2,"b":3},"z":4}"#,
    r#"{"t":"\u00e9\/\n\ud83d\ude00","u":"é/😀"}"#,
    r#"{ "spaced" :  [ 1 ,2 ] }"#,
    r#"{"big":123456789.123456789123456789}"#,
    r#"{}"#,
    r#"{"s":"a,b]}\"{["}"#,
    r#"{"null":null,"t":true,"empty":"","list":[]}"#,
    r#"{"":1," ":2}"#,
    r#"{"same":1}"#,
];

#[rstest]
#[case::list("", "[", ",", "]")]
#[case::list_over_lines("", "\n[\n  ", ",\n  ", "\n]\n")]
#[case::within("records: $.a.b", r#"{"x":[{"no":1}],"a":{"b":["#, " , ", r#"]},"c":"]"}"#)]
#[case::lines("format: ndjson", "", "\n", "\n")]
#[case::windows_lines("format: ndjson", "", "\r\n", "")]
#[tokio::test]
async fn i13_each_record_is_what_the_server_sent(
    #[case] stream: &str,
    #[case] begin: &str,
    #[case] between: &str,
    #[case] end: &str,
) {
    let body = format!("{begin}{}{end}", ODD.join(between));
    let server = Server::start(move |_| Reply::bytes(body.clone())).await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("items", &format!("path: /items\n{stream}"))).await.ok();

    let landed: Vec<_> = lab.lines("items").await.iter().map(|l| sha256(l.as_bytes())).collect();
    let sent: Vec<_> = ODD.iter().map(|record| sha256(record.as_bytes())).collect();
    assert_eq!(landed, sent);
}

#[tokio::test]
async fn i13_records_over_several_lines_are_one_line_each() {
    let records = json!([{"id": 1, "list": [1, {"a": "x\ny"}]}, {"id": 2, "t": "a  b"}]);
    let body = serde_json::to_string_pretty(&records).unwrap().replace('\n', "\r\n");
    let server = Server::start(move |_| Reply::bytes(body.clone())).await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("items", "path: /items")).await.ok();

    let lines = lab.lines("items").await;
    let parsed: Vec<serde_json::Value> =
        lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(json!(parsed), records);
}

#[rstest]
#[case::zstd(Compression::Zstd, ".ndjson.zst")]
#[case::gzip(Compression::Gzip, ".ndjson.gz")]
#[tokio::test]
async fn i13_manifests_say_what_is_there(
    #[case] compression: Compression,
    #[case] extension: &str,
) {
    let server = Server::start(|request| match request.param("page").as_deref() {
        Some("1") => Reply::json(&json!([{"id": 1, "at": "2024-05-01T10:00:00Z"}, {"id": 2, "at": "2024-05-03T10:00:00Z"}])),
        Some("2") => Reply::json(&json!([{"id": 3, "at": "2024-05-02T10:00:00Z"}])),
        _ => Reply::json(&json!([])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id, $.a.b]\npaginate: { type: page }\nincremental: { cursor: at }",
    );

    let asked = Asked { compression, run_id: Some("run-7"), ..Asked::default() };
    let report = lab.run_with(&api, asked).await.ok();

    let manifests = lab.manifests("items").await;
    assert_eq!(manifests.len(), 1);
    let manifest = &manifests[0];
    assert_eq!((manifest.source.as_str(), manifest.stream.as_str()), ("api", "items"));
    assert_eq!((manifest.sequence, manifest.run_id.as_str()), (1, "run-7"));
    assert!(manifest.is_last_of_run);
    assert_eq!(manifest.mode, Mode::Append);
    assert_eq!(manifest.primary_key, ["$.id", "$.a.b"]);
    assert_eq!((manifest.counts["num_records"], manifest.counts["num_pages"]), (3, 3));
    let file = &manifest.files[0];
    let day = &report.started_at[..10];
    assert!(
        file.key.starts_with(&format!("data/source=api/stream=items/dt={day}/run_id=run-7/part-"))
    );
    assert!(file.key.ends_with(extension));
    let bytes = lab.place.read(&file.key).await.unwrap();
    assert_eq!(
        (file.sha256.as_str(), file.size_bytes),
        (sha256(&bytes).as_str(), bytes.len() as u64)
    );
    assert_eq!(file.num_records, 3);
    assert_eq!(inflate(&file.key, &bytes).iter().filter(|b| **b == b'\n').count(), 3);
    let range = ("2024-05-01T10:00:00Z".to_owned(), "2024-05-03T10:00:00Z".to_owned());
    assert_eq!(file.cursor_range, Some(range));
    assert_eq!(
        (report.streams[0].num_files, report.streams[0].num_file_bytes),
        (1, file.size_bytes)
    );
}

#[tokio::test]
async fn i13_parts_are_rolled_by_size() {
    // What cannot be compressed comes out as large as it went in.
    let server = Server::start(|request| {
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        let mut random = fastrand::Rng::with_seed(page);
        let text: String = (0..700_000).map(|_| random.alphanumeric()).collect();
        match page {
            1..=4 => Reply::json(&json!([{"id": page, "text": text}])),
            _ => Reply::json(&json!([])),
        }
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("items", "path: /items\npaginate: { type: page }");

    let asked = Asked { part_bytes: 1 << 20, ..Asked::default() };
    let report = lab.run_with(&api, asked).await.ok();

    assert_eq!((report.streams[0].num_files, report.streams[0].num_commits), (2, 1));
    assert_eq!(lab.ids("items").await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn i13_a_long_run_commits_on_its_way() {
    let server = Server::start(|request| {
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        match page {
            1..=3 => Reply::json(&json!([{"id": page, "at": page}])),
            _ => Reply::json(&json!([])),
        }
    })
    .await;
    let lab = Lab::new();
    let stream = "path: /items\npaginate: { type: page }\nincremental: { cursor: at, format: integer, order: asc }";
    let api = Api::at(&server).stream("items", stream);

    let asked = Asked { part_age: Duration::ZERO, run_id: Some("r"), ..Asked::default() };
    let report = lab.run_with(&api, asked).await.ok();

    let manifests = lab.manifests("items").await;
    assert_eq!(manifests.len() as u64, report.streams[0].num_commits);
    assert!(manifests.len() >= 3);
    let last: Vec<bool> = manifests.iter().map(|manifest| manifest.is_last_of_run).collect();
    assert!(last[..last.len() - 1].iter().all(|is_last| !is_last) && last[last.len() - 1]);
    let cursors: Vec<_> =
        manifests.iter().filter_map(|m| m.state.get("")).map(|s| s["cursor"].clone()).collect();
    assert_eq!(cursors[..3], [json!("1"), json!("2"), json!("3")]);
    assert_eq!(lab.ids("items").await, [1, 2, 3]);
}

#[tokio::test]
async fn i13_added_fields() {
    let server = Server::start(|_| Reply::bytes(r#"[{"id":1},{ },{"_repo":"own"},7]"#)).await;
    let lab = Lab::new();
    let stream = r#"
path: /{partition.repo}
partitions: { repo: ['a"b\'] }
add: { _repo: "{partition.repo}", _run: "{run.id}", _both: "{run.id}/{partition.repo}" }
"#;
    let asked = Asked { run_id: Some("r1"), ..Asked::default() };

    lab.run_with(&Api::at(&server).stream("items", stream), asked).await.ok();

    let head = r#""_repo":"a\"b\\","_run":"r1","_both":"r1/a\"b\\""#;
    assert_eq!(
        lab.lines("items").await,
        [
            format!(r#"{{{head},"id":1}}"#),
            format!("{{{head} }}"),
            format!(r#"{{{head},"_repo":"own"}}"#),
            "7".to_owned(),
        ]
    );
}

#[tokio::test]
async fn i13_what_is_not_selected_is_not_read() {
    let server = Server::start(|_| Reply::bytes("[1]")).await;
    let lab = Lab::new();
    let api =
        Api::at(&server).stream("a", "path: /a").stream("b", "path: /b").stream("c", "path: /c");

    let asked = Asked { streams: &["c", "a", "c"], ..Asked::default() };
    let report = lab.run_with(&api, asked).await.ok();

    let mut paths = server.paths();
    paths.sort_unstable();
    assert_eq!(paths, ["/a", "/c"]);
    assert_eq!(report.streams.len(), 2);
    assert!(lab.manifests("b").await.is_empty());
}

#[tokio::test]
async fn i13_a_run_id_that_has_committed_does_nothing() {
    let server = Server::start(|_| Reply::bytes("[{\"id\":1}]")).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("items", "path: /items");
    let asked = Asked { run_id: Some("r1"), ..Asked::default() };
    lab.run_with(&api, asked.clone()).await.ok();
    let before = lab.objects().await;

    let report = lab.run_with(&api, asked).await.ok();

    assert_eq!(report.streams[0].outcome, StreamOutcome::AlreadyCommitted);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(lab.objects().await, before);
}

#[tokio::test]
async fn i13_modes() {
    let server = Server::start(|request| Reply::json(&json!([{"id": request.number}]))).await;
    let lab = Lab::new();
    let api = |mode: &str| Api::at(&server).stream("items", &format!("path: /items\nmode: {mode}"));

    lab.run(&api("append")).await.ok();
    lab.run(&api("append")).await.ok();
    assert_eq!(lab.ids("items").await, [0, 1]);
    lab.run(&api("replace")).await.ok();
    assert_eq!(lab.ids("items").await, [2]);
    lab.run(&api("append")).await.ok();
    assert_eq!(lab.ids("items").await, [2, 3]);
}

#[tokio::test]
async fn i13_nothing_is_a_commit_too() {
    let server = Server::start(|_| Reply::bytes("[]")).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("items", "path: /items");

    lab.run(&api).await.ok();

    let manifests = lab.manifests("items").await;
    assert_eq!((manifests.len(), manifests[0].files.len()), (1, 0));
    assert!(lab.objects().await.iter().all(|(key, _)| !key.starts_with("data/")));
}

#[tokio::test]
async fn i13_a_folder_on_disk() {
    let server = Server::start(|_| Reply::bytes("[{\"id\":1},{\"id\":2}]")).await;
    let folder = tempfile::tempdir().unwrap();
    let place = Place::parse(folder.path().to_str().unwrap()).unwrap();
    let mut lab = Lab::new();
    lab.place = place;

    lab.run(&Api::at(&server).stream("items", "path: /items\nprimary_key: [id]")).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2]);
}

#[tokio::test]
async fn i13_parts_of_a_run_that_failed_are_taken_away() {
    let server = Server::start(|request| match request.param("page").as_deref() {
        Some("3") => Reply::status(400),
        _ => {
            let text: String =
                std::iter::repeat_with(fastrand::alphanumeric).take(400_000).collect();
            Reply::json(&json!([{"id": request.number, "text": text}]))
        }
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("items", "path: /items\npaginate: { type: page }");

    let asked = Asked { part_bytes: 1, ..Asked::default() };
    lab.run_with(&api, asked).await.assert_fails(69, "400");

    let keys: Vec<_> = lab.objects().await.into_iter().map(|(key, _)| key).collect();
    assert!(keys.iter().all(|key| !key.starts_with("data/")), "{keys:?}");
}
