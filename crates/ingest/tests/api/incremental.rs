//! I5: where a run begins to read, and where the state stands after it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use solder_landing::raw::Mode;

use crate::lab::{Api, Asked, Lab};
use crate::server::{Reply, Server};

/// A list that changes between runs, given whole.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Vec<Value>>>);

impl Feed {
    fn of(records: &Value) -> Self {
        let feed = Self::default();
        feed.set(records);
        feed
    }

    fn set(&self, records: &Value) {
        *self.0.lock().unwrap() = records.as_array().unwrap().clone();
    }

    async fn serve(&self) -> Server {
        let feed = self.clone();
        Server::start(move |_| Reply::json(&json!(*feed.0.lock().unwrap()))).await
    }
}

#[rstest]
#[case::rfc3339("rfc3339", "2024-01-01T00:00:00Z", json!("2024-05-01T14:00:00.25+02:00"),
    "2024-01-01T00:00:00Z", "2024-05-01T12:00:00.25Z")]
#[case::date("date", "2024-01-01", json!("2024-05-01"), "2024-01-01", "2024-05-01")]
#[case::unix_s("unix_s", "2024-01-01T00:00:00Z", json!(1714564800), "1704067200", "1714564800")]
#[case::unix_s_as_text("unix_s", "1704067200", json!("1714564800"), "1704067200", "1714564800")]
#[case::unix_ms("unix_ms", "1704067200000", json!(1714564800123_i64), "1704067200000", "1714564800123")]
#[case::integer("integer", "10", json!(12345678901234567890_u64), "10", "12345678901234567890")]
#[case::text("text", "a", json!("a-0007"), "a", "a-0007")]
#[tokio::test]
async fn i5_cursors_of_every_format(
    #[case] format: &str,
    #[case] initial: &str,
    #[case] value: Value,
    #[case] first: &str,
    #[case] second: &str,
) {
    let server = Feed::of(&json!([{"id": 1, "at": value}])).serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nprimary_key: [id]\nparams: {{ since: '{{cursor.start}}' }}\n\
             incremental: {{ cursor: at, format: {format}, initial: {initial} }}"
        ),
    );

    lab.run(&api).await.ok();
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some(second));
    lab.run(&api).await.ok();

    // Times are asked for by whole seconds: many APIs look no closer.
    let asked = second.replace(".25Z", "Z");
    assert_eq!(server.params("since"), [Some(first.to_owned()), Some(asked)]);
    assert_eq!(lab.ids("items").await, [1], "read twice, landed once");
}

#[tokio::test]
async fn i5_a_first_run_without_a_begin_asks_for_everything() {
    let server = Feed::of(&json!([{"id": 1, "at": 7}])).serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nparams: { since: '{cursor.start}', all: x }\n\
         incremental: { cursor: at, format: integer }",
    );

    lab.run(&api).await.ok();
    lab.run(&api).await.ok();

    assert_eq!(server.params("since"), [None, Some("7".to_owned())]);
    assert_eq!(lab.ids("items").await, [1]);
}

#[tokio::test]
async fn i5_trap_11_what_comes_late_is_read_by_looking_back() {
    let feed = Feed::of(&json!([
        {"id": 1, "at": "2024-05-01T10:00:00Z"},
        {"id": 2, "at": "2024-05-01T11:00:00Z"},
    ]));
    let server = feed.serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\nparams: { since: '{cursor.start}' }\n\
         incremental: { cursor: at, lookback: PT2H }",
    );
    lab.run(&api).await.ok();

    // Record 3 is older than what was read, and shows only now; record 2 has changed.
    feed.set(&json!([
        {"id": 1, "at": "2024-05-01T10:00:00Z"},
        {"id": 3, "at": "2024-05-01T10:30:00Z"},
        {"id": 2, "at": "2024-05-01T11:00:00Z", "changed": true},
    ]));
    let report = lab.run(&api).await.ok();

    assert_eq!(server.params("since")[1].as_deref(), Some("2024-05-01T09:00:00Z"));
    assert_eq!(lab.ids("items").await, [1, 2, 3, 2]);
    assert_eq!(report.streams[0].num_repeated, 1);
    let report = lab.run(&api).await.ok();
    assert_eq!((report.streams[0].num_records, report.streams[0].num_repeated), (0, 3));
}

