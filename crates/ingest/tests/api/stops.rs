//! I15: runs that are cut, and go on under their id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use solder_ingest::report::{Report, StreamOutcome};

use crate::lab::{Api, Asked, Lab};
use crate::server::{Reply, Request, Server};

/// More calls than any of these streams takes: one that goes on for ever is told from one that goes on.
const MANY: usize = 300;

fn cut(run_id: &str) -> Asked<'_> {
    Asked { run_id: Some(run_id), stop_after: Some(Duration::ZERO), ..Asked::default() }
}

/// Runs under one id, each cut at the first place where it can be, until nothing is left.
async fn cut_everywhere(lab: &Lab, api: &Api, run_id: &str) -> Vec<Report> {
    let mut reports = Vec::new();
    for _ in 0..MANY {
        let report = lab.run_with(api, cut(run_id)).await.ok();
        let more = report.more;
        reports.push(report);
        if !more {
            return reports;
        }
    }
    panic!("there is more after {MANY} runs");
}

/// The midnight of forty days ago, as seconds.
static BEGIN: LazyLock<i64> = LazyLock::new(|| {
    let begin = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * 40)).unwrap();
    begin.as_second().div_euclid(86_400) * 86_400
});

/// Whole days, so that records lie on borders of windows.
fn day(number: i64) -> i64 {
    *BEGIN + number * 86_400
}

/// A list of records with a day and a part, as APIs give such.
#[derive(Clone, Default)]
struct Feed {
    records: Arc<Mutex<Vec<Value>>>,
    page_size: usize,
    is_newest_first: bool,
}

impl Feed {
    /// `since`, `from` and `to` are days and inclusive; `page` begins with 1.
    fn answer(&self, request: &Request) -> Reply {
        let number = |name: &str| request.param(name).and_then(|text| text.parse::<i64>().ok());
        let at = |record: &Value| record["at"].as_i64().unwrap();
        let mut fitting: Vec<Value> = self.records.lock().unwrap().clone();
        fitting.retain(|record| {
            number("since").is_none_or(|since| at(record) >= since)
                && number("from").is_none_or(|from| at(record) >= from)
                && number("to").is_none_or(|to| at(record) <= to)
                && request.param("part").is_none_or(|part| record["part"] == *part)
        });
        fitting.sort_by_key(at);
        if self.is_newest_first {
            fitting.reverse();
        }
        let page = usize::try_from(number("page").unwrap_or(1)).unwrap() - 1;
        let records: Vec<&Value> =
            fitting.iter().skip(page * self.page_size).take(self.page_size).collect();
        Reply::json(&json!(records))
    }

    async fn serve(&self) -> Server {
        let feed = self.clone();
        Server::start(move |request| feed.answer(request)).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ascending,
    Windows,
    InNoOrder,
}

#[derive(Debug, Clone)]
struct Shape {
    kind: Kind,
    page_size: usize,
    lookback_days: i64,
    has_key: bool,
    has_parts: bool,
    max_concurrency: usize,
    is_bounded_by_server: bool,
    /// The days of the records of the first run, and of those that come before the second.
    first: Vec<i64>,
    second: Vec<i64>,
    /// So many calls are cut; the one after them is not. None: until nothing is left.
    num_cut: Option<usize>,
}

impl Shape {
    fn stream(&self) -> String {
        let mut text = "path: /items\npaginate: { type: page }\n".to_owned();
        if self.has_key {
            text.push_str("primary_key: [id]\n");
        }
        let part = if self.has_parts { ", part: '{partition.part}'" } else { "" };
        if self.has_parts {
            text.push_str("partitions: { part: [a, b, c] }\n");
        }
        let (window, order) = match self.kind {
            Kind::Ascending => ("", "asc"),
            Kind::Windows => (", window: P3D", "none"),
            Kind::InNoOrder => ("", "none"),
        };
        let asked = match self.kind {
            Kind::Windows => "from: '{window.start}', to: '{window.end}'",
            _ if self.is_bounded_by_server => "since: '{cursor.start}'",
            _ => "all: x",
        };
        text.push_str(&format!("params: {{ {asked}{part} }}\n"));
        text.push_str(&format!(
            "incremental: {{ cursor: at, format: unix_s, initial: {}, lookback: P{}D, order: {order}{window} }}",
            day(20), self.lookback_days
        ));
        text
    }

