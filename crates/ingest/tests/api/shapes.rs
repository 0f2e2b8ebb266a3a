//! Three common APIs: sources as a user writes them, against servers that behave like the real ones.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::lab::{Asked, Lab};
use crate::server::{Reply, Request, Server};

const GITHUB: &str = r#"
version: 1
connection:
  base_url: https://api.github.com
  auth: { type: bearer, token: "${secret:aws-sm://ingest/github#token}" }
  headers: { Accept: application/vnd.github+json }
  rate_limit: { per_host: 10/s, remaining_header: x-ratelimit-remaining, reset_header: x-ratelimit-reset }
streams:
  issues:
    path: /repos/{partition.repo}/issues
    partitions: { repo: [apache/arrow, delta-io/delta-rs] }
    params: { state: all, per_page: 100, sort: updated, direction: asc, since: "{cursor.start}" }
    records: $[*]
    primary_key: [id]
    paginate: { type: link_header }
    incremental: { cursor: $.updated_at, initial: 2020-01-01T00:00:00Z, lookback: PT5M, order: asc }
    rules:
      - { when: { status: [403, 429], header: { x-ratelimit-remaining: "0" } }, do: wait_reset }
      - { when: { status: 404 }, do: skip_partition }
"#;

const STRIPE: &str = r#"
version: 1
connection:
  base_url: https://api.stripe.com/v1
  auth: { type: basic, username: "${secret:env:STRIPE_KEY}", password: "" }
streams:
  charges:
    path: /charges
    params: { limit: 100, "created[gte]": "{window.start}", "created[lt]": "{window.end}" }
    records: $.data[*]
    primary_key: [id]
    paginate: { type: cursor, from: last_record.id, param: starting_after, has_more: $.has_more }
    incremental: { cursor: $.created, format: unix_s, initial: 2024-01-01T00:00:00Z,
                   window: P30D, lookback: PT1H, lag: PT2M, order: desc }   # state moves only when a window is complete
"#;

const PAGES: &str = r#"
version: 1
connection:
  base_url: https://api.example.com/v2
  auth: { type: api_key, in: header, name: X-API-Key, value: "${secret:aws-sm://prod/example#api_key}" }
streams:
  orders:
    path: /orders
    paginate: { type: page, param: page, start: 1, size: 200, size_param: per_page,
                total_pages: $.meta.total_pages, stop_on: empty, max_pages: 100000 }
    records: $.data[*]
    primary_key: [order_id]
"#;

/// The source against a server of this machine, with its secret in a file; all else as it is written.
fn here(source: &str, server: &Server, secret: &str) -> String {
    let urls = ["https://api.github.com", "https://api.stripe.com", "https://api.example.com"];
    let url = urls.iter().find(|url| source.contains(**url)).unwrap();
    let begin = source.find("${secret:").unwrap();
    let end = begin + source[begin..].find('}').unwrap() + 1;
    let reference = &source[begin..end];
    source.replace(reference, secret).replace(url, &server.url()).replace(
        "connection:\n",
        "connection:\n  allow_private_networks: true\n  retry: { backoff: 1ms, max_backoff: 5ms }\n",
    )
}

/// Issues by repository, oldest first, as GitHub gives them.
struct GitHub {
    issues: Vec<(u64, &'static str)>,
    is_limited: bool,
}

impl GitHub {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.header("authorization") != Some("Bearer ghp_0123456789abcdef") {
            return Reply::json(&json!({"message": "Bad credentials"})).with_status(401);
        }
        if request.path != "/repos/apache/arrow/issues" {
            return Reply::json(&json!({"message": "Not Found"})).with_status(404);
        }
        let page: usize = request.param("page").map_or(1, |page| page.parse().unwrap());
        if page == 2 && std::mem::take(&mut self.is_limited) {
            return Reply::json(&json!({"message": "API rate limit exceeded"}))
                .with_status(403)
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset", "1");
        }
        let since = request.param("since").unwrap();
        let per_page: usize = request.param("per_page").unwrap().parse().unwrap();
        let all: Vec<Value> = self
            .issues
            .iter()
            .filter(|(_, updated)| *updated >= since.as_str())
            .map(|(id, updated)| json!({"id": id, "updated_at": updated, "title": "x"}))
            .collect();
        let chunks: Vec<&[Value]> = all.chunks(per_page.min(2)).collect();
        let body = json!(chunks.get(page - 1).copied().unwrap_or_default());
        let reply = Reply::json(&body).header("x-ratelimit-remaining", "4000");
        if page >= chunks.len() {
            return reply;
        }
        let host = request.header("host").unwrap();
        let next = format!("http://{host}{}?per_page=100&since={since}&page=", request.path);
        let link = format!("<{next}{}>; rel=\"next\", <{next}9>; rel=\"last\"", page + 1);
        reply.header("link", &link)
    }
}

