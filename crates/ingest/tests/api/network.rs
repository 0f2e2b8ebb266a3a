//! I9: where requests may go, and who gets the credentials.

use rstest::rstest;
use serde_json::json;

use crate::lab::{Api, Lab};
use crate::server::{Reply, Request, Server};

const TOKEN: &str = "token-0123456789";

/// What only the source's own origin may see.
#[track_caller]
fn assert_knows_nothing(request: &Request) {
    for name in ["authorization", "x-own", "x-api-key", "cookie", "content-type"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert!(request.body.is_empty());
    assert!(!request.query.contains(TOKEN));
}

fn with_token(lab: &Lab, api: Api, auth: &str) -> Api {
    let reference = lab.secret("token", TOKEN);
    api.connection(&format!("auth: {}", auth.replace("TOKEN", &format!("\"{reference}\""))))
        .connection("headers: { X-Own: own }")
}

const BEARER: &str = "{ type: bearer, token: TOKEN }";
const KEY: &str = "{ type: api_key, name: X-API-Key, value: TOKEN }";
const QUERY: &str = "{ type: api_key, in: query, name: key, value: TOKEN }";
const COOKIE: &str = "{ type: api_key, in: cookie, name: sid, value: TOKEN }";
const BASIC: &str = "{ type: basic, username: me, password: TOKEN }";

#[derive(Debug, Clone, Copy)]
enum Way {
    Redirect(u16),
    NextUrl,
    Link,
}

/// One that leads to `target`.
async fn leading(way: Way, target: String) -> Server {
    Server::start(move |request| match (way, request.number) {
        (Way::Redirect(status), 0) => Reply::redirect(status, &target),
        (Way::NextUrl, 0) => Reply::json(&json!({"data": [1], "next": target})),
        (Way::Link, 0) => {
            Reply::json(&json!({"data": [1]})).header("link", &format!("<{target}>; rel=next"))
        }
        _ => Reply::json(&json!({"data": [3]})),
    })
    .await
}

fn paginate(way: Way) -> &'static str {
    match way {
        Way::Link => "link_header }",
        _ => "next_url, from: $.next }",
    }
}

#[rstest]
#[tokio::test]
async fn i9_trap_04_other_hosts_are_refused(
    #[values(Way::Redirect(301), Way::Redirect(302), Way::Redirect(307), Way::NextUrl, Way::Link)]
    way: Way,
) {
    let other = Server::start(|_| Reply::json(&json!({"data": [2]}))).await;
    let server = leading(way, format!("{}/items", other.url())).await;
    let lab = Lab::new();
    let api = with_token(&lab, Api::at(&server), BEARER);
    let stream = format!("path: /items\nrecords: $.data\npaginate: {{ type: {}", paginate(way));

    let outcome = lab.run(&api.stream("items", &stream)).await;

    outcome.assert_fails(78, "`connection.allowed_hosts`");
    assert!(other.requests().is_empty());
}

#[rstest]
#[tokio::test]
async fn i9_trap_04_allowed_hosts_get_no_credentials(
    #[values(Way::Redirect(302), Way::Redirect(307), Way::Redirect(308), Way::NextUrl, Way::Link)]
    way: Way,
    #[values(BEARER, KEY, QUERY, COOKIE, BASIC)] auth: &str,
    #[values("GET", "POST")] method: &str,
) {
    let other = Server::start(|_| Reply::json(&json!({"data": [2]}))).await;
    let server = leading(way, format!("{}/items", other.url())).await;
    let lab = Lab::new();
    let api = with_token(&lab, Api::at(&server), auth).connection("allowed_hosts: [127.0.0.1]");
    let body = if method == "POST" { "body: { filter: x }" } else { "headers: { X-Own: mine }" };
    let stream = format!(
        "path: /items\nmethod: {method}\n{body}\nrecords: $.data\npaginate: {{ type: {}",
        paginate(way)
    );

    lab.run(&api.stream("items", &stream)).await.ok();

    assert_knows_nothing(&other.requests()[0]);
    let first = &server.requests()[0];
    assert!(first.header("x-own").is_some());
    assert_eq!(lab.lines("items").await.last().map(String::as_str), Some("2"));
}

