//! I6: lists, parents and children.

use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::json;
use solder_ingest::report::StreamOutcome;

use crate::lab::{Api, Asked, Lab};
use crate::server::{Reply, Request, Server};

#[tokio::test]
async fn i6_each_combination_of_lists_is_read_once() {
    let server = Server::start(|request| Reply::json(&json!([{"of": request.path}]))).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        "path: /{partition.region}/{partition.year}\n\
         partitions: { region: [eu, us/east], year: [2023, 2024, '{param.year}'] }\n\
         add: { _region: '{partition.region}' }",
    );
    let text = format!("parameters: {{ year: null }}\n{}", api.text());

    let asked = Asked { params: &[("year", "2025")], ..Asked::default() };
    let report = lab.run_text(&text, asked).await.ok();

    let mut paths = server.paths();
    paths.sort_unstable();
    let expected =
        ["/eu/2023", "/eu/2024", "/eu/2025", "/us/east/2023", "/us/east/2024", "/us/east/2025"];
    assert_eq!(paths, expected);
    assert_eq!(report.streams[0].num_partitions, 6);
    let mut regions = lab.values("items", "_region").await;
    regions.dedup();
    assert!(regions.contains(&json!("us/east")));
}

/// `/users` in two pages, `/users/N/posts`, and `/posts/N/likes`.
fn blog(request: &Request) -> Reply {
    let path: Vec<&str> = request.path.split('/').skip(1).collect();
    match path.as_slice() {
        ["users"] => match request.param("page").as_deref() {
            Some("1") => Reply::json(
                &json!([{"id": 1, "team": {"id": "x"}}, {"id": 2, "team": {"id": "y"}}]),
            ),
            Some("2") => Reply::json(&json!([{"id": 3, "team": {"id": "x"}}])),
            _ => Reply::json(&json!([])),
        },
        ["users", "2", "posts"] => Reply::json(&json!({"message": "gone"})).with_status(404),
        ["users", user, "posts"] => {
            Reply::json(&json!([{"id": format!("{user}a")}, {"id": format!("{user}b")}]))
        }
        ["posts", post, "likes"] => Reply::json(&json!([{"of": post}])),
        ["teams", team] => Reply::json(&json!({"id": team})),
        _ => Reply::status(400),
    }
}

fn users(server: &Server) -> Api {
    Api::at(server).stream("users", "path: /users\nprimary_key: [id]\npaginate: { type: page }")
}

const POSTS: &str = "path: /users/{parent.id}/posts\nparent: { stream: users }\n\
                     add: { _user: '{parent.id}' }";