    /// Without a key, two records of one day and part are the same byte for byte.
    fn records(&self, days: &[i64], begin: usize) -> Vec<Value> {
        let parts = ["a", "b", "c"];
        days.iter()
            .enumerate()
            .map(|(number, at)| match self.has_key {
                true => {
                    json!({ "id": begin + number, "at": day(20 + at), "part": parts[number % 3] })
                }
                false => json!({ "at": day(20 + at), "part": parts[number % 3] }),
            })
            .collect()
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let kind = prop_oneof![Just(Kind::Ascending), Just(Kind::Windows), Just(Kind::InNoOrder)];
    let days = || prop::collection::vec(0_i64..20, 0..12);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (1_usize..4, 0_i64..8, 1_usize..4, prop::option::of(0_usize..6));
    (kind, switches, numbers, days(), days()).prop_map(
        |(kind, (has_key, has_parts, is_bounded_by_server), numbers, mut first, mut second)| {
            let (page_size, lookback_days, max_concurrency, num_cut) = numbers;
            if !has_key {
                // Two pages of the same records are an error (I4), cut or not.
                let mut copies = BTreeMap::<i64, usize>::new();
                let mut is_new = |day: &i64| {
                    let number = copies.entry(*day).or_default();
                    *number += 1;
                    *number <= page_size
                };
                first.retain(&mut is_new);
                second.retain(&mut is_new);
            }
            Shape {
                kind,
                page_size,
                lookback_days,
                has_key,
                has_parts,
                max_concurrency,
                is_bounded_by_server,
                first,
                second,
                num_cut,
            }
        },
    )
}

async fn compare(shape: &Shape) {
    let feed = Feed {
        records: Arc::default(),
        page_size: shape.page_size,
        is_newest_first: shape.kind == Kind::InNoOrder,
    };
    let server = feed.serve().await;
    let connection = format!("max_concurrency: {}", shape.max_concurrency);
    let api = Api::at(&server).connection(&connection).stream("items", &shape.stream());
    let (whole, parts) = (Lab::new(), Lab::new());
    let mut number = 0;
    for (run_id, days) in [("one", &shape.first), ("two", &shape.second), ("three", &Vec::new())] {
        feed.records.lock().unwrap().extend(shape.records(days, number));
        number += days.len();
        let asked = Asked { run_id: Some(run_id), ..Asked::default() };
        lab_run(&whole, &api, asked.clone()).await;
        match shape.num_cut {
            None => {
                cut_everywhere(&parts, &api, run_id).await;
            }
            Some(num_cut) => {
                for _ in 0..num_cut {
                    lab_run(&parts, &api, cut(run_id)).await;
                }
                lab_run(&parts, &api, asked.clone()).await;
            }
        }
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(
            sorted(parts.lines("items").await),
            sorted(whole.lines("items").await),
            "run {run_id}: cut, and whole"
        );
        if shape.kind != Kind::Windows {
            for part in whole.partitions("items").await {
                let cursors =
                    (parts.cursor("items", &part).await, whole.cursor("items", &part).await);
                assert_eq!(cursors.0, cursors.1, "the state of {part}");
            }
        }
    }
}

async fn lab_run(lab: &Lab, api: &Api, asked: Asked<'_>) {
    lab.run_with(api, asked).await.ok();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// I15: wherever a run is cut, and however often, it lands the records of one that is not cut, each once, and
    /// leaves the same state.
    #[test]
    fn i15_cut_runs_land_what_one_run_lands(shape in shapes()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(compare(&shape));
    }
}

/// The records of `days`, one a day, as an ascending feed with a key.
async fn ascending(days: std::ops::Range<i64>, page_size: usize) -> (Server, Api) {
    let records: Vec<Value> =
        days.map(|number| json!({ "id": number, "at": day(number) })).collect();
    let feed = Feed { records: Arc::new(Mutex::new(records)), page_size, is_newest_first: false };
    let server = feed.serve().await;
    let api = Api::at(&server).stream("items", ASCENDING);
    (server, api)
}

const ASCENDING: &str = "path: /items\nprimary_key: [id]\npaginate: { type: page }\n\
                         params: { since: '{cursor.start}' }\n\
                         incremental: { cursor: at, format: unix_s, order: asc }";

/// Page by page, each call says whether more is left, and the last commit is that of the run.
#[tokio::test]
async fn i15_each_call_brings_a_page_and_the_last_ends_the_run() {
    let (_server, api) = ascending(0..7, 2).await;
    let lab = Lab::new();
    let reports = cut_everywhere(&lab, &api, "one").await;

    let pages: Vec<u64> = reports.iter().map(|report| report.streams[0].num_records).collect();
    assert_eq!(pages.iter().sum::<u64>(), 7);
    assert!(pages[..pages.len() - 1].iter().all(|number| (1..=2).contains(number)), "{pages:?}");
    let outcomes: Vec<&str> = reports.iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes[..outcomes.len() - 1], vec!["stopped"; outcomes.len() - 1]);
    assert_eq!(outcomes.last(), Some(&"succeeded"));
    assert_eq!(reports[0].streams[0].outcome, StreamOutcome::Stopped);
    assert!(reports[0].streams[0].more_is_left);
    let last: Vec<bool> =
        lab.manifests("items").await.iter().map(|manifest| manifest.is_last_of_run).collect();
    assert_eq!(last.iter().filter(|is_last| **is_last).count(), 1);
    assert_eq!(last.last(), Some(&true));