#[tokio::test]
async fn i1_github_issues_as_written() {
    let github = Arc::new(Mutex::new(GitHub {
        issues: vec![
            (1, "2024-01-01T00:00:00Z"),
            (2, "2024-01-02T00:00:00Z"),
            (3, "2024-01-03T00:00:00Z"),
            (4, "2024-01-04T00:00:00Z"),
            (5, "2024-01-05T00:00:00Z"),
        ],
        is_limited: true,
    }));
    let api = github.clone();
    let server = Server::start(move |request| api.lock().unwrap().answer(request)).await;
    let lab = Lab::new();
    let text = here(GITHUB, &server, &lab.secret("github", "ghp_0123456789abcdef"));

    let report = lab.run_text(&text, Asked::default()).await.ok();

    assert_eq!(lab.ids("issues").await, [1, 2, 3, 4, 5]);
    assert_eq!(report.streams[0].num_partitions, 2);
    assert_eq!(report.streams[0].num_retries, 1, "403 with nothing remaining is waited for");
    assert_eq!(
        lab.cursor("issues", "repo=apache/arrow").await.as_deref(),
        Some("2024-01-05T00:00:00Z")
    );
    assert_eq!(lab.cursor("issues", "repo=delta-io/delta-rs").await, None, "404: nothing there");
    let first = &server.requests()[0];
    assert_eq!(first.header("accept"), Some("application/vnd.github+json"));
    let own = server.requests().into_iter().find(|r| r.path.contains("arrow")).unwrap();
    assert_eq!(own.param("since").as_deref(), Some("2020-01-01T00:00:00Z"));
    assert_eq!(own.param("direction").as_deref(), Some("asc"));

    // An issue was changed since: it comes last, the newest of before comes again and is known.
    let num_before = server.requests().len();
    {
        let mut github = github.lock().unwrap();
        github.issues.remove(0);
        github.issues.push((1, "2024-01-06T00:00:00Z"));
    }
    let report = lab.run_text(&text, Asked::default()).await.ok();

    assert_eq!(lab.ids("issues").await, [1, 2, 3, 4, 5, 1]);
    assert_eq!((report.streams[0].num_records, report.streams[0].num_repeated), (1, 1));
    let later = server.requests().split_off(num_before);
    let own = later.iter().find(|request| request.path.contains("arrow")).unwrap();
    assert_eq!(own.param("since").as_deref(), Some("2024-01-04T23:55:00Z"), "5 minutes back");
}

#[tokio::test]
async fn i1_stripe_charges_as_written() {
    let now = jiff::Timestamp::now().as_second();
    let day = 86_400;
    let first_of_2024 = 1_704_067_200;
    // Newest first.
    let created = vec![
        now - 30,
        now - 40 * day,
        now - 41 * day,
        now - 42 * day,
        first_of_2024 + 5,
        first_of_2024,
    ];
    let charges: Vec<(String, i64)> =
        created.into_iter().enumerate().map(|(n, created)| (format!("ch_{n}"), created)).collect();
    let is_busy = Arc::new(Mutex::new(true));
    let server = Server::start(move |request| {
        if request.header("authorization") != Some("Basic c2tfbGl2ZV8wMTIzNDU2Nzg5Og==") {
            return Reply::json(&json!({"error": {"type": "invalid_request_error"}}))
                .with_status(401);
        }
        if std::mem::take(&mut *is_busy.lock().unwrap()) {
            return Reply::json(&json!({"error": {"type": "rate_limit"}})).with_status(429);
        }
        let number = |name| request.param(name).unwrap().parse::<i64>().unwrap();
        let (gte, lt) = (number("created[gte]"), number("created[lt]"));
        let fits: Vec<_> =
            charges.iter().filter(|(_, created)| (gte..lt).contains(created)).collect();
        let begin = request
            .param("starting_after")
            .map_or(0, |after| 1 + fits.iter().position(|(id, _)| *id == after).unwrap());
        let page: Vec<_> = fits[begin..].iter().take(2).collect();
        let data: Vec<_> =
            page.iter().map(|(id, created)| json!({"id": id, "created": created})).collect();
        let has_more = begin + page.len() < fits.len();
        Reply::json(&json!({"object": "list", "data": data, "has_more": has_more}))
    })
    .await;
    let lab = Lab::new();
    let text = here(STRIPE, &server, &lab.secret("stripe", "sk_live_0123456789"));

    let report = lab.run_text(&text, Asked::default()).await.ok();

    let mut ids = lab.values("charges", "id").await;
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["ch_1", "ch_2", "ch_3", "ch_4", "ch_5"], "the newest is within the lag");
    assert!(report.streams[0].num_retries >= 1);
    let requests = server.requests();
    assert_eq!(requests[0].param("created[gte]"), Some(first_of_2024.to_string()));
    let windows: Vec<_> = requests[1..]
        .iter()
        .filter(|request| request.param("starting_after").is_none())
        .map(|request| {
            (request.param("created[gte]").unwrap(), request.param("created[lt]").unwrap())
        })
        .collect();
    assert!(
        windows.windows(2).all(|pair| pair[0].1 == pair[1].0),
        "no gap, no overlap: {windows:?}"
    );
    let end: i64 = windows.last().unwrap().1.parse().unwrap();
    assert!((now - 120..=now - 120 + 60).contains(&end), "held back by two minutes");
    assert_eq!(lab.cursor("charges", "").await, Some(end.to_string()));

    let report = lab.run_text(&text, Asked::default()).await.ok();

    assert_eq!(report.streams[0].num_requests, 1);
    let again = server.requests().pop().unwrap();
    assert_eq!(again.param("created[gte]"), Some((end - 3600).to_string()), "an hour back");
}

#[tokio::test]
async fn i1_numbered_pages_as_written() {
    let server = Server::start(|request| {
        if request.header("x-api-key") != Some("key-0123456789") {
            return Reply::status(401);
        }
        assert_eq!(request.param("per_page").as_deref(), Some("200"));
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        let data: Vec<_> =
            (0..200).map(|n| json!({"order_id": (page - 1) * 200 + n, "page": page})).collect();
        Reply::json(&json!({"meta": {"total_pages": 3}, "data": data}))
    })
    .await;
    let lab = Lab::new();
    let text = here(PAGES, &server, &lab.secret("key", "key-0123456789"));

    let report = lab.run_text(&text, Asked::default()).await.ok();
    assert_eq!((report.streams[0].num_requests, report.streams[0].num_records), (3, 600));
    assert_eq!(server.requests()[0].path, "/v2/orders");

    // What is read whole replaces what was there.
    lab.run_text(&text, Asked::default()).await.ok();
    assert_eq!(lab.lines("orders").await.len(), 600);
}
