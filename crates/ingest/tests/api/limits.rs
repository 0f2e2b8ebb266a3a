//! I8 and I12: how fast requests go, and how long things may take.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rstest::rstest;
use serde_json::json;

use crate::lab::{Api, Asked, Lab};
use crate::server::{Reply, Server};

/// Five pages of each path, a token, and a job.
async fn server() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/token" => Reply::json(&json!({"access_token": "token-0123456789", "expires_in": 3600})),
        _ => match request.param("page").map(|page| page.parse::<u64>().unwrap()) {
            Some(page) if page < 5 => Reply::json(&json!([{"id": page, "of": request.path}])),
            _ => Reply::json(&json!([])),
        },
    })
    .await
}

#[tokio::test]
async fn i8_trap_15_one_limit_for_all_streams_and_token_calls() {
    let server = server().await;
    let lab = Lab::new();
    let secret = lab.secret("secret", "s3cr3t-s3cr3t");
    let auth = format!(
        "auth: {{ type: oauth2_client_credentials, token_url: /token, client_id: me, client_secret: \"{secret}\" }}"
    );
    let api = Api::at(&server)
        .connection(&auth)
        .connection("rate_limit: { per_host: 50/s }")
        .stream("a", "path: /a\npaginate: { type: page }")
        .stream("b", "path: /b\npaginate: { type: page }");

    let begun = Instant::now();
    lab.run(&api).await.ok();

    let last = server.requests().iter().map(|request| request.at).max().unwrap();
    assert_eq!(server.requests().len(), 11, "a token and two times five pages");
    assert!(last - begun >= Duration::from_millis(200), "ten times 20 ms: {:?}", last - begun);
}

#[tokio::test]
async fn i8_a_burst_after_a_pause() {
    let server = server().await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("rate_limit: { per_host: 10/s, burst: 3 }")
        .stream("a", "path: /a\npaginate: { type: page }");

    let begun = Instant::now();
    lab.run(&api).await.ok();

    let took = server.requests()[4].at - begun;
    assert!(took >= Duration::from_millis(200), "3 at once, then 2 more: {took:?}");
}

#[tokio::test]
async fn i8_no_more_under_way_than_allowed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    // Counted where they are answered: each answer takes a while, and says when it is over by the next.
    let delay = Duration::from_millis(30);
    let most = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(std::sync::Mutex::new(Vec::<Instant>::new()));
    let (counted, times) = (most.clone(), now.clone());
    let server = Server::start(move |_| {
        let mut times = times.lock().unwrap();
        let at = Instant::now();
        times.retain(|begun| at - *begun < delay);
        times.push(at);
        counted.fetch_max(times.len(), Ordering::Relaxed);
        Reply::json(&json!([])).after(delay)
    })
    .await;
    let lab = Lab::new();
    let stream = "path: /{partition.n}\npartitions: { n: [1, 2, 3, 4, 5, 6, 7, 8] }";
    let api =
        Api::at(&server).connection("max_concurrency: 2").stream("a", stream).stream("b", stream);

    lab.run(&api).await.ok();

    assert_eq!(server.requests().len(), 16);
    assert!(most.load(Ordering::Relaxed) <= 2);
}