    let again = lab.run_with(&api, cut("one")).await.ok();
    assert_eq!(again.streams[0].outcome, StreamOutcome::AlreadyCommitted);
    assert!(!again.more);
}

/// A stream by windows that looks back further than one of them is long.
fn looking_back() -> String {
    format!(
        "path: /items\nprimary_key: [id]\nparams: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
         incremental: {{ cursor: at, format: unix_s, initial: {}, window: P2D, lookback: P9D }}",
        day(30)
    )
}

/// Windows that were read are not read once more by the same run, however far the stream looks back: with a
/// lookback longer than a window, it would never come to an end.
#[tokio::test]
async fn i15_windows_go_on_where_they_ended() {
    let feed = Feed { page_size: 5, ..Feed::default() };
    feed.records.lock().unwrap().push(json!({ "id": 1, "at": day(31) }));
    let server = feed.serve().await;
    let api = Api::at(&server).stream("items", &looking_back());
    let lab = Lab::new();
    for run_id in ["one", "two"] {
        let begun = server.requests().len();
        let reports = cut_everywhere(&lab, &api, run_id).await;
        let from = server.params("from")[begun..].to_vec();
        let different: BTreeSet<_> = from.iter().collect();
        assert_eq!(from.len(), different.len(), "no window was asked for twice: {from:?}");
        assert_eq!(reports.len(), from.len(), "one window a call");
        let cursor: i64 = lab.cursor("items", "").await.unwrap().parse().unwrap();
        assert!(cursor >= Timestamp::now().as_second() - 60, "read to its end");
    }
    assert_eq!(lab.ids("items").await, [1]);
}

/// While a run reads again what lies before the state, the state stays: a run that is killed there, and one of
/// another id, begin where they would have begun.
#[tokio::test]
async fn i15_a_state_does_not_go_back() {
    let server = Feed { page_size: 5, ..Feed::default() }.serve().await;
    let api = Api::at(&server).stream("items", &looking_back());
    let lab = Lab::new();
    lab.run(&api).await.ok();
    let before = lab.cursor("items", "").await;
    let report = lab.run_with(&api, cut("two")).await.ok();
    assert!(report.more);
    assert_eq!(lab.cursor("items", "").await, before);
}

/// What is one piece is read to its end, and what comes after it is left to the next call.
#[tokio::test]
async fn i15_streams_that_are_one_piece_are_not_cut() {
    let feed = Feed { page_size: 1, ..Feed::default() };
    let records = (0..4).map(|number| json!({ "id": number, "at": day(number) }));
    feed.records.lock().unwrap().extend(records);
    let server = feed.serve().await;
    let api = Api::at(&server)
        .connection("max_concurrency: 1")
        .stream("parents", "path: /items\nprimary_key: [id]\npaginate: { type: page }")
        .stream(
            "children",
            "path: '/of/{parent.id}'\nparent: { stream: parents }\nprimary_key: [id]\npaginate: { type: page }\nparams: { since: '{cursor.start}' }\n\
             incremental: { cursor: at, format: unix_s }",
        );
    let lab = Lab::new();
    let reports = cut_everywhere(&lab, &api, "one").await;
    let outcomes = |number: usize| {
        let streams = reports[number].streams.iter();
        streams.map(|stream| (stream.outcome, stream.more_is_left)).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(0), [(StreamOutcome::Committed, false), (StreamOutcome::NotBegun, true)]);
    assert_eq!(
        outcomes(1),
        [(StreamOutcome::AlreadyCommitted, false), (StreamOutcome::Stopped, true)]
    );
    assert_eq!(lab.ids("parents").await, [0, 1, 2, 3]);
    assert_eq!(lab.lines("children").await.len(), 4 * 4, "the same four of each parent");
}

/// A run that has committed nothing when its time is over fails, and says why: the next would come no further.
#[rstest]
#[case::one_piece(
    "path: /slow\npaginate: { type: page }",
    78,
    "stream `items` is committed as a whole: it has no cursor"
)]
#[case::window(
    "path: /slow\npaginate: { type: page }\nparams: { from: '{window.start}', to: '{window.end}' }\nincremental: { cursor: at, format: unix_s, initial: 1700000000, window: P9000D }",
    78,
    "a smaller `window` may fit"
)]
#[case::no_order(
    "path: /slow\npaginate: { type: page }\nparams: { since: '{cursor.start}' }\nincremental: { cursor: at, format: unix_s }",
    78,
    "is committed partition by partition"
)]
#[case::api(
    "path: /never\nincremental: { cursor: at, format: unix_s, order: asc }",
    75,
    "nothing could be committed in 0 s"
)]
#[tokio::test]
async fn i15_no_progress_is_an_error(#[case] stream: &str, #[case] code: u8, #[case] words: &str) {
    let server = Server::start(|request| {
        let page: i64 = request.param("page").map_or(1, |page| page.parse().unwrap());
        let wait = if request.path == "/never" { 30_000 } else { 20 };
        Reply::json(&json!([{ "id": page, "at": day(0) + page }]))
            .after(Duration::from_millis(wait))
    })
    .await;
    let api = Api::at(&server).stream("items", stream);
    let lab = Lab::new();
    let asked = Asked { give_up_after: Some(Duration::from_millis(300)), ..cut("one") };
    let outcome = lab.run_with(&api, asked).await;
    outcome.assert_fails(code, words);
    assert!(!outcome.report.more);
    assert_eq!(outcome.report.outcome, "failed");
    assert_eq!(lab.lines("items").await.len(), 0);
}