#[tokio::test]
async fn i5_trap_11_a_lag_holds_the_state_back() {
    let now = Timestamp::now();
    let recent = now - SignedDuration::from_mins(1);
    let server = Feed::of(&json!([{"id": 1, "at": recent.to_string()}])).serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\nparams: { since: '{cursor.start}' }\n\
         incremental: { cursor: at, lag: PT1H }",
    );

    lab.run(&api).await.ok();

    let state: Timestamp = lab.cursor("items", "").await.unwrap().parse().unwrap();
    assert!(state <= Timestamp::now() - SignedDuration::from_mins(60));
    assert!(state >= now - SignedDuration::from_mins(61));
    let report = lab.run(&api).await.ok();
    assert_eq!(report.streams[0].num_repeated, 1, "it is read again, and known");
}

#[rstest]
#[case::any_order("none")]
#[case::ascending("asc")]
#[tokio::test]
async fn i5_trap_12_a_cursor_of_the_future_is_no_state(#[case] order: &str) {
    let before = Timestamp::now();
    let server = Feed::of(&json!([{"id": 1, "at": "2024-01-01"}, {"id": 2, "at": "2999-01-01"}]));
    let server = server.serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nprimary_key: [id]\nparams: {{ since: '{{cursor.start}}' }}\n\
             incremental: {{ cursor: at, order: {order} }}"
        ),
    );

    lab.run(&api).await.ok();

    let state: Timestamp = lab.cursor("items", "").await.unwrap().parse().unwrap();
    assert!(state <= Timestamp::now() && state >= before - SignedDuration::from_secs(1));
    assert_eq!(lab.ids("items").await, [1, 2], "the record itself is landed");
}

/// Windows of ten days, of which the one that holds `broken_at` is refused.
async fn windows(broken: Arc<Mutex<Option<usize>>>) -> Server {
    Server::start(move |request| {
        if *broken.lock().unwrap() == Some(request.number) {
            return Reply::status(400);
        }
        let at: i64 = request.param("from").unwrap().parse().unwrap();
        Reply::json(&json!([{"id": at, "at": at}]))
    })
    .await
}

#[tokio::test]
async fn i5_windows_follow_each_other_and_count_one_by_one() {
    let broken = Arc::new(Mutex::new(Some(2)));
    let server = windows(broken.clone()).await;
    let lab = Lab::new();
    let start = Timestamp::now().as_second() - 35 * 86_400;
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nprimary_key: [id]\nparams: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
             incremental: {{ cursor: at, format: unix_s, initial: {start}, window: P10D, order: desc }}"
        ),
    );

    lab.run(&api).await.assert_fails(69, "400");

    let day = |n: i64| start + n * 86_400;
    assert_eq!(lab.cursor("items", "").await, Some(day(20).to_string()), "two windows are whole");
    assert_eq!(lab.ids("items").await, [day(0) as u64, day(10) as u64]);

    *broken.lock().unwrap() = None;
    lab.run(&api).await.ok();

    let froms = server.params("from");
    let expected = [day(0), day(10), day(20), day(20), day(30)].map(|at| Some(at.to_string()));
    assert_eq!(froms, expected);
    assert_eq!(server.params("to")[1], Some(day(20).to_string()));
    let end: i64 = server.params("to")[4].as_ref().unwrap().parse().unwrap();
    let now = Timestamp::now().as_second();
    assert!(end <= now - 60 && end > now - 300, "a minute of lag, where nothing else is said");
    assert_eq!(lab.cursor("items", "").await, Some(end.to_string()));
    assert_eq!(lab.ids("items").await.len(), 4, "nothing twice, nothing missing");
}

#[tokio::test]
async fn i5_ends_of_windows_have_no_fractions_of_seconds() {
    let server = Server::start(|_| Reply::json(&json!([]))).await;
    let lab = Lab::new();
    let start = Timestamp::now() - SignedDuration::from_hours(30);
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nparams: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
             incremental: {{ cursor: at, initial: '{}', window: P1D }}",
            start.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
    );

    lab.run(&api).await.ok();

    for end in server.params("to") {
        let end = end.unwrap();
        assert_eq!(end.len(), "2024-05-01T12:00:00Z".len(), "many APIs refuse `{end}`");
    }
}

#[tokio::test]
async fn i5_windows_of_days() {
    let server = Server::start(|_| Reply::json(&json!([]))).await;
    let lab = Lab::new();
    let start =
        (Timestamp::now() - SignedDuration::from_hours(50)).strftime("%Y-%m-%d").to_string();
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nparams: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
             incremental: {{ cursor: day, format: date, initial: {start}, window: P1D }}"
        ),
    );

    lab.run(&api).await.ok();

    let (froms, tos) = (server.params("from"), server.params("to"));
    assert_eq!(froms[0].as_deref(), Some(start.as_str()));
    assert_eq!(froms[1..], tos[..tos.len() - 1]);
    assert_eq!(lab.cursor("items", "").await, *tos.last().unwrap());
}

