//! I2: secrets are found nowhere; and values cannot break out of their place in a request (I1).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rstest::rstest;
use serde_json::json;

use crate::lab::{Api, Lab, Outcome, chain};
use crate::server::{Reply, Request, Server};

/// With what URLs, JSON and forms write in another way.
const SECRET: &str = "sk+live/4242&ab=\"cd\"";

/// What must be found nowhere.
fn forms() -> Vec<String> {
    let json = serde_json::to_string(SECRET).unwrap();
    vec![
        SECRET.to_owned(),
        // Half of it is too much too.
        SECRET[..12].to_owned(),
        utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        json[1..json.len() - 1].to_owned(),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("{SECRET}:")),
        URL_SAFE_NO_PAD.encode(SECRET),
    ]
}

#[track_caller]
fn assert_clean(what: &str, text: &[u8]) {
    for form in forms() {
        let found = memchr::memmem::find(text, form.as_bytes());
        assert!(found.is_none(), "`{form}` in {what}: {}", String::from_utf8_lossy(text));
    }
}

/// The whole place, the report, and the error as it is printed.
async fn assert_found_nowhere(lab: &Lab, outcome: &Outcome) {
    for (key, bytes) in lab.objects().await {
        assert_clean("a key", key.as_bytes());
        assert_clean(&key, &bytes);
    }
    let report = serde_json::to_string(&outcome.report).unwrap();
    assert_clean("the report", report.as_bytes());
    if let Err(error) = &outcome.result {
        // As the program prints it.
        assert_clean("the error", outcome.redactor.clean(&chain(error)).as_bytes());
    }
}

/// All that a request says of who sent it, in one text.
fn said(request: &Request) -> String {
    let headers = ["authorization", "x-api-key", "cookie"];
    let headers =
        headers.iter().filter_map(|name| request.header(name)).collect::<Vec<_>>().join(" ");
    format!("{headers} {} {SECRET}", request.query)
}

const AUTHS: [&str; 5] = [
    "{ type: bearer, token: SECRET }",
    "{ type: api_key, name: X-API-Key, value: SECRET }",
    "{ type: api_key, in: query, name: key, value: SECRET }",
    "{ type: basic, username: SECRET, password: '' }",
    "{ type: basic, username: me, password: SECRET }",
];

/// A secret with a quote stands in no header of its own; a cookie takes none of these.
fn api(lab: &Lab, server: &Server, auth: &str) -> Api {
    let reference = lab.secret("secret", SECRET).replace('"', "'");
    Api::at(server)
        .connection(&format!("auth: {}", auth.replace("SECRET", &format!("'{reference}'"))))
}