/// What is given up when time is over is read again, once.
#[tokio::test]
async fn i15_what_is_given_up_comes_with_the_next_run() {
    let records: Vec<Value> = (1..4).map(|id| json!({ "id": id, "at": day(id) })).collect();
    let server = Server::start(move |request| {
        let since = request.param("since").and_then(|text| text.parse::<i64>().ok());
        let fitting = records
            .iter()
            .filter(|record| since.is_none_or(|since| record["at"].as_i64().unwrap() >= since));
        let page: usize = request.param("page").unwrap().parse().unwrap();
        let reply = Reply::json(&json!(fitting.skip(page - 1).take(1).collect::<Vec<_>>()));
        // The third page of the first run never comes.
        let is_slow = since.is_none() && page == 3;
        reply.after(if is_slow { Duration::from_secs(30) } else { Duration::ZERO })
    })
    .await;
    let api = Api::at(&server).stream("items", ASCENDING);
    let lab = Lab::new();
    let asked = Asked {
        stop_after: Some(Duration::from_millis(400)),
        give_up_after: Some(Duration::from_millis(500)),
        ..cut("one")
    };
    let report = lab.run_with(&api, asked.clone()).await.ok();
    assert!(report.more);
    assert_eq!(lab.ids("items").await, [1, 2]);
    let report = lab.run_with(&api, asked).await.ok();
    assert!(!report.more);
    assert_eq!(lab.ids("items").await, [1, 2, 3]);
}

