//! I7: attempts and waits, rules, and the exit codes that say whose fault it was.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use serde_json::json;

use crate::lab::{Api, Lab, gzip};
use crate::server::{Reply, Request, Server};

const ITEMS: &str = "path: /items\nrecords: $.data\nprimary_key: [id]";

fn good() -> Reply {
    Reply::json(&json!({"data": [{"id": 1}, {"id": 2}]}))
}

/// Fails as often as `num_failures` says, then answers.
async fn failing(num_failures: usize, reply: Reply) -> Server {
    Server::start(move |request| match request.number < num_failures {
        true => reply.clone(),
        false => good(),
    })
    .await
}

fn body(status: u16, text: &'static str) -> Reply {
    Reply::bytes(text).with_status(status)
}

#[rstest]
#[case::timeout(Reply::status(408))]
#[case::too_early(Reply::status(425))]
#[case::too_many(Reply::status(429))]
#[case::broken(Reply::status(500))]
#[case::bad_gateway(body(502, "<html>bad gateway</html>"))]
#[case::busy(Reply::status(503))]
#[case::gateway_timeout(Reply::status(504))]
#[case::of_cloudflare(Reply::status(522))]
#[case::told_to_wait(Reply::status(429).header("retry-after", "0"))]
#[case::told_a_date_that_is_past(Reply::status(503).header("retry-after", "Wed, 01 May 2024 12:00:00 GMT"))]
#[case::told_nonsense(Reply::status(503).header("retry-after", "soon"))]
#[case::connection_broken(good().broken())]
#[case::broken_before_the_body(Reply::status(200).broken())]
#[case::json_cut_off(Reply::bytes("{\"data\": [{\"id\": 1}, {\"id\""))]
#[case::gzip_cut_off(Reply::bytes(gzip(b"{\"data\": [{\"id\": 1}]}")[..20].to_vec()))]
#[tokio::test]
async fn i7_what_is_tried_again(#[case] failure: Reply) {
    let server = failing(2, failure).await;
    let lab = Lab::new();

    let report = lab.run(&Api::at(&server).stream("items", ITEMS)).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2], "no record twice");
    assert_eq!((report.streams[0].num_requests, report.streams[0].num_retries), (3, 2));
    assert_eq!(report.streams[0].num_pages, 1);
}

#[rstest]
#[case::not_found(Reply::status(404), 69, "404")]
#[case::bad_request(body(400, "{\"error\": \"no such column\"}"), 69, "no such column")]
#[case::unauthorized(Reply::status(401), 77, "401")]
#[case::forbidden(Reply::status(403), 77, "403")]
#[case::gone(Reply::status(410), 69, "410")]
#[case::not_implemented(Reply::status(501), 69, "501")]
#[case::not_modified(Reply::status(304), 69, "304")]
#[case::html(body(200, "<html>please log in</html>"), 65, "expected")]
#[case::no_records(body(200, "{\"items\": []}"), 65, "nothing at `records: $.data`")]
#[case::nothing_at_all(Reply::status(200), 65, "nothing at `records: $.data`")]
#[case::two_documents(body(200, "{\"data\": []} x"), 65, "expected")]
#[case::not_utf8(Reply::bytes(&b"\xff\xfe{\0}\0"[..]), 65, "UTF-16")]
#[tokio::test]
async fn i7_what_is_final(#[case] reply: Reply, #[case] code: u8, #[case] message: &str) {
    let server = Server::start(move |_| reply.clone()).await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("items", ITEMS)).await;

    outcome.assert_fails(code, message);
    assert_eq!(server.requests().len(), 1, "the same answer would come again");
    assert!(lab.manifests("items").await.is_empty());
}

