//! I4: how one page leads to the next, and what ends the walk.

use rstest::rstest;
use serde_json::{Value, json};

use crate::lab::{Api, Lab};
use crate::server::{Reply, Request, Server};

const MISSING: &str = "$.nothing";

/// Records `0..7`, three a page, said in every way that APIs have.
fn every_way(request: &Request) -> Reply {
    let number = |name: &str| -> Option<usize> {
        let in_body = || {
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            body.pointer(&format!("/page/{name}"))?.as_u64().map(|n| n.to_string())
        };
        let text = request.param(name).or_else(in_body).or_else(|| request.form(name));
        text.or_else(|| request.header(name).map(str::to_owned))?.parse().ok()
    };
    let size = number("size").unwrap_or(3);
    let begin = match (number("page"), number("offset"), number("token"), number("after")) {
        (Some(page), ..) => (page - 1) * size,
        (_, Some(offset), ..) => offset,
        (.., Some(token), None) => token,
        (.., Some(after)) => after + 1,
        _ => 0,
    };
    let end = (begin + size).min(7);
    let ids: Vec<_> = (begin..end).map(|id| json!({"id": id})).collect();
    let url = format!("/items?token={end}");
    let (is_last, host) = (end >= 7, request.header("host").unwrap());
    let body = json!({
        "data": ids,
        "next": (!is_last).then_some(end),
        "more": !is_last,
        "pages": 3,
        "total": 7,
        "next_url": if is_last { Value::Null } else { json!(format!("http://{host}{url}")) },
        "next_path": if is_last { json!("") } else { json!(url) },
    });
    let reply = Reply::json(&body);
    match is_last {
        true => reply,
        false => reply
            .header("x-next", &end.to_string())
            .header("link", "</items?token=0>; rel=first")
            .header("link", &format!("<{url}>; rel=\"next\"; title=\"a, b\"")),
    }
}

#[rstest]
#[case::page_to_an_empty_one("type: page, size: 3, size_param: size", 4)]
#[case::page_to_a_short_one("type: page, size: 3, size_param: size, stop_on: short", 3)]
#[case::page_by_total("type: page, total_pages: $.pages", 3)]
#[case::page_by_has_more("type: page, has_more: $.more", 3)]
#[case::page_in_a_header("type: page, in: header", 4)]
#[case::offset_to_an_empty_one("type: offset, size: 3, size_param: size", 4)]
#[case::offset_to_a_short_one("type: offset, size: 3, size_param: size, stop_on: short", 3)]
#[case::offset_by_total("type: offset, size: 3, size_param: size, total: $.total", 3)]
#[case::offset_that_overlaps(
    "type: offset, size: 3, size_param: size, overlap: 1, total: $.total",
    3
)]
#[case::offset_where_pages_are_smaller("type: offset, size: 100, total: $.total", 3)]
#[case::cursor_of_the_body("type: cursor, from: $.next, param: token", 3)]
#[case::cursor_of_a_header("type: cursor, from: header.X-Next, param: token", 3)]
#[case::cursor_of_the_last_record("type: cursor, from: last_record.id, param: after", 4)]
#[case::cursor_and_has_more(
    "type: cursor, from: last_record.id, param: after, has_more: $.more",
    3
)]
#[case::cursor_in_a_header("type: cursor, from: $.next, param: token, in: header", 3)]
#[case::link_header("type: link_header", 3)]
#[case::next_url("type: next_url, from: $.next_url", 3)]
#[case::next_url_that_is_a_path("type: next_url, from: $.next_path", 3)]
#[case::next_url_and_has_more("type: next_url, from: $.next_path, has_more: $.more", 3)]
#[tokio::test]
async fn i4_every_kind_of_pages(#[case] paginate: &str, #[case] num_requests: u64) {
    let server = Server::start(every_way).await;
    let lab = Lab::new();
    let stream =
        format!("path: /items\nrecords: $.data\nprimary_key: [id]\npaginate: {{ {paginate} }}");

    let report = lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(report.streams[0].num_requests, num_requests);
    assert_eq!(report.streams[0].num_pages, num_requests);
}