/// A stream that is read anew and appends goes on as well; one that replaces is one piece.
#[rstest]
#[case("mode: append\n", true)]
#[case("", false)]
#[tokio::test]
async fn i15_full_runs(#[case] mode: &str, #[case] is_cut: bool) {
    let records: Vec<Value> = (0..5).map(|id| json!({ "id": id, "at": day(id) })).collect();
    let feed =
        Feed { records: Arc::new(Mutex::new(records)), page_size: 2, is_newest_first: false };
    let server = feed.serve().await;
    let api = Api::at(&server).stream("items", &format!("{mode}{ASCENDING}"));
    let lab = Lab::new();
    lab.run(&api).await.ok();
    let mut num_calls = 0;
    loop {
        num_calls += 1;
        assert!(num_calls < MANY);
        let report = lab.run_with(&api, Asked { is_full: true, ..cut("full") }).await.ok();
        if !report.more {
            break;
        }
    }
    assert_eq!(num_calls > 1, is_cut);
    let mut ids = lab.ids("items").await;
    ids.sort_unstable();
    let expected: &[u64] = if is_cut { &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4] } else { &[0, 1, 2, 3, 4] };
    assert_eq!(ids, expected);
}

/// The least number of records is that of the run, and not of its last call.
#[tokio::test]
async fn i15_few_records_of_a_whole_run() {
    let (server, _) = ascending(0..6, 2).await;
    for (expected, fails) in [(6, false), (7, true)] {
        let stream = format!("{ASCENDING}\nexpect_min_records: {expected}");
        let api = Api::at(&server).stream("items", &stream);
        let lab = Lab::new();
        let mut failure = None;
        for _ in 0..MANY {
            let outcome = lab.run_with(&api, cut("one")).await;
            if outcome.result.is_err() {
                failure = Some(outcome.failure());
                break;
            }
            if !outcome.report.more {
                break;
            }
        }
        assert_eq!(failure.is_some(), fails, "{failure:?}");
        if let Some((code, text)) = failure {
            assert_eq!(code, 65);
            assert!(text.contains("6 records came, fewer than the 7"), "{text}");
        }
    }
}

/// A partition that a rule skips is not asked for again by the same run.
#[tokio::test]
async fn i15_skipped_partitions_are_asked_for_once() {
    let server = Server::start(|request| match request.param("of").unwrap().as_str() {
        "gone" => Reply::status(404),
        of => Reply::json(&json!([{ "id": of, "at": 5 }])),
    })
    .await;
    let api = Api::at(&server).connection("max_concurrency: 1").stream(
        "items",
        "path: /items\nprimary_key: [id]\npartitions: { of: [gone, one, two] }\n\
         params: { since: '{cursor.start}', of: '{partition.of}' }\n\
         incremental: { cursor: at, format: integer }\n\
         rules: [{ when: { status: 404 }, do: skip_partition }]",
    );
    let lab = Lab::new();
    let reports = cut_everywhere(&lab, &api, "one").await;
    assert!(reports.len() > 1);
    let asked: Vec<_> = server.params("of").into_iter().flatten().collect();
    assert_eq!(asked, ["gone", "one", "two"]);
}