#[rstest]
#[tokio::test]
async fn i2_trap_19_records_that_hold_the_credentials(
    #[values(AUTHS[0], AUTHS[1], AUTHS[2], AUTHS[3], AUTHS[4])] auth: &str,
) {
    let server = Server::start(|request| {
        let said = said(request);
        Reply::json(&json!([
            {"id": 1, "echo": said, "url": format!("http://x/?key={}", forms()[2])},
            {"id": said, "at": said, "b64": STANDARD.encode(&said)},
        ]))
        .header("x-echo", &forms()[5])
    })
    .await;
    let lab = Lab::new();
    let api = api(&lab, &server, auth).stream(
        "items",
        "path: /items\nprimary_key: [id]\nincremental: { cursor: at, format: text }",
    );

    let outcome = lab.run(&api).await;

    assert_found_nowhere(&lab, &outcome).await;
    let report = outcome.ok();
    assert_eq!((report.streams[0].num_records, report.streams[0].num_redacted), (2, 2));
    for line in lab.lines("items").await {
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
}

#[rstest]
#[tokio::test]
async fn i2_trap_19_parents_that_hold_the_credentials(#[values(AUTHS[0], AUTHS[2])] auth: &str) {
    let server = Server::start(|request| match request.path.as_str() {
        "/parents" => Reply::json(&json!([{"id": said(request)}])),
        _ => Reply::json(&json!([{"id": 1, "at": 1}])),
    })
    .await;
    let lab = Lab::new();
    let api = api(&lab, &server, auth).stream("parents", "path: /parents").stream(
        "items",
        "path: /items/{parent.id}\nparent: { stream: parents }\nadd: { _parent: '{parent.id}' }\n\
         incremental: { cursor: at, format: integer }",
    );

    let outcome = lab.run(&api).await;

    assert_found_nowhere(&lab, &outcome).await;
    assert_eq!(outcome.ok().streams[1].num_records, 1);
}

#[derive(Debug, Clone, Copy)]
enum Echo {
    Error,
    Final,
    HtmlWithSuccess,
    Redirect,
    RedirectInCircles,
    NextUrl,
    NextElsewhere,
    NoNextUrl,
    Cursor,
    BadCursor,
    LongError,
}

#[rstest]
#[tokio::test]
async fn i2_trap_19_errors_redirects_and_next_urls_that_hold_the_credentials(
    #[values(AUTHS[0], AUTHS[2], AUTHS[3])] auth: &str,
    #[values(
        Echo::Error,
        Echo::Final,
        Echo::HtmlWithSuccess,
        Echo::Redirect,
        Echo::RedirectInCircles,
        Echo::NextUrl,
        Echo::NextElsewhere,
        Echo::NoNextUrl,
        Echo::Cursor,
        Echo::BadCursor,
        Echo::LongError
    )]
    echo: Echo,
) {
    let server = Server::start(move |request| {
        let said = said(request);
        let escaped = utf8_percent_encode(&said, NON_ALPHANUMERIC).to_string();
        let next = |url: String| Reply::json(&json!({"data": [{"id": 1, "at": 1}], "next": url}));
        match echo {
            Echo::Error => Reply::bytes(format!("no: {said}")).with_status(500),
            Echo::Final => Reply::json(&json!({"message": said})).with_status(403),
            Echo::HtmlWithSuccess => Reply::bytes(format!("<html>{said}")),
            Echo::Redirect => {
                Reply::redirect(302, &format!("http://other.example/{escaped}?key={escaped}"))
            }
            Echo::RedirectInCircles => Reply::redirect(302, &format!("/{escaped}?key={escaped}")),
            Echo::NextUrl => next(format!("/{escaped}?key={escaped}")),
            Echo::NextElsewhere => {
                next(format!("http://u:{escaped}@other.example/{escaped}?key={escaped}"))
            }
            // The secret is cut by what a message shows of it.
            Echo::NoNextUrl => next(format!("http://[{}{SECRET}", "x".repeat(45))),
            Echo::Cursor => Reply::json(&json!({"data": [{"id": 1, "at": said}]})).with_status(200),
            Echo::BadCursor => Reply::json(
                &json!({"data": [{"id": 1, "at": format!("{}{SECRET}", "x".repeat(55))}]}),
            ),
            Echo::LongError => {
                Reply::bytes(format!("{}{SECRET}", "x".repeat(290))).with_status(400)
            }
        }
    })
    .await;
    let lab = Lab::new();
    let retry = "retry: { backoff: 1ms, max_backoff: 2ms, max_attempts: 2 }";
    let api = api(&lab, &server, auth).connection(retry).stream(
        "items",
        "path: /items\nrecords: $.data\npaginate: { type: next_url, from: $.next }\n\
         incremental: { cursor: at, format: integer }",
    );

    let outcome = lab.run(&api).await;

    assert!(outcome.result.is_err());
    assert_found_nowhere(&lab, &outcome).await;
}

#[tokio::test]
async fn i2_secrets_in_headers_params_and_bodies_of_streams() {
    let server = Server::start(|request| {
        let key = request.header("x-key").unwrap().to_owned();
        let (param, body) = (request.param("token").unwrap(), request.json());
        Reply::json(&json!([{"id": 1, "echo": [key, param, body, request.query]}]))
    })
    .await;
    let lab = Lab::new();
    let reference = lab.secret("secret", SECRET);
    let api = Api::at(&server).stream(
        "items",
        &format!(
            "path: /items\nmethod: POST\nheaders: {{ X-Key: 'key {reference}' }}\n\
             params: {{ token: '{reference}' }}\nbody: {{ deep: ['{reference}'] }}"
        ),
    );

    let outcome = lab.run(&api).await;

    let request = &server.requests()[0];
    assert_eq!(request.header("x-key"), Some(format!("key {SECRET}").as_str()));
    assert_eq!(request.param("token").as_deref(), Some(SECRET));
    assert_eq!(request.json(), json!({"deep": [SECRET]}));
    assert_found_nowhere(&lab, &outcome).await;
    assert_eq!(outcome.ok().streams[0].num_redacted, 1);
}

#[rstest]
#[case::path("path: '/items/${secret:env:KEY}'")]
#[case::added("path: /items\nadd: { key: '${secret:env:KEY}' }")]
#[case::partition("path: '/{partition.a}'\npartitions: { a: ['${secret:env:KEY}'] }")]
#[test]
fn i2_places_that_take_no_secret(#[case] stream: &str) {
    let text = Api::with_url("https://api.example.com").stream("items", stream).text();
    assert!(solder_ingest::source::parse(&text, "api.yaml".as_ref(), &[]).is_err());
}

/// A child that puts a field of its parent into every part of a request.
async fn placed(value: serde_json::Value, stream: &str) -> (Lab, Server, Outcome) {
    let server = Server::start(move |request| match request.path.as_str() {
        "/v1/parents" => Reply::json(&json!([{"id": value, "ok": "ok"}])),
        _ => Reply::bytes("[1]"),
    })
    .await;
    let lab = Lab::new();
    let api = Api::with_url(&format!("{}/v1", server.url()))
        .stream("parents", "path: /parents")
        .stream("items", &format!("{stream}\nparent: {{ stream: parents }}"));
    let outcome = lab.run(&api).await;
    (lab, server, outcome)
}