#[tokio::test]
async fn i6_children_are_read_for_each_record_of_their_parent() {
    let server = Server::start(blog).await;
    let lab = Lab::new();
    let skip = "rules: [{ when: { status: 404 }, do: skip_partition }]";
    let api = users(&server)
        .stream("likes", "path: /posts/{parent.id}/likes\nparent: { stream: posts }")
        .stream("posts", &format!("{POSTS}\n{skip}"))
        .stream("teams", "path: /teams/{parent.team.id}\nparent: { stream: users }");

    let report = lab.run(&api).await.ok();

    assert_eq!(lab.ids("users").await, [1, 2, 3]);
    let mut posts = lab.lines("posts").await;
    posts.sort_unstable();
    assert_eq!(posts[0], r#"{"_user":"1","id":"1a"}"#);
    assert_eq!(posts.len(), 4, "trap 14: user 2 was deleted between list and fetch");
    let mut likes = lab.values("likes", "of").await;
    likes.sort_by_key(ToString::to_string);
    assert_eq!(likes, ["1a", "1b", "3a", "3b"]);
    let teams = report.streams.iter().find(|stream| stream.stream == "teams").unwrap();
    assert_eq!(teams.num_partitions, 2, "two users of one team make one request");
    let num_lists = server.paths().iter().filter(|path| *path == "/users").count();
    assert_eq!(num_lists, 3, "the parent is read once for all");
}

#[tokio::test]
async fn i6_trap_14_a_deleted_parent_is_an_error_where_no_rule_says_otherwise() {
    let server = Server::start(blog).await;
    let lab = Lab::new();

    let outcome = lab.run(&users(&server).stream("posts", POSTS)).await;

    outcome.assert_fails(69, "404");
    assert_eq!(outcome.stream("users").outcome, StreamOutcome::Committed);
    assert_eq!(outcome.stream("posts").outcome, StreamOutcome::Failed);
    assert_eq!(lab.ids("users").await.len(), 3, "what the other streams have stays");
    assert!(lab.lines("posts").await.is_empty());
}

#[tokio::test]
async fn i6_a_parent_that_is_not_selected_is_read_and_not_landed() {
    let server = Server::start(blog).await;
    let lab = Lab::new();
    let api = users(&server)
        .stream("teams", "path: /teams/{parent.team.id}\nparent: { stream: users }")
        .stream("other", "path: /other");

    let asked = Asked { streams: &["teams"], ..Asked::default() };
    let report = lab.run_with(&api, asked).await.ok();

    assert_eq!(report.streams.len(), 1);
    assert_eq!(lab.lines("teams").await.len(), 2);
    assert!(lab.lines("users").await.is_empty());
    assert!(!server.paths().contains(&"/other".to_owned()), "what is not selected is not read");
}

#[tokio::test]
async fn i6_children_of_an_incremental_parent_see_all_of_its_records() {
    let server = Server::start(|request| match request.path.as_str() {
        "/users" => Reply::json(&json!([{"id": 1, "at": 1}, {"id": 2, "at": 2}])),
        _ => Reply::json(&json!([{"of": request.path}])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream(
            "users",
            "path: /users\nprimary_key: [id]\nincremental: { cursor: at, format: integer }",
        )
        .stream("posts", "path: /users/{parent.id}/posts\nparent: { stream: users }");
    lab.run(&api).await.ok();

    let report = lab.run(&api).await.ok();

    assert_eq!(report.streams[0].num_records, 0);
    assert_eq!(report.streams[1].num_records, 2);
}

#[tokio::test]
async fn i6_a_parent_without_records_has_no_children_and_is_asked_once() {
    let server = Server::start(|_| Reply::json(&json!([]))).await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("users", "path: /users").stream("posts", POSTS);

    let report = lab.run(&api).await.ok();

    assert_eq!(report.streams[1].num_partitions, 0);
    assert_eq!(server.paths(), ["/users"]);
}

#[tokio::test]
async fn i6_children_of_a_parent_that_failed_are_not_begun() {
    let server = Server::start(|request| match request.path.as_str() {
        "/users" => Reply::status(400),
        _ => Reply::json(&json!([])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream("likes", "path: /posts/{parent.id}/likes\nparent: { stream: posts }")
        .stream("users", "path: /users")
        .stream("posts", POSTS);

    let outcome = lab.run(&api).await;

    outcome.assert_fails(69, "stream `users`");
    assert_eq!(outcome.stream("posts").outcome, StreamOutcome::NotBegun);
    assert_eq!(outcome.stream("likes").outcome, StreamOutcome::NotBegun);
    assert_eq!(server.paths(), ["/users"]);
}

#[tokio::test]
async fn i6_children_have_their_own_states() {
    let server = Server::start(|request| match request.path.as_str() {
        "/users" => Reply::json(&json!([{"id": 1}, {"id": 2}])),
        "/users/1/posts" => Reply::json(&json!([{"id": "a", "at": 10}])),
        _ => Reply::json(&json!([{"id": "b", "at": 3}])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream("users", "path: /users").stream(
        "posts",
        "path: /users/{parent.id}/posts\nparent: { stream: users }\nprimary_key: [id]\n\
         params: { since: '{cursor.start}' }\nincremental: { cursor: at, format: integer }",
    );
    lab.run(&api).await.ok();
    lab.run(&api).await.ok();

    assert_eq!(lab.cursor("posts", "parent.id=1").await.as_deref(), Some("10"));
    assert_eq!(lab.cursor("posts", "parent.id=2").await.as_deref(), Some("3"));
    let later = server.requests().split_off(3);
    let second = later.iter().find(|request| request.path == "/users/2/posts").unwrap();
    assert_eq!(second.param("since").as_deref(), Some("3"));
    assert_eq!(lab.lines("posts").await.len(), 2);
}

#[rstest]
#[case::at_once(0)]
#[case::in_the_middle(1)]
#[tokio::test]
async fn i6_a_partition_that_is_skipped_keeps_its_state(#[case] num_good: usize) {
    // Windows: a repository that is hidden for a day must not lose that day.
    let is_hidden = Arc::new(Mutex::new(true));
    let hidden = is_hidden.clone();
    let server = Server::start(move |request| {
        if *hidden.lock().unwrap() && request.number >= num_good {
            return Reply::status(404);
        }
        let at: i64 = request.param("from").unwrap().parse().unwrap();
        Reply::json(&json!([{"id": at, "at": at}]))
    })
    .await;
    let lab = Lab::new();
    let start = jiff::Timestamp::now().as_second() - 25 * 86_400;
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /{{partition.repo}}\npartitions: {{ repo: [a] }}\nprimary_key: [id]\n\
             params: {{ from: '{{window.start}}', to: '{{window.end}}' }}\n\
             incremental: {{ cursor: at, format: unix_s, initial: {start}, window: P10D }}\n\
             rules: [{{ when: {{ status: 404 }}, do: skip_partition }}]"
        ),
    );

    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await.len(), num_good);
    assert_eq!(server.requests().len(), num_good + 1, "no further window is asked for");

    *is_hidden.lock().unwrap() = false;
    lab.run(&api).await.ok();
    assert_eq!(lab.ids("items").await.len(), 3);
}

#[rstest]
#[case::doubled("partitions: { a: [x, x] }", "stands twice")]
#[case::unused("partitions: { a: [x], b: [y] }", "nothing uses `{partition.b}`")]
#[test]
fn i6_partitions_that_would_read_the_same_twice(#[case] line: &str, #[case] message: &str) {
    let text = Api::with_url("http://127.0.0.1:9")
        .stream("items", &format!("path: /{{partition.a}}\n{line}"))
        .text();
    let error = solder_ingest::source::parse(&text, "api.yaml".as_ref(), &[]).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

/// A rule that skips behind the first page: nothing is lost, and the run says so.
#[rstest]
#[case::windows(
    "incremental: { cursor: at, format: unix_s, initial: START, window: P10D }",
    true,
    1
)]
#[case::without_order("incremental: { cursor: at, format: unix_s, initial: START }", true, 1)]
#[case::without_state("mode: append", false, 0)]
#[tokio::test]
async fn i6_a_skip_behind_the_first_page_is_told(
    #[case] lines: &str,
    #[case] is_asked_again: bool,
    #[case] num_dropped: u64,
) {
    let is_hidden = Arc::new(Mutex::new(true));
    let hidden = is_hidden.clone();
    let start = jiff::Timestamp::now().as_second() - 5 * 86_400;
    let server = Server::start(move |request| match request.param("page").as_deref() {
        Some("1") => Reply::json(&json!([{"id": 1, "at": start + 1}])),
        Some("2") if *hidden.lock().unwrap() => Reply::status(404),
        Some("2") => Reply::json(&json!([{"id": 2, "at": start + 2}])),
        _ => Reply::json(&json!([])),
    })
    .await;
    let lab = Lab::new();
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /{{partition.repo}}\npartitions: {{ repo: [a] }}\nprimary_key: [id]\n\
             params: PARAMS\n{lines}\npaginate: {{ type: page }}\n\
             rules: [{{ when: {{ status: 404 }}, do: skip_partition }}]"
        )
        .replace("START", &start.to_string())
        .replace(
            "PARAMS",
            match (is_asked_again, lines.contains("window")) {
                (true, true) => "{ from: '{window.start}', to: '{window.end}' }",
                (true, false) => "{ from: '{cursor.start}' }",
                _ => "{ all: yes }",
            },
        ),
    );

    let outcome = lab.run(&api).await;
    let stream = outcome.stream("items");
    assert_eq!((stream.num_cut_short, stream.num_dropped), (1, num_dropped));
    assert_eq!(lab.ids("items").await.len(), if is_asked_again { 0 } else { 1 });

    *is_hidden.lock().unwrap() = false;
    let outcome = lab.run(&api).await;
    assert_eq!(outcome.stream("items").num_cut_short, 0);
    if is_asked_again {
        assert_eq!(lab.ids("items").await, [1, 2]);
    }
}