#[tokio::test]
async fn i9_credentials_are_back_when_a_page_leads_home() {
    let other = Server::start(|request| {
        let home = request.param("home").unwrap();
        Reply::json(&json!({"data": [2], "next": home}))
    })
    .await;
    let there = other.url();
    let server = Server::start(move |request| {
        let host = request.header("host").unwrap();
        match request.number {
            0 => Reply::json(
                &json!({"data": [1], "next": format!("{there}/x?home=http://{host}/last")}),
            ),
            _ => Reply::json(&json!({"data": [3]})),
        }
    })
    .await;
    let lab = Lab::new();
    let api =
        with_token(&lab, Api::at(&server), BEARER).connection("allowed_hosts: [127.0.0.1]").stream(
            "items",
            "path: /items\nrecords: $.data\npaginate: { type: next_url, from: $.next }",
        );

    lab.run(&api).await.ok();

    assert_eq!(lab.lines("items").await, ["1", "2", "3"]);
    assert_knows_nothing(&other.requests()[0]);
    assert_eq!(server.requests()[1].header("authorization"), Some("Bearer token-0123456789"));
}

#[rstest]
#[case::found(302, "GET", "GET")]
#[case::permanent(308, "GET", "GET")]
#[case::found_after_a_post(302, "POST", "GET")]
#[case::see_other(303, "POST", "GET")]
#[case::see_other_after_a_put(303, "PUT", "GET")]
#[case::temporary(307, "POST", "POST")]
#[case::permanent_post(308, "POST", "POST")]
#[tokio::test]
async fn i9_redirects_on_the_same_origin_are_followed(
    #[case] status: u16,
    #[case] method: &str,
    #[case] then: &str,
) {
    let server = Server::start(move |request| match request.path.as_str() {
        "/v1/items" => Reply::redirect(status, "../v2/items?x=1"),
        _ => Reply::bytes("[1]"),
    })
    .await;
    let lab = Lab::new();
    let api = with_token(&lab, Api::at(&server), BEARER);
    let body = if method == "GET" { "" } else { "body: { a: 1 }" };
    let stream = format!("path: /v1/items\nmethod: {method}\n{body}");

    lab.run(&api.stream("items", &stream)).await.ok();

    let second = &server.requests()[1];
    assert_eq!((second.path.as_str(), second.query.as_str()), ("/v2/items", "x=1"));
    assert_eq!(second.method, then);
    assert_eq!(second.header("authorization"), Some("Bearer token-0123456789"));
    assert_eq!(second.body.is_empty(), then == "GET");
}

#[rstest]
#[case::endless(Reply::redirect(302, "/items"), 69, "too many redirects", 11)]
#[case::nowhere(Reply::status(302), 69, "a redirect without `Location`", 1)]
#[case::no_url(Reply::redirect(302, "http://["), 69, "a redirect to no URL", 1)]
#[case::a_file(Reply::redirect(302, "file:///etc/passwd"), 78, "outside of the source's origin", 1)]
#[tokio::test]
async fn i9_redirects_that_cannot_be_followed(
    #[case] reply: Reply,
    #[case] code: u8,
    #[case] message: &str,
    #[case] num_requests: usize,
) {
    let server = Server::start(move |_| reply.clone()).await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("items", "path: /items")).await;

    outcome.assert_fails(code, message);
    assert_eq!(server.requests().len(), num_requests);
}

#[rstest]
#[case::literal("http://127.0.0.1:PORT")]
#[case::as_a_number("http://2130706433:PORT")]
#[case::in_hex("http://0x7f.1:PORT")]
#[case::six("http://[::1]:PORT")]
#[case::mapped("http://[::ffff:127.0.0.1]:PORT")]
#[case::by_name("http://localhost:PORT")]
#[case::metadata("http://169.254.169.254")]
#[tokio::test]
async fn i9_trap_05_private_addresses_are_not_reached(#[case] url: &str) {
    let server = Server::start(|_| Reply::bytes("[1]")).await;
    let lab = Lab::new();
    let url = url.replace("PORT", &server.port().to_string());
    let api = Api::with_url(&url).connection("allow_private_networks: false");

    let outcome = lab.run(&api.stream("items", "path: /items")).await;

    outcome.assert_fails(78, "`connection.allow_private_networks: true`");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn i9_trap_05_a_login_does_not_reach_them_either() {
    let server = Server::start(|_| Reply::json(&json!({"token": "x"}))).await;
    let lab = Lab::new();
    let secret = lab.secret("password", "pass-0123456789");
    let auth = format!(
        "auth: {{ type: session, login: {{ path: /login, form: {{ p: \"{secret}\" }} }}, token: $.token }}"
    );
    let api = Api::at(&server).connection("allow_private_networks: false").connection(&auth);

    let outcome = lab.run(&api.stream("items", "path: /items")).await;

    let (code, text) = outcome.failure();
    assert!(text.contains("private network"), "{text}");
    assert_ne!(code, 0);
    assert!(server.requests().is_empty());
}