#[rstest]
#[case::json("body: { page: { x: 1 } }", "page.offset", "page.size")]
#[case::form("form: { x: '1' }", "offset", "size")]
#[tokio::test]
async fn i4_pages_in_bodies(#[case] body: &str, #[case] offset: &str, #[case] size: &str) {
    let server = Server::start(every_way).await;
    let lab = Lab::new();
    let paginate = format!(
        "{{ type: offset, size: 3, size_param: {size}, param: {offset}, in: body, total: $.total }}"
    );
    let stream =
        format!("path: /items\nmethod: POST\n{body}\nrecords: $.data\npaginate: {paginate}");

    lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await, [0, 1, 2, 3, 4, 5, 6]);
    let last = server.requests().pop().unwrap();
    match last.header("content-type") {
        Some("application/json") => {
            assert_eq!(last.json(), json!({"page": {"x": 1, "offset": 6, "size": 3}}));
        }
        _ => assert_eq!(last.form("x").as_deref(), Some("1")),
    }
}

#[rstest]
#[case::one("type: none", "{\"data\": [1], \"next\": 7}")]
#[case::no_token("type: cursor, from: $.next, param: t", "{\"data\": [1], \"next\": null}")]
#[case::empty_token("type: cursor, from: $.next, param: t", "{\"data\": [1], \"next\": \"\"}")]
#[case::no_link("type: link_header", "{\"data\": [1]}")]
#[case::no_url("type: next_url, from: $.next", "{\"data\": [1]}")]
#[case::null_url("type: next_url, from: $.next", "{\"data\": [1], \"next\": null}")]
#[case::no_more("type: page, has_more: $.more", "{\"data\": [1], \"more\": false}")]
#[case::no_more_as_number("type: page, has_more: $.more", "{\"data\": [1], \"more\": 0}")]
#[case::no_more_as_text("type: page, has_more: $.more", "{\"data\": [1], \"more\": \"false\"}")]
#[case::no_records("type: page", "{\"data\": []}")]
#[case::null_records("type: page", "{\"data\": null}")]
#[tokio::test]
async fn i4_what_ends_after_one_request(#[case] paginate: &str, #[case] body: &'static str) {
    let server = Server::start(move |_| Reply::bytes(body)).await;
    let lab = Lab::new();
    let stream = format!("path: /items\nrecords: $.data\npaginate: {{ {paginate} }}");

    let report = lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(report.streams[0].num_requests, 1);
}

/// Records that differ, so that only the token or URL tells.
fn turning(request: &Request, next: &[&str]) -> Reply {
    let next = next[request.number % next.len()];
    Reply::json(&json!({"data": [{"id": request.number}], "next": next}))
        .header("link", &format!("<{next}>; rel=next"))
}

#[rstest]
#[case::same_token("type: cursor, from: $.next, param: t", &["a"], 2)]
#[case::tokens_in_a_circle("type: cursor, from: $.next, param: t", &["a", "b"], 3)]
#[case::same_url("type: next_url, from: $.next", &["/items?t=a"], 2)]
#[case::urls_in_a_circle("type: next_url, from: $.next", &["/items?t=a", "/items?t=b"], 3)]
#[case::link_to_itself("type: link_header", &["/items"], 1)]
#[case::links_in_a_circle("type: link_header", &["/items?t=a", "?t=b", "?t=c"], 4)]
#[tokio::test]
async fn i4_trap_01_pages_that_go_in_circles(
    #[case] paginate: &str,
    #[case] next: &'static [&'static str],
    #[case] num_requests: usize,
) {
    let server = Server::start(move |request| turning(request, next)).await;
    let lab = Lab::new();
    let stream = format!("path: /items\nrecords: $.data\npaginate: {{ {paginate} }}");

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    outcome.assert_fails(65, "was sent before");
    assert_eq!(server.requests().len(), num_requests);
    assert!(lab.lines("items").await.is_empty(), "what replaces is landed as a whole");
}

#[rstest]
#[case::page("type: page")]
#[case::offset("type: offset, size: 2")]
#[tokio::test]
async fn i4_trap_01_an_api_that_gives_its_last_page_for_ever(#[case] paginate: &str) {
    let server = Server::start(|request| {
        let id = request.number.min(2);
        Reply::json(&json!([{"id": id}, {"id": id + 100}]))
    })
    .await;
    let lab = Lab::new();
    let stream = format!("path: /items\nprimary_key: [id]\npaginate: {{ {paginate} }}");

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    outcome.assert_fails(65, "page 4 has the same records as the page before");
}

