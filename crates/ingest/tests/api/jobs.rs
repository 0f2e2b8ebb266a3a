//! I11: jobs that make the result: create, poll, fetch.

use rstest::rstest;
use serde_json::{Value, json};
use solder_ingest::{Reach, probe};

use crate::lab::{Api, Asked, Lab};
use crate::server::{Reply, Server};

const JOB: &str = r#"
path: /exports/{job.id}/rows
records: $.rows
job:
  create: { path: /exports, body: { table: orders, since: "{cursor.start}" } }
  id: $.job.id
  poll: { path: "/exports/{job.id}", every: 1ms, status: $.state, done: [done, done-with-warnings], failed: [failed], timeout: 2s }
incremental: { cursor: at, format: integer }
"#;

/// An export that is polled as often as there are states before it is done.
async fn exports(states: &'static [&'static str]) -> Server {
    Server::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/exports") => Reply::json(&json!({"job": {"id": 17}})).with_status(202),
        ("GET", "/exports/17") => {
            let state = states[(request.number - 1).min(states.len() - 1)];
            Reply::json(&json!({"state": state, "url": "/files/17.ndjson"}))
        }
        ("GET", "/exports/17/rows") => Reply::json(&json!({"rows": [{"id": 1, "at": 5}]})),
        ("GET", "/files/17.ndjson") => Reply::bytes("{\"id\":1}\n{\"id\":2}\n"),
        _ => Reply::status(400),
    })
    .await
}

#[tokio::test]
async fn i11_create_poll_fetch() {
    let server = exports(&["queued", "running", "done-with-warnings"]).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("orders", JOB);

    lab.run(&api).await.ok();

    assert_eq!(
        server.paths(),
        ["/exports", "/exports/17", "/exports/17", "/exports/17", "/exports/17/rows"]
    );
    assert_eq!(server.requests()[0].json(), json!({"table": "orders"}), "no begin, no field");
    assert_eq!(lab.lines("orders").await, ["{\"id\":1,\"at\":5}"]);

    lab.run(&api).await.ok();
    assert_eq!(server.requests()[5].json(), json!({"table": "orders", "since": "5"}));
}

#[rstest]
#[case::failed(&["running", "failed"], 69, "job `17` ended as `failed`")]
#[case::never_ending(&["running"], 75, "job `17` is still `running`")]
#[tokio::test]
async fn i11_jobs_that_come_to_nothing(
    #[case] states: &'static [&'static str],
    #[case] code: u8,
    #[case] message: &str,
) {
    let server = exports(states).await;
    let lab = Lab::new();
    let stream = JOB.replace("every: 1ms", "every: 40ms").replace("timeout: 2s", "timeout: 300ms");

    let outcome = lab.run(&Api::at(&server).stream("orders", &stream)).await;

    outcome.assert_fails(code, message);
    assert!(lab.manifests("orders").await.is_empty());
    assert!(!server.paths().contains(&"/exports/17/rows".to_owned()));
}

#[rstest]
#[case::no_id(json!({"job": {}}), "create has no `$.job.id`")]
#[case::null_id(json!({"job": {"id": null}}), "create has no `$.job.id`")]
#[tokio::test]
async fn i11_an_answer_without_what_is_needed(#[case] created: Value, #[case] message: &str) {
    let server = Server::start(move |_| Reply::json(&created)).await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("orders", JOB)).await;

    outcome.assert_fails(65, message);
}

#[tokio::test]
async fn i11_trap_22_a_job_is_created_once() {
    let server = Server::start(|request| match request.number {
        0 => Reply::json(&json!({"job": {"id": 17}})).broken(),
        _ => Reply::json(&json!({"job": {"id": 18}})),
    })
    .await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("orders", JOB)).await;

    outcome.assert_fails(75, "it is not sent again");
    assert_eq!(server.requests().len(), 1);
}

#[rstest]
#[case::before_it_came(Reply::status(200).broken())]
#[case::refused(Reply::status(500))]
#[tokio::test]
async fn i11_polls_are_repeated(#[case] failure: Reply) {
    let server = Server::start(move |request| match (request.number, request.path.as_str()) {
        (0, _) => Reply::json(&json!({"job": {"id": "a/b"}})),
        (1, _) => failure.clone(),
        (_, "/exports/a%2Fb") => Reply::json(&json!({"state": "done"})),
        _ => Reply::json(&json!({"rows": []})),
    })
    .await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("orders", JOB)).await.ok();

    assert_eq!(server.paths()[3], "/exports/a%2Fb/rows", "an id stays one part of the path");
}

const FILE: &str = r#"
path: /unused
format: ndjson
job:
  create: { method: GET, path: /exports, safe_to_retry: true }
  id: $.job.id
  poll: { path: "/exports/{job.id}", every: 1ms, status: $.state, done: [done] }
  result_url: $.url
