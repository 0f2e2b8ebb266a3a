//! Many small objects: they are asked for many at a time, and each costs one request.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use solder_generate::{Generator, Shape};

use crate::engine::{engine_at, must_relationalize, stderr, with_access};
use crate::server::{Fault, Server};

const NUM_PAGES: u64 = 3;

/// Three pages of objects, one of them not full, in three folders.
fn with_small_objects() -> (Server, u64) {
    let server = Server::start();
    let num_objects = NUM_PAGES * 1000 - 1;
    for number in 0..num_objects {
        let key = format!("raw/orders/{}/{number}.json", number % 3);
        server.put(&key, format!("{{\"id\": {number}}}\n"));
    }
    (server, num_objects)
}

/// One request lists 1,000 objects, and one reads an object. The report says so, as the server counts.
#[test]
fn an_object_costs_one_request_and_the_report_counts_it() {
    let (server, num_objects) = with_small_objects();
    let (input, output) = (server.url("raw/"), server.url("curated"));
    let run = must_relationalize(&server, &[&input, &output, "--report", "json"]);
    let requests = server.take_requests();
    let asked = |kind: &str| requests.get(kind).copied().unwrap_or_default();
    // Manifests before and after the sign of life, whether the input is a landing zone, who else is
    // running, what was staged.
    assert_eq!(asked("list_objects_v2"), NUM_PAGES + 5);
    assert_eq!(asked("get_object"), num_objects);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let expected = json!({
        "list": asked("list_objects_v2"),
        "get": asked("get_object"),
        "head": asked("head_object"),
        "put": asked("put_object"),
        "copy": asked("copy_object"),
        "delete": asked("delete_objects") + asked("delete_object"),
    });
    assert_eq!(report["requests"], expected, "{requests:?}");
    assert_eq!(requests.values().sum::<u64>(), expected_sum(&expected), "{requests:?}");
}

fn expected_sum(requests: &Value) -> u64 {
    requests.as_object().unwrap().values().filter_map(Value::as_u64).sum()
}

/// What has to be asked again was asked twice.
#[test]
fn repeated_requests_are_counted() {
    let server = Server::start();
    for number in 0..3 {
        server.put(&format!("raw/orders/{number}.json"), format!("{{\"id\": {number}}}\n"));
    }
    server.fail("1.json", Fault::Break(1));
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_str().unwrap();
    let run = must_relationalize(&server, &[&server.url("raw"), output, "--report", "json"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(server.take_requests().get("get_object"), Some(&4));
    assert_eq!(report["requests"]["get"], 4);
}

/// Without a store in it, a report has no requests; the summary for people names those that were sent.
#[test]
fn requests_are_told_where_there_is_a_store() {
    let server = Server::start();
    server.put("raw/orders/1.json", r#"{"id": 1}"#);
    let folder = tempfile::tempdir().unwrap();
    let curated = folder.path().to_str().unwrap();
    let run = must_relationalize(&server, &[&server.url("raw"), curated]);
    let summary = String::from_utf8(run.stdout).unwrap();
    assert!(summary.contains("\nrequests: 2 list, 1 get, 1 head\n"), "{summary}");
    let raw = server.path("raw");
    let run = must_relationalize(&server, &[raw.to_str().unwrap(), curated, "--report", "json"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report.get("requests"), None);
}

/// A store that takes its time is asked for many objects at a time.
#[test]
fn a_slow_store_is_asked_for_many_objects_at_a_time() {
    let (server, _) = with_small_objects();
    server.slow_down(Duration::from_millis(20));
    let folder = tempfile::tempdir().unwrap();
    must_relationalize(&server, &[&server.url("raw/"), folder.path().to_str().unwrap()]);
    let most = server.most_under_way();
    assert!((16..=256).contains(&most), "{most}");
}

/// Prints how long many small objects take, and the same bytes in one; see `benches/README.md`.
///
/// ```sh
/// SOLDER_ENGINE=target/release/engine cargo test --workspace --test stores time_of -- --ignored --nocapture
/// ```
#[test]
#[ignore = "measures, and says nothing about right or wrong"]
#[allow(clippy::print_stdout, reason = "its result is what it prints")]
fn time_of_many_small_objects() {
    const OBJECT_BYTES: usize = 4096;
    let number_of = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    };
    let num_objects = number_of("SOLDER_BENCH_OBJECTS", 50_000);
    let delay = Duration::from_millis(number_of("SOLDER_BENCH_DELAY_MS", 0));
    let engine = std::env::var_os("SOLDER_ENGINE")
        .unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_engine")));
    let server = Server::start();
    let generator = Generator::new(Shape::Orders, 1);
    let mut all = Vec::new();
    let mut index = 0;
    for number in 0..num_objects {
        let begin = all.len();
        while all.len() - begin < OBJECT_BYTES - 512 {
            generator.write_record(&mut all, index);
            all.push(b'\n');
            index += 1;
        }
        let key = format!("many/orders/{:03}/{number}.ndjson", number / 1000);
        server.put(&key, &all[begin..]);
    }
    server.put("one/orders/all.ndjson", &all);
    server.slow_down(delay);
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        for input in ["one/", "many/"] {
            let output = folder.path().join(input);
            let mut command: Command = with_access(engine_at(&engine), &server);
            command.arg("relationalize").arg(server.url(input)).arg(output);
            let began = Instant::now();
            let run = command.output().unwrap();
            assert!(run.status.success(), "{}", stderr(&run));
            println!("{input:<6} {:.2} s", began.elapsed().as_secs_f64());
        }
    }
    println!("{} bytes in {num_objects} objects; {delay:?} a request", all.len());
}