#[rstest]
#[case(2, 65, "more than 2 pages")]
#[case(3, 0, "")]
#[tokio::test]
async fn i4_trap_01_max_pages_is_no_silent_end(
    #[case] max_pages: u64,
    #[case] code: u8,
    #[case] message: &str,
) {
    let server = Server::start(every_way).await;
    let lab = Lab::new();
    let stream = format!(
        "path: /items\nrecords: $.data\npaginate: {{ type: link_header, max_pages: {max_pages} }}"
    );

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    match code {
        0 => assert_eq!(outcome.ok().streams[0].num_pages, 3),
        _ => outcome.assert_fails(code, message),
    }
}

#[tokio::test]
async fn i4_trap_02_pages_of_dropped_records_do_not_end_the_walk() {
    // Descending, with pages of two, of which the newest were landed by the run before.
    let server = Server::start(|request| {
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        let id = 10 - 2 * page;
        match page {
            1..=4 => Reply::json(&json!([{"id": id + 1, "at": 5}, {"id": id, "at": 5}])),
            _ => Reply::json(&json!([])),
        }
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\npaginate: { type: page, size: 2, stop_on: short }\n\
         incremental: { cursor: at, format: integer }",
    );
    lab.run(&api).await.ok();
    assert_eq!(server.requests().len(), 5);

    let report = lab.run(&api).await.ok();

    assert_eq!(server.requests().len(), 10, "all records were dropped, and all pages were read");
    assert_eq!((report.streams[0].num_records, report.streams[0].num_repeated), (0, 8));
}

#[tokio::test]
async fn i4_trap_03_a_next_url_has_its_own_parameters() {
    let server = Server::start(|request| match request.number {
        0 => Reply::json(&json!({"data": [1], "next": "?limit=5&token=a%2Bb"})),
        _ => Reply::json(&json!({"data": [2]})),
    })
    .await;
    let lab = Lab::new();
    let reference = lab.secret("key", "key-0123456789");
    let api = Api::at(&server)
        .connection(&format!(
            "auth: {{ type: api_key, in: query, name: key, value: \"{reference}\" }}"
        ))
        .stream(
            "items",
            "path: /v1/items\nparams: { limit: 5, sort: id }\nheaders: { X-Version: '3' }\n\
             records: $.data\npaginate: { type: next_url, from: $.next }",
        );

    lab.run(&api).await.ok();

    let second = &server.requests()[1];
    assert_eq!(second.path, "/v1/items", "relative to the page's own URL");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        second.params(),
        [pair("limit", "5"), pair("token", "a+b"), pair("key", "key-0123456789")]
    );
    assert_eq!(second.header("x-version"), Some("3"), "the same origin gets the headers");
}

#[tokio::test]
async fn i4_trap_03_a_key_that_a_next_url_repeats_is_sent_once() {
    let server = Server::start(|request| match request.number {
        0 => Reply::json(&json!({"data": [1], "next": "/items?page=2&key=key-0123456789"})),
        _ => Reply::json(&json!({"data": [2]})),
    })
    .await;
    let lab = Lab::new();
    let reference = lab.secret("key", "key-0123456789");
    let api = Api::at(&server)
        .connection(&format!(
            "auth: {{ type: api_key, in: query, name: key, value: \"{reference}\" }}"
        ))
        .stream(
            "items",
            "path: /items\nrecords: $.data\npaginate: { type: next_url, from: $.next }",
        );

    lab.run(&api).await.ok();

    let keys = server.requests()[1].params();
    assert_eq!(keys.iter().filter(|(name, _)| name == "key").count(), 1, "{keys:?}");
}