#[tokio::test]
async fn i7_attempts_are_limited() {
    let server = failing(usize::MAX, body(503, "down for maintenance")).await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("retry: { backoff: 1ms, max_backoff: 2ms, max_attempts: 3 }")
        .stream("items", ITEMS);

    let outcome = lab.run(&api).await;

    outcome.assert_fails(75, "failed 3 times");
    outcome.assert_fails(75, "status 503 Service Unavailable: down for maintenance");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn i7_time_is_limited() {
    let server = failing(usize::MAX, Reply::status(503).header("retry-after", "3")).await;
    let lab = Lab::new();
    let api = Api::at(&server).connection("retry: { max_elapsed: 2s }").stream("items", ITEMS);

    lab.run(&api).await.assert_fails(75, "failed 1 times");

    assert_eq!(server.requests().len(), 1, "no wait that would be in vain");
}

#[rstest]
#[case::seconds(Reply::status(429).header("retry-after", "61"), "asks to wait 61 s")]
#[case::absurd(Reply::status(429).header("retry-after", "99999999"), "asks to wait 99999999 s")]
// The server's clock is a year ahead; what counts is the difference to its own Date.
#[case::date(Reply::status(503)
    .header("date", "Sat, 01 May 2027 12:00:00 GMT")
    .header("retry-after", "Sat, 01 May 2027 12:02:00 GMT"), "asks to wait 120 s")]
#[tokio::test]
async fn i7_trap_06_waits_that_are_too_long_end_the_run(
    #[case] reply: Reply,
    #[case] message: &str,
) {
    let server = failing(usize::MAX, reply).await;
    let lab = Lab::new();
    let api = Api::at(&server).connection("retry: { max_wait: 1m }").stream("items", ITEMS);

    lab.run(&api).await.assert_fails(75, message);

    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn i7_trap_06_a_date_far_from_our_clock_is_measured_by_the_servers() {
    // By our clock years away, by the server's own no wait at all.
    let date = "Sat, 01 May 2055 12:00:00 GMT";
    let reply = Reply::status(429).header("date", date).header("retry-after", date);
    let server = failing(1, reply).await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("items", ITEMS)).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2]);
}

#[tokio::test]
async fn i7_trap_06_the_wait_is_as_long_as_asked() {
    let server = failing(1, Reply::status(429).header("retry-after", "0.3")).await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("items", ITEMS)).await.ok();

    let requests = server.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(290));
}

#[rstest]
#[case::skip("{ when: { status: 404 }, do: skip_partition }", body(404, ""), 0)]
#[case::skip_a_class("{ when: { status: 4xx }, do: skip_partition }", body(410, ""), 0)]
#[case::skip_by_body(
    "{ when: { status: 400, body: { $.code: 7 } }, do: skip_partition }",
    body(400, "{\"code\": \"7\"}"),
    0
)]
#[case::ignore("{ when: { status: 404 }, do: ignore }", body(404, "{}"), 0)]
#[case::accept("{ when: { status: 404 }, do: accept }", body(404, "{\"data\": [{\"id\": 3}]}"), 1)]
#[case::accept_by_body(
    "{ when: { status: 404, body: { $.ok: true } }, do: accept }",
    body(404, "{\"ok\": true, \"data\": [{\"id\": 3}]}"),
    1
)]
#[case::retry("{ when: { status: 409 }, do: retry }", body(409, ""), 2)]
#[case::retry_by_body(
    "{ when: { body: { $.error: '*' } }, do: retry }",
    body(200, "{\"error\": \"busy\"}"),
    2
)]
#[case::retry_after_a_wait("{ when: { status: 409 }, do: retry, wait: 1ms }", body(409, ""), 2)]
#[case::retry_by_header("{ when: { header: { X-Cache: stale } }, do: retry }", good().header("x-cache", "stale"), 2)]
#[tokio::test]
async fn i7_rules(#[case] rule: &str, #[case] first: Reply, #[case] num_records: usize) {
    let server = failing(1, first).await;
    let lab = Lab::new();
    let stream = format!("{ITEMS}\nrules: [{rule}]");

    lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await.len(), num_records);
}