/// Three pages of two; the request of this number is refused.
async fn pages(cursors: [u64; 6], refused: usize) -> Server {
    Server::start(move |request| {
        if request.number == refused {
            return Reply::status(400);
        }
        let since = request.param("since").map_or(0, |since| since.parse().unwrap());
        let page: usize = request.param("page").unwrap().parse().unwrap();
        let fits: Vec<_> = cursors.iter().enumerate().filter(|(_, at)| **at >= since).collect();
        let chunk = fits.chunks(2).nth(page - 1).unwrap_or_default();
        let chunk: Vec<_> = chunk.iter().map(|(id, at)| json!({"id": id, "at": at})).collect();
        Reply::json(&json!(chunk))
    })
    .await
}

fn paged(server: &Server, order: &str) -> Api {
    Api::at(server).stream(
        "items",
        &format!(
            "path: /items\nprimary_key: [id]\nparams: {{ since: '{{cursor.start}}' }}\n\
             paginate: {{ type: page }}\n\
             incremental: {{ cursor: at, format: integer, order: {order} }}"
        ),
    )
}

#[tokio::test]
async fn i5_trap_10_an_ascending_feed_counts_page_by_page() {
    let server = pages([1, 2, 3, 4, 5, 6], 2).await;
    let (lab, api) = (Lab::new(), paged(&server, "asc"));

    let outcome = lab.run(&api).await;

    outcome.assert_fails(69, "400");
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("4"));
    assert_eq!(lab.ids("items").await, [0, 1, 2, 3]);

    lab.run(&api).await.ok();
    assert_eq!(server.params("since")[3].as_deref(), Some("4"), "it goes on where it was");
    assert_eq!(lab.ids("items").await, [0, 1, 2, 3, 4, 5]);
}

#[rstest]
#[case("desc", [6, 5, 4, 3, 2, 1])]
#[case("none", [3, 6, 1, 2, 5, 4])]
#[tokio::test]
async fn i5_trap_10_other_feeds_count_as_a_whole(#[case] order: &str, #[case] cursors: [u64; 6]) {
    let server = pages(cursors, 2).await;
    let (lab, api) = (Lab::new(), paged(&server, order));

    lab.run(&api).await.assert_fails(69, "400");

    assert_eq!(lab.cursor("items", "").await, None, "the newest is read, the older are not");
    assert!(lab.lines("items").await.is_empty());

    lab.run(&api).await.ok();
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("6"));
    let mut ids = lab.ids("items").await;
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn i5_trap_10_a_feed_that_does_not_ascend_is_an_error() {
    let server = pages([1, 2, 5, 6, 3, 4], usize::MAX).await;
    let (lab, api) = (Lab::new(), paged(&server, "asc"));

    let outcome = lab.run(&api).await;

    outcome.assert_fails(65, "say `order: none`");
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("6"));
}

#[tokio::test]
async fn i5_a_descending_feed_that_cannot_be_asked_ends_at_what_is_known() {
    let server = Server::start(|request| {
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        let base = if request.number < 5 { 8 } else { 10 };
        let newest = (base + 2u64).saturating_sub(2 * page);
        let ids = (0..2).filter_map(|n| newest.checked_sub(n)).filter(|at| *at > 0);
        let records: Vec<_> = ids.map(|at| json!({"id": at, "at": at})).collect();
        Reply::json(&json!(records))
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\npaginate: { type: page }\n\
         incremental: { cursor: at, format: integer, order: desc }",
    );
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(server.requests().len(), 5);

    let report = lab.run(&api).await.ok();

    assert_eq!(lab.ids("items").await.split_off(8), [10, 9]);
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("10"));
    assert_eq!(server.requests().len(), 5 + 2, "the page with older ones is the last");
    assert_eq!((report.streams[0].num_repeated, report.streams[0].num_older), (1, 1));
}

#[tokio::test]
async fn i5_feeds_without_order_are_read_to_their_end() {
    let server = pages([4, 1, 5, 2, 6, 3], usize::MAX).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\npaginate: { type: page }\n\
         incremental: { cursor: at, format: integer, initial: 3 }",
    );

    let report = lab.run(&api).await.ok();

    assert_eq!(lab.ids("items").await, [0, 2, 4, 5]);
    assert_eq!((report.streams[0].num_pages, report.streams[0].num_older), (4, 2));
}

#[tokio::test]
async fn i5_records_without_a_cursor_are_landed_and_a_wrong_one_is_an_error() {
    let feed = Feed::of(&json!([{"id": 1}, {"id": 2, "at": null}, {"id": 3, "at": 5}]));
    let server = feed.serve().await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream("items", "path: /items\nincremental: { cursor: at, format: integer }");
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [1, 2, 3]);

    feed.set(&json!([{"id": 4, "at": "soon"}]));

    lab.run(&api).await.assert_fails(65, "`soon` is not a whole number");
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("5"));
}