#[rstest]
#[case::seconds("delta_s", "0")]
#[case::moment("unix_s", "1000000000")]
#[case::moment_in_ms("unix_ms", "1000000000000")]
#[tokio::test]
async fn i8_a_host_with_nothing_remaining_is_left_alone_until_its_reset(
    #[case] format: &str,
    #[case] reset: &'static str,
) {
    let server = Server::start(move |request| {
        let reply = match request.param("page").as_deref() {
            Some("1") => Reply::json(&json!([{"id": 1}])),
            _ => Reply::json(&json!([])),
        };
        reply.header("x-left", &(1 - request.number.min(1)).to_string()).header("x-reset", reset)
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection(&format!(
            "rate_limit: {{ remaining_header: x-left, reset_header: x-reset, reset_format: {format} }}"
        ))
        .stream("a", "path: /a\npaginate: { type: page }")
        .stream("b", "path: /b\nparent: { stream: a }\nparams: { p: '{parent.id}' }\npaginate: { type: page }");

    lab.run(&api).await.ok();

    let requests = server.requests();
    // The second answer said that nothing is left: the third request, of another stream, waits for the second
    // that resets are cut to.
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn i8_waiting_in_line_is_no_part_of_an_attempt() {
    let server = server().await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("rate_limit: { per_host: 24/m }")
        .connection("timeouts: { attempt: 2s }")
        .stream("a", "path: /a");

    let api = api.stream("b", "path: /b");
    let report = lab.run(&api).await.ok();

    assert_eq!(server.requests().len(), 2);
    let retries: u64 = report.streams.iter().map(|stream| stream.num_retries).sum();
    assert_eq!(retries, 0, "2.5 s in line, and the answer at once");
}

#[rstest]
#[case::before_the_head(Reply::status(200).after(Duration::from_secs(60)))]
#[case::within_the_body(Reply::status(200)
    .chunks(vec![Bytes::from("[1,"), Bytes::from("2]")], Duration::from_secs(60)))]
#[tokio::test]
async fn i12_trap_20_a_server_that_falls_silent(#[case] silent: Reply) {
    let server = Server::start(move |request| match request.number {
        0 => silent.clone(),
        _ => Reply::bytes("[1, 2]"),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("timeouts: { idle: 300ms }\nretry: { backoff: 1ms, max_backoff: 5ms, max_attempts: 50 }")
        .stream("items", "path: /items");

    lab.run(&api).await.ok();

    assert_eq!(lab.lines("items").await, ["1", "2"]);
}

#[tokio::test]
async fn i12_trap_20_a_body_that_never_ends_is_given_up() {
    // A byte now and then is no silence.
    let drops: Vec<Bytes> = std::iter::repeat_n(Bytes::from(" "), 100_000).collect();
    let server = Server::start(move |request| match request.number {
        0 => Reply::status(200).chunks(drops.clone(), Duration::from_millis(10)),
        _ => Reply::bytes("[1]"),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("timeouts: { attempt: 500ms }\nretry: { backoff: 1ms, max_backoff: 5ms, max_attempts: 50 }")
        .stream("items", "path: /items");

    lab.run(&api).await.ok();

    assert_eq!(lab.lines("items").await, ["1"]);
}

#[rstest]
#[case::while_reading("path: /items", "items")]
#[case::while_reading_its_parent("path: /child/{parent.id}\nparent: { stream: parent }", "items")]
#[tokio::test]
async fn i12_trap_20_a_run_that_takes_too_long(#[case] stream: &str, #[case] selected: &str) {
    let server = Server::start(|_| Reply::status(200).after(Duration::from_secs(600))).await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("timeouts: { run: 200ms }")
        .stream("parent", "path: /parent")
        .stream("items", stream);

    let asked = Asked { streams: &[selected], ..Asked::default() };
    let outcome = lab.run_with(&api, asked).await;

    outcome.assert_fails(75, "`timeouts.run`");
}

#[rstest]
#[case::while_reading("path: /items")]
#[case::while_reading_its_parent("path: /child/{parent.id}\nparent: { stream: parent }")]
#[tokio::test]
async fn i12_a_run_that_is_told_to_stop(#[case] stream: &str) {
    let server = Server::start(|_| Reply::status(200).after(Duration::from_secs(600))).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("parent", "path: /parent").stream("items", stream);
    let (tell, stop) = tokio::sync::watch::channel(0);

    let text = api.text();
    let asked = Asked { streams: &["items"], ..Asked::default() };
    let run = lab.run_until(&text, asked, stop);
    let tell = async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tell.send(15).unwrap();
    };
    let (outcome, ()) = tokio::join!(run, tell);

    outcome.assert_fails(143, "stopped by a signal");
}

#[tokio::test]
async fn i12_what_was_committed_before_the_end_of_time_stays() {
    let server = Server::start(|request| match request.number {
        0..=2 => Reply::json(&json!([{"id": request.number, "at": request.number}])),
        _ => Reply::status(200).after(Duration::from_secs(600)),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).connection("timeouts: { run: 2s }").stream(
        "items",
        "path: /items\npaginate: { type: page }\n\
         incremental: { cursor: at, format: integer, order: asc }",
    );

    lab.run(&api).await.assert_fails(75, "`timeouts.run`");

    let num_landed = lab.ids("items").await.len() as u64;
    let cursor = lab.cursor("items", "").await.map(|cursor| cursor.parse::<u64>().unwrap());
    assert_eq!(cursor.map_or(0, |cursor| cursor + 1), num_landed, "data and state agree");
}