#[rstest]
#[case::in_the_body(
    "{ when: { status: 200, body: { $.error.type: '*' } }, do: fail, message: no luck }"
)]
#[case::by_value("{ when: { body: { '$.error.type': overloaded } }, do: fail, message: no luck }")]
#[case::any_header("{ when: { header: { x-error: '*' } }, do: fail, message: no luck }")]
#[tokio::test]
async fn i7_trap_07_an_error_with_status_200(#[case] rule: &str) {
    let reply =
        body(200, "{\"data\": [], \"error\": {\"type\": \"overloaded\"}}").header("x-error", "1");
    let server = Server::start(move |_| reply.clone()).await;
    let lab = Lab::new();
    let stream = format!("{ITEMS}\nrules: [{rule}]");

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    outcome.assert_fails(69, "no luck (status 200 OK, by a rule of the source)");
}

#[tokio::test]
async fn i7_trap_07_records_that_may_be_missing_and_records_that_must_come() {
    let server = Server::start(|_| Reply::bytes("{\"ok\": true}")).await;
    let lab = Lab::new();
    let optional = format!("{ITEMS}\nrecords_optional: true");
    lab.run(&Api::at(&server).stream("items", &optional)).await.ok();

    let expected = format!("{optional}\nexpect_min_records: 1");
    let outcome = lab.run(&Api::at(&server).stream("items", &expected)).await;

    outcome.assert_fails(65, "fewer than the 1 of `expect_min_records`");
    assert_eq!(lab.manifests("items").await.len(), 1, "only the first run has committed");
}

#[tokio::test]
async fn i7_rules_are_tried_in_order_the_streams_before_the_connections() {
    let server = Server::start(|_| Reply::status(418)).await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .connection("rules: [{ when: { status: 418 }, do: ignore }]")
        .stream("ignored", "path: /ignored")
        .stream(
            "failed",
            "path: /failed\nrules: [{ when: { status: 418, header: { x-y: z } }, do: ignore }, \
             { when: { status: [409, 418] }, do: fail, message: teapot }]",
        );

    let outcome = lab.run(&api).await;

    outcome.assert_fails(69, "teapot");
    assert_eq!(outcome.stream("ignored").error, None);
}

#[rstest]
#[case::lost_answer(good().broken(), false, 75, 1)]
#[case::server_error(Reply::status(500), false, 75, 1)]
#[case::cut_off(Reply::bytes("{\"data\": ["), false, 75, 1)]
#[case::declared_safe(Reply::status(500), true, 0, 2)]
#[case::lost_but_safe(good().broken(), true, 0, 2)]
// The server says that it did nothing.
#[case::too_many(Reply::status(429), false, 0, 2)]
#[case::busy(Reply::status(503), false, 0, 2)]
#[tokio::test]
async fn i7_trap_22_a_post_is_sent_again_only_when_that_is_safe(
    #[case] failure: Reply,
    #[case] safe: bool,
    #[case] code: u8,
    #[case] num_requests: usize,
) {
    let server = failing(1, failure).await;
    let lab = Lab::new();
    let stream = format!("{ITEMS}\nmethod: POST\nbody: {{ q: x }}\nsafe_to_retry: {safe}");

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    match code {
        0 => drop(outcome.ok()),
        _ => outcome.assert_fails(code, "it is not sent again"),
    }
    let requests = server.requests();
    assert_eq!(requests.len(), num_requests);
    assert!(
        requests
            .iter()
            .all(|request| request.method == "POST" && request.json() == json!({"q": "x"}))
    );
}

#[rstest]
#[case("GET")]
#[case("POST")]
#[tokio::test]
async fn i7_a_refused_connection_is_tried_again(#[case] method: &str) {
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let lab = Lab::new();
    let api = Api::with_url(&format!("http://127.0.0.1:{port}"))
        .connection("retry: { backoff: 1ms, max_backoff: 2ms, max_attempts: 2 }")
        .stream("items", &format!("path: /items\nmethod: {method}"));

    let outcome = lab.run(&api).await;

    outcome.assert_fails(75, "failed 2 times");
    outcome.assert_fails(75, "no connection to `127.0.0.1`");
}