#[tokio::test]
async fn i5_trap_13_each_partition_has_its_own_state() {
    let is_refused = Arc::new(Mutex::new(true));
    let refused = is_refused.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/a" => Reply::json(&json!([{"id": 1, "at": 100}])),
        _ if *refused.lock().unwrap() => Reply::status(400),
        _ => Reply::json(&json!([{"id": 2, "at": 7}])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).connection("max_concurrency: 1").stream(
        "items",
        "path: /{partition.of}\npartitions: { of: [a, b] }\nprimary_key: [id]\n\
         params: { since: '{cursor.start}' }\nincremental: { cursor: at, format: integer }",
    );

    lab.run(&api).await.assert_fails(69, "400");
    assert_eq!(lab.partitions("items").await, ["of=a"]);
    *is_refused.lock().unwrap() = false;
    lab.run(&api).await.ok();

    assert_eq!(lab.cursor("items", "of=a").await.as_deref(), Some("100"));
    assert_eq!(lab.cursor("items", "of=b").await.as_deref(), Some("7"));
    lab.run(&api).await.ok();
    let last = server.requests().split_off(4);
    let since = |path: &str| last.iter().find(|r| r.path == path).unwrap().param("since");
    assert_eq!((since("/a"), since("/b")), (Some("100".to_owned()), Some("7".to_owned())));
}

#[tokio::test]
async fn i5_trap_13_values_that_look_like_another_partition_are_not_it() {
    let server = Server::start(|request| {
        let at = request.param("a").unwrap().len();
        Reply::json(&json!([{"id": 1, "at": at}]))
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nparams: { a: '{partition.a}', b: '{partition.b}' }\n\
         partitions: { a: ['1', '1&b=2'], b: ['3', '2&b=3'] }\n\
         incremental: { cursor: at, format: integer, order: none }",
    );

    lab.run(&api).await.ok();

    assert_eq!(lab.partitions("items").await.len(), 4, "{:?}", lab.partitions("items").await);
}

#[tokio::test]
async fn i5_full_reads_anew_and_the_state_goes_on_from_there() {
    let feed = Feed::of(&json!([{"id": 1, "at": 5}]));
    let server = feed.serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\nparams: { since: '{cursor.start}' }\n\
         incremental: { cursor: at, format: integer, initial: 0 }",
    );
    lab.run(&api).await.ok();

    feed.set(&json!([{"id": 2, "at": 3}]));
    lab.run_with(&api, Asked { is_full: true, ..Asked::default() }).await.ok();

    assert_eq!(server.params("since")[1].as_deref(), Some("0"));
    assert_eq!(lab.ids("items").await, [2], "what is read anew replaces what was");
    let manifests = lab.manifests("items").await;
    assert_eq!((manifests[0].mode, manifests[1].mode), (Mode::Append, Mode::Replace));
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("3"));

    feed.set(&json!([{"id": 2, "at": 3}, {"id": 3, "at": 4}]));
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [2, 3], "and the next run comes to it");
    assert_eq!(server.params("since")[2].as_deref(), Some("3"));
}

/// `mode: append`, said by name, is kept by a full run.
#[tokio::test]
async fn i5_full_of_a_stream_that_says_append_comes_to_what_was() {
    let server = Feed::of(&json!([{"id": 1, "at": 5}])).serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\nmode: append\nparams: { since: '{cursor.start}' }\n\
         incremental: { cursor: at, format: integer, initial: 0 }",
    );
    lab.run(&api).await.ok();
    lab.run_with(&api, Asked { is_full: true, ..Asked::default() }).await.ok();
    assert_eq!(lab.ids("items").await, [1, 1]);
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("5"));
}