#[rstest]
#[case("http://[", "no URL for the next page")]
#[case("ftp://127.0.0.1/items", "outside of the source's origin")]
#[case("file:///etc/passwd", "outside of the source's origin")]
#[tokio::test]
async fn i4_next_urls_that_cannot_be_followed(#[case] next: &'static str, #[case] message: &str) {
    let server = Server::start(move |_| Reply::json(&json!({"data": [1], "next": next}))).await;
    let lab = Lab::new();
    let stream = "path: /items\nrecords: $.data\npaginate: { type: next_url, from: $.next }";

    let outcome = lab.run(&Api::at(&server).stream("items", stream)).await;

    let (code, text) = outcome.failure();
    assert!(text.contains(message), "{text}");
    assert!(matches!(code, 65 | 78));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn i4_trap_21_pages_that_overlap_lose_nothing_when_records_vanish() {
    // Between the first page and the second, record 0 is deleted: all others move up by one.
    let server = Server::start(|request| {
        let all: Vec<u64> = match request.number {
            0 => (0..6).collect(),
            _ => (1..6).collect(),
        };
        let offset: usize = request.param("offset").unwrap().parse().unwrap();
        let page: Vec<_> = all.iter().skip(offset).take(3).map(|id| json!({"id": id})).collect();
        Reply::json(&json!(page))
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\npaginate: { type: offset, size: 3, overlap: 1 }",
    );

    let report = lab.run(&api).await.ok();

    assert_eq!(lab.ids("items").await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(server.params("offset")[1].as_deref(), Some("2"));
    assert_eq!(report.streams[0].num_repeated, 1);
}

#[tokio::test]
async fn i4_a_path_that_an_answer_lacks_ends_nothing() {
    let server = Server::start(every_way).await;
    let lab = Lab::new();
    let stream = format!(
        "path: /items\nrecords: $.data\npaginate: {{ type: page, total_pages: {MISSING}, has_more: {MISSING} }}"
    );

    lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await.len(), 7);
}

/// Records `0..9`, three a page, of which those of the second page are left out: as by an API that pages first
/// and takes away afterwards what the account may not see.
fn with_a_gap(request: &Request) -> Reply {
    let number = |name: &str| request.param(name).and_then(|text| text.parse::<usize>().ok());
    let begin = number("page").map_or(0, |page| (page - 1) * 3).max(number("offset").unwrap_or(0));
    let ids: Vec<_> = (begin..(begin + 3).min(9))
        .filter(|id| !(3..6).contains(id))
        .map(|id| json!({"id": id}))
        .collect();
    Reply::json(&json!({"data": ids, "more": begin + 3 < 9, "pages": 3, "total": 9}))
}

/// An empty page ends nothing where the API announces more.
#[rstest]
#[case::by_total("total_pages: $.pages")]
#[case::by_has_more("has_more: $.more")]
#[case::short_by_total("size: 3, size_param: size, stop_on: short, total_pages: $.pages")]
#[tokio::test]
async fn i4_an_empty_page_among_others_ends_nothing(#[case] paginate: &str) {
    let server = Server::start(with_a_gap).await;
    let lab = Lab::new();
    let stream = format!("path: /items\nrecords: $.data\npaginate: {{ type: page, {paginate} }}");

    lab.run(&Api::at(&server).stream("items", &stream)).await.ok();

    assert_eq!(lab.ids("items").await, [0, 1, 2, 6, 7, 8]);
}

/// Where an empty page leads nowhere, though more is announced, the run says so.
#[rstest]
#[case::total("total: $.total", "announces 9 records in all")]
#[case::has_more("has_more: $.more", "announces more")]
#[tokio::test]
async fn i4_an_empty_page_before_the_end_is_an_error(#[case] paginate: &str, #[case] says: &str) {
    let server = Server::start(with_a_gap).await;
    let lab = Lab::new();
    let stream =
        format!("path: /items\nrecords: $.data\npaginate: {{ type: offset, size: 3, {paginate} }}");

    let outcome = lab.run(&Api::at(&server).stream("items", &stream)).await;

    outcome.assert_fails(65, "page 2 is empty after 3 records");
    outcome.assert_fails(65, says);
}

/// An API that gives fewer records than it is asked for has not ended.
#[tokio::test]
async fn i4_a_short_page_ends_nothing_where_a_total_says_more() {
    let server = Server::start(every_way).await;
    let lab = Lab::new();
    let stream = "path: /items\nrecords: $.data\npaginate: { type: offset, size: 100, stop_on: short, total: $.total }";

    lab.run(&Api::at(&server).stream("items", stream)).await.ok();

    assert_eq!(lab.ids("items").await, [0, 1, 2, 3, 4, 5, 6]);
}