#[tokio::test]
async fn i7_a_page_that_breaks_midway_gives_each_record_once() {
    // Large enough to be spooled in several pieces before it breaks.
    let records: Vec<_> = (0..20_000).map(|id| json!({"id": id, "text": "x".repeat(60)})).collect();
    let text = Bytes::from(json!({"data": records}).to_string());
    let half = text.slice(..text.len() / 2);
    let server = Server::start(move |request| match request.number {
        0 => Reply::bytes(half.clone()).broken(),
        1 => Reply::bytes(half.clone()),
        _ => Reply::bytes(text.clone()),
    })
    .await;
    let lab = Lab::new();

    let report = lab.run(&Api::at(&server).stream("items", ITEMS)).await.ok();

    assert_eq!(lab.ids("items").await, (0..20_000).collect::<Vec<u64>>());
    assert_eq!(report.streams[0].num_retries, 2);
}

#[tokio::test]
async fn i7_what_an_attempt_gave_is_gone_when_the_next_is_taken_by_a_rule() {
    let server = Server::start(|request| match request.number {
        0 => Reply::bytes("{\"data\": [{\"id\": 1}, {\"id\": 2}").broken(),
        _ => body(404, "{\"ok\": true, \"data\": [{\"id\": 3}]}"),
    })
    .await;
    let lab = Lab::new();
    let stream = format!(
        "{ITEMS}\nrules: [{{ when: {{ status: 404, body: {{ $.ok: '*' }} }}, do: accept }}]"
    );

    lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await, [3]);
}

#[tokio::test]
async fn i7_one_stream_that_fails_leaves_the_others_alone() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/bad" => Reply::status(400),
        _ => good(),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream("bad", "path: /bad")
        .stream("items", ITEMS)
        .stream("more", "path: /more\nrecords: $.data");

    let outcome = lab.run(&api).await;

    outcome.assert_fails(69, "stream `bad`");
    assert_eq!(lab.ids("items").await.len() + lab.ids("more").await.len(), 4);
    assert_eq!(outcome.report.outcome, "failed");
}

#[tokio::test]
async fn i7_what_replaces_is_all_or_nothing() {
    let is_down = Arc::new(Mutex::new(false));
    let down = is_down.clone();
    let server = Server::start(move |request| match request.param("page").as_deref() {
        Some("1") => Reply::json(&json!([{"id": request.number}])),
        _ if *down.lock().unwrap() => Reply::status(400),
        _ => Reply::json(&json!([])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("items", "path: /items\npaginate: { type: page }");
    lab.run(&api).await.ok();
    let before = lab.ids("items").await;

    *is_down.lock().unwrap() = true;
    lab.run(&api).await.assert_fails(69, "400");

    assert_eq!(lab.ids("items").await, before);
}

/// A run is worth trying again only where no stream needs a person.
#[rstest]
#[case::one_needs_a_person(&["busy", "forbidden", "busy"], 77)]
#[case::in_another_order(&["forbidden", "busy", "gone"], 77)]
#[case::the_first_that_does(&["busy", "gone", "forbidden"], 69)]
#[case::all_can_succeed_later(&["busy", "busy"], 75)]
#[tokio::test]
async fn i14_the_exit_code_of_several_streams(#[case] streams: &[&str], #[case] code: u8) {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/busy" => Reply::status(503),
        "/forbidden" => Reply::status(403),
        _ => Reply::status(404),
    })
    .await;
    let lab = Lab::new();
    let retry = "retry: { backoff: 1ms, max_backoff: 2ms, max_attempts: 2 }";
    let mut api = Api::at(&server).connection(retry);
    for (number, path) in streams.iter().enumerate() {
        api = api.stream(&format!("s{number}"), &format!("path: /{path}"));
    }

    let outcome = lab.run(&api).await;

    assert_eq!(outcome.failure().0, code, "{}", outcome.failure().1);
}