/// A full run that does not come to its end has changed nothing; one that does begins all states anew, also where
/// only the log is left to tell.
#[rstest]
#[case::by_snapshot(false)]
#[case::by_log(true)]
#[tokio::test]
async fn i5_full_counts_at_its_end_and_for_all_partitions(#[case] is_log_alone: bool) {
    let fails = Arc::new(Mutex::new(false));
    let failing = fails.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/b" if *failing.lock().unwrap() => Reply::status(400),
        path => Reply::json(&json!([{"id": path, "at": 5}])),
    })
    .await;
    let lab = Lab::new();
    let api = |values: &str| {
        Api::at(&server).connection("max_concurrency: 1").stream(
            "items",
            &format!(
                "path: /{{partition.p}}\npartitions: {{ p: [{values}] }}\nprimary_key: [id]\n\
                 params: {{ since: '{{cursor.start}}' }}\n\
                 incremental: {{ cursor: at, format: integer, order: asc }}"
            ),
        )
    };
    lab.run(&api("a, b")).await.ok();
    let before = lab.lines("items").await;
    let full = || Asked { is_full: true, part_age: Duration::ZERO, ..Asked::default() };

    *fails.lock().unwrap() = true;
    assert!(lab.run_with(&api("a, b"), full()).await.result.is_err());
    assert_eq!((lab.lines("items").await, lab.manifests("items").await.len()), (before, 1));

    *fails.lock().unwrap() = false;
    lab.run_with(&api("a"), full()).await.ok();
    assert_eq!(lab.values("items", "id").await, [json!("/a")]);
    if is_log_alone {
        let objects = lab.objects().await.into_iter().map(|(key, _)| key);
        let snapshots: Vec<_> = objects.filter(|key| key.starts_with("state/")).collect();
        assert!(!snapshots.is_empty());
        lab.place.delete(&snapshots).await.unwrap();
    }
    assert_eq!(lab.partitions("items").await, ["p=a"]);

    lab.run(&api("a, b")).await.ok();
    assert_eq!(lab.values("items", "id").await, [json!("/a"), json!("/b")]);
}

#[tokio::test]
async fn i5_a_run_without_news_moves_nothing() {
    let server = Feed::of(&json!([{"id": 1, "at": 5}])).serve().await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /items\nprimary_key: [id]\nincremental: { cursor: at, format: integer }",
    );
    lab.run(&api).await.ok();

    let report = lab.run(&api).await.ok();

    assert_eq!((report.streams[0].num_records, report.streams[0].num_files), (0, 0));
    let manifests = lab.manifests("items").await;
    assert!(manifests[1].state.is_empty() && manifests[1].files.is_empty());
    assert_eq!(lab.cursor("items", "").await.as_deref(), Some("5"));
}

/// Without a key, records at the begin are known by their bytes and by how often they were there.
#[rstest]
#[case::ascending("order: asc", false)]
#[case::without_order("order: none", false)]
#[case::not_bounded("order: none", true)]
#[tokio::test]
async fn i5_without_a_key_the_boundary_comes_once(#[case] order: &str, #[case] is_unbounded: bool) {
    let same = json!({"id": 7, "at": 5});
    let feed = Feed::of(&json!([{"id": 1, "at": 4}, same, same]));
    let server = feed.serve().await;
    let lab = Lab::new();
    let since = if is_unbounded { "" } else { "params: { since: '{cursor.start}' }\n" };
    let api = Api::at(&server).stream(
        "items",
        &format!("path: /items\n{since}incremental: {{ cursor: at, format: integer, {order} }}"),
    );
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [1, 7, 7], "two of the same bytes are two");

    if !is_unbounded {
        feed.set(&json!([same, same]));
    }
    for _ in 0..2 {
        let report = lab.run(&api).await.ok();
        assert_eq!((report.streams[0].num_records, report.streams[0].num_repeated), (0, 2));
    }
    assert_eq!(lab.ids("items").await, [1, 7, 7]);

    feed.set(&json!([same, same, same, {"id": 8, "at": 5}, {"id": 9, "at": 6}]));
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [1, 7, 7, 7, 8, 9], "a third one is landed, once");

    // An answer with nothing forgets nothing.
    feed.set(&json!([]));
    lab.run(&api).await.ok();
    feed.set(&json!([{"id": 9, "at": 6}]));
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await, [1, 7, 7, 7, 8, 9]);
}

/// Where an API takes both ends of a window as inclusive, what lies on the border comes in both.
#[tokio::test]
async fn i5_without_a_key_the_border_of_windows_comes_once() {
    let start = jiff::Timestamp::now().as_second() - 15 * 86_400;
    let border = start + 10 * 86_400;
    let server = Server::start(move |request| {
        let number = |name: &str| request.param(name).unwrap().parse::<i64>().unwrap();
        let all = [start + 1, border, border, border + 1];
        let given = all.iter().filter(|at| (number("from")..=number("to")).contains(at));
        Reply::json(&json!(given.map(|at| json!({"id": at, "at": at})).collect::<Vec<_>>()))
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nparams: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
             incremental: {{ cursor: at, format: unix_s, initial: {start}, window: P10D }}"
        ),
    );
    lab.run(&api).await.ok();
    let all = [start + 1, border, border, border + 1].map(|at| at as u64);
    assert_eq!(lab.ids("items").await, all);
}