"#;

#[rstest]
#[case::at_home(false, &[])]
#[case::elsewhere(true, &["127.0.0.1"])]
#[tokio::test]
async fn i11_results_that_are_files(#[case] is_elsewhere: bool, #[case] allowed: &[&str]) {
    let store = Server::start(|_| Reply::bytes("{\"id\":1}\n{\"id\":2}\n")).await;
    let url = format!("{}/bucket/17?X-Amz-Signature=abc", store.url());
    let server = Server::start(move |request| match request.path.as_str() {
        "/exports" => Reply::json(&json!({"job": {"id": 17}})),
        "/exports/17" if is_elsewhere => Reply::json(&json!({"state": "done", "url": url})),
        "/exports/17" => Reply::json(&json!({"state": "done", "url": "/files/17?sig=abc"})),
        _ => Reply::bytes("{\"id\":1}\n{\"id\":2}\n"),
    })
    .await;
    let lab = Lab::new();
    let token = lab.secret("token", "token-0123456789");
    let api = Api::at(&server)
        .connection(&format!("auth: {{ type: bearer, token: \"{token}\" }}"))
        .connection("headers: { X-Own: own }")
        .connection(&format!("allowed_hosts: [{}]", allowed.join(", ")))
        .stream("orders", FILE);

    lab.run_with(&api, Asked::default()).await.ok();

    assert_eq!(lab.ids("orders").await, [1, 2]);
    match is_elsewhere {
        false => {
            let last = server.requests().pop().unwrap();
            assert_eq!((last.path.as_str(), last.query.as_str()), ("/files/17", "sig=abc"));
            assert!(last.header("authorization").is_some());
        }
        true => {
            let request = &store.requests()[0];
            assert_eq!(request.query, "X-Amz-Signature=abc");
            assert_eq!((request.header("authorization"), request.header("x-own")), (None, None));
        }
    }
}

#[tokio::test]
async fn i11_a_result_at_a_host_that_is_not_allowed() {
    let store = Server::start(|_| Reply::bytes("{\"id\":1}\n")).await;
    let url = format!("{}/bucket/17", store.url());
    let server = Server::start(move |request| match request.path.as_str() {
        "/exports" => Reply::json(&json!({"job": {"id": 17}})),
        _ => Reply::json(&json!({"state": "done", "url": url})),
    })
    .await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("orders", FILE)).await;

    outcome.assert_fails(78, "`connection.allowed_hosts`");
    assert!(store.requests().is_empty());
}

#[tokio::test]
async fn i11_a_job_per_window_and_partition() {
    let server = Server::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", _) => {
            let body = request.json();
            let id = format!("{}-{}", body["of"].as_str().unwrap(), body["from"].as_str().unwrap());
            Reply::json(&json!({"job": {"id": id}}))
        }
        (_, path) if path.ends_with("rows") => Reply::json(&json!({"rows": [{"of": path}]})),
        _ => Reply::json(&json!({"state": "done"})),
    })
    .await;
    let lab = Lab::new();
    let start = jiff::Timestamp::now().as_second() - 15 * 86_400;
    let stream = format!(
        r#"
path: /exports/{{job.id}}/rows
records: $.rows
partitions: {{ of: [a, b] }}
job:
  create: {{ path: /exports, body: {{ of: "{{partition.of}}", from: "{{window.start}}", to: "{{window.end}}" }} }}
  id: $.job.id
  poll: {{ path: "/exports/{{job.id}}", every: 1ms, status: $.state, done: [done] }}
incremental: {{ cursor: at, format: unix_s, initial: {start}, window: P10D }}
"#
    );

    lab.run(&Api::at(&server).stream("orders", &stream)).await.ok();

    assert_eq!(lab.lines("orders").await.len(), 4);
    assert!(lab.cursor("orders", "of=a").await.is_some());
}

/// I14: a look makes no job, not for the stream's children either, and says what it would have sent.
#[tokio::test]
async fn i11_a_check_makes_no_job() {
    let server = exports(&["done"]).await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream("orders", JOB)
        .stream("lines", "path: /orders/{parent.id}/lines\nparent: { stream: orders }");
    let source = lab.parse(&api.text(), &[]);
    let reach = Reach::live(&source.connection, lab.folder()).unwrap();

    let orders = probe::check(&source, &reach, 0).await.unwrap();
    assert_eq!(orders.not_asked.as_deref(), Some("POST would make a job"));
    assert_eq!(orders.url, format!("{}/exports", server.url()));
    let lines = probe::check(&source, &reach, 1).await.unwrap();
    assert_eq!(
        lines.not_asked.as_deref(),
        Some("stream `orders`, above it, is the result of a job")
    );
    assert!(server.requests().is_empty());
}