#[rstest]
#[case::slash("a/b", "/v1/items/a%2Fb/x")]
#[case::climbing("../../admin", "/v1/items/..%2F..%2Fadmin/x")]
#[case::query("a?b=c", "/v1/items/a%3Fb%3Dc/x")]
#[case::fragment("a#b", "/v1/items/a%23b/x")]
#[case::escaped_already("%2e%2e%2f", "/v1/items/%252e%252e%252f/x")]
#[case::backslash("a\\..\\b", "/v1/items/a%5C..%5Cb/x")]
#[case::line_break("a\r\nX-Evil: 1", "/v1/items/a%0D%0AX-Evil:%201/x")]
#[case::nul("a\0b", "/v1/items/a%00b/x")]
#[case::tab("a\tb", "/v1/items/a%09b/x")]
#[case::letters("é 😀", "/v1/items/%C3%A9%20%F0%9F%98%80/x")]
#[case::placeholder("{run.id}", "/v1/items/%7Brun.id%7D/x")]
#[case::secret("${secret:env:HOME}", "/v1/items/%24%7Bsecret:env:HOME%7D/x")]
#[case::host("@evil.example", "/v1/items/@evil.example/x")]
#[tokio::test]
async fn i1_values_stay_one_part_of_a_path(#[case] value: &str, #[case] path: &str) {
    let (_, server, outcome) = placed(json!(value), "path: /items/{parent.id}/x").await;

    outcome.ok();
    let last = server.requests().pop().unwrap();
    assert_eq!((last.path.as_str(), last.query.as_str()), (path, ""));
    assert_eq!(last.header("x-evil"), None);
}

#[rstest]
#[case::up(json!(".."))]
#[case::here(json!("."))]
#[case::empty(json!(""))]
#[case::none(json!(null))]
#[tokio::test]
async fn i1_values_that_would_change_a_path_are_refused(#[case] value: serde_json::Value) {
    let (_, server, outcome) = placed(value, "path: /items/{parent.id}/x").await;

    assert_eq!(outcome.failure().0, 65);
    assert_eq!(server.paths(), ["/v1/parents"]);
}

#[rstest]
#[case::beside_a_text("path: '/items/.{parent.id}/x'", ".")]
#[case::beside_another("path: '/items/{parent.ok}{parent.id}'", "..")]
#[case::behind_a_text("path: '/items/{parent.id}./x'", ".")]
#[case::escaped_dot("path: '/items/%2e{parent.id}/x'", ".")]
#[tokio::test]
async fn i1_dots_do_not_climb_with_their_neighbours(#[case] stream: &str, #[case] value: &str) {
    let (_, server, outcome) = placed(json!(value), stream).await;

    if outcome.result.is_ok() {
        let path = server.paths().pop().unwrap();
        assert!(path.starts_with("/v1/items/"), "{path}");
        assert!(path.split('/').all(|part| part != ".." && part != "."), "{path}");
    }
}

#[tokio::test]
async fn i1_values_in_queries_forms_and_bodies_are_escaped() {
    let value = "a&b=c#d\r\n\"}";
    let (_, server, outcome) = placed(
        json!(value),
        "path: /items\nmethod: POST\nparams: { q: 'x{parent.id}' }\nform: { f: '{parent.id}', g: y }",
    )
    .await;
    outcome.ok();
    let last = server.requests().pop().unwrap();
    assert_eq!(last.params(), [("q".to_owned(), format!("x{value}"))]);
    assert_eq!((last.form("f"), last.form("g")), (Some(value.to_owned()), Some("y".to_owned())));

    let (_, server, outcome) =
        placed(json!(value), "path: /items\nmethod: POST\nbody: { q: '{parent.id}' }").await;
    outcome.ok();
    assert_eq!(server.requests().pop().unwrap().json(), json!({"q": value}));
}

#[rstest]
#[case("a\r\nX-Evil: 1")]
#[case("a\nb")]
#[case("a\0b")]
#[tokio::test]
async fn i1_values_that_no_header_can_hold_are_refused(#[case] value: &str) {
    let (_, server, outcome) =
        placed(json!(value), "path: /items\nheaders: { X-Of: 'v{parent.id}' }").await;

    outcome.assert_fails(65, "the header `x-of`");
    assert_eq!(server.paths(), ["/v1/parents"]);
}

#[rstest]
#[case("a\r\nX-Evil: 1")]
#[case("a\nb")]
#[tokio::test]
async fn i1_page_tokens_that_no_header_can_hold_are_refused(#[case] token: &'static str) {
    let server = Server::start(move |_| Reply::json(&json!({"data": [1], "next": token}))).await;
    let lab = Lab::new();
    let stream = "path: /items\nrecords: $.data\n\
                  paginate: { type: cursor, from: $.next, param: X-Page, in: header }";

    let outcome = lab.run(&Api::at(&server).stream("items", stream)).await;

    outcome.assert_fails(65, "cannot be put into the headers");
    assert_eq!(server.requests().len(), 1);
}
