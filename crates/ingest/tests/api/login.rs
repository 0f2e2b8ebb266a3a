//! I3: credentials that are fetched, renewed and rotated, over whole runs.

use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::json;

use crate::lab::{Api, Lab};
use crate::server::{Reply, Request, Server};

const ITEMS: &str = "path: /items\npaginate: { type: page }\nprimary_key: [id]";

/// A server that issues tokens `token-0001-…`, `token-0002-…`, and takes only the newest; it takes each of
/// them back after so many requests.
#[derive(Clone)]
struct Tokens {
    state: Arc<Mutex<State>>,
}

struct State {
    num_issued: u32,
    num_left: u32,
    life: u32,
    /// The refresh token that works next.
    refresh: String,
}

impl Tokens {
    fn new(life: u32) -> Self {
        let refresh = "refresh-0000-abcdef".to_owned();
        Self { state: Arc::new(Mutex::new(State { num_issued: 0, num_left: 0, life, refresh })) }
    }

    fn issue(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.num_issued += 1;
        state.num_left = state.life;
        format!("token-{:04}-abcdef", state.num_issued)
    }

    fn num_issued(&self) -> u32 {
        self.state.lock().unwrap().num_issued
    }

    /// Five pages for who has the newest token.
    fn items(&self, request: &Request, given: Option<&str>) -> Reply {
        let mut state = self.state.lock().unwrap();
        let newest = format!("token-{:04}-abcdef", state.num_issued);
        if given != Some(newest.as_str()) || state.num_left == 0 {
            return Reply::json(&json!({"error": "token expired"})).with_status(401);
        }
        state.num_left -= 1;
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        match page {
            1..=5 => Reply::json(&json!([{"id": page}])),
            _ => Reply::json(&json!([])),
        }
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

#[tokio::test]
async fn i3_trap_08_a_token_that_ends_midway_is_fetched_anew() {
    let tokens = Tokens::new(2);
    let api = tokens.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/oauth/token" => {
            assert_eq!(request.form("grant_type").as_deref(), Some("client_credentials"));
            assert_eq!(request.form("client_secret").as_deref(), Some("s3cr3t/s3cr3t"));
            assert_eq!(request.form("audience").as_deref(), Some("api"));
            Reply::json(
                &json!({"access_token": api.issue(), "token_type": "Bearer", "expires_in": 3600}),
            )
        }
        _ => api.items(request, bearer(request)),
    })
    .await;
    let lab = Lab::new();
    let secret = lab.secret("secret", "s3cr3t/s3cr3t");
    let auth = format!(
        "auth: {{ type: oauth2_client_credentials, token_url: /oauth/token, client_id: me, \
         client_secret: '{secret}', params: {{ audience: api }} }}"
    );

    let report = lab.run(&Api::at(&server).connection(&auth).stream("items", ITEMS)).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2, 3, 4, 5]);
    assert_eq!(tokens.num_issued(), 3);
    assert_eq!(report.streams[0].num_retries, 2, "each 401 is tried again once");
}

#[tokio::test]
async fn i3_trap_08_one_token_for_all_who_wait() {
    let tokens = Tokens::new(1000);
    let api = tokens.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/token" => {
            let body = json!({"access_token": api.issue(), "expires_in": 3600});
            Reply::json(&body).after(std::time::Duration::from_millis(50))
        }
        _ => api.items(request, bearer(request)),
    })
    .await;
    let lab = Lab::new();
    let secret = lab.secret("secret", "s3cr3t-s3cr3t");
    let auth = format!(
        "auth: {{ type: oauth2_client_credentials, token_url: /token, client_id: me, client_secret: '{secret}' }}"
    );
    let api = Api::at(&server).connection(&auth).connection("max_concurrency: 8");
    let api = (0..6).fold(api, |api, n| api.stream(&format!("s{n}"), ITEMS));

    lab.run(&api).await.ok();

    assert_eq!(tokens.num_issued(), 1);
}

#[tokio::test]
async fn i3_trap_08_credentials_that_are_not_taken_are_no_loop() {
    let server = Server::start(|request| match request.path.as_str() {
        "/token" => Reply::json(&json!({"access_token": "token-0123456789", "expires_in": 3600})),
        _ => Reply::status(401),
    })
    .await;
    let lab = Lab::new();
    let secret = lab.secret("secret", "s3cr3t-s3cr3t");
    let auth = format!(
        "auth: {{ type: oauth2_client_credentials, token_url: /token, client_id: me, client_secret: '{secret}' }}"
    );

    let outcome = lab.run(&Api::at(&server).connection(&auth).stream("items", ITEMS)).await;

    outcome.assert_fails(77, "401");
    assert_eq!(server.paths(), ["/token", "/items", "/token", "/items"]);
}

#[rstest]
#[case::wrong_secret(401, "{\"error\": \"invalid_client\"}", 77, 1)]
#[case::wrong_grant(400, "{\"error\": \"invalid_grant\"}", 77, 1)]
#[case::no_token(200, "{\"hello\": 1}", 69, 1)]
#[case::busy(503, "", 75, 6)]
#[tokio::test]
async fn i3_token_calls_that_fail(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] code: u8,
    #[case] num_calls: usize,
) {
    let server = Server::start(move |_| Reply::bytes(body).with_status(status)).await;
    let lab = Lab::new();
    let secret = lab.secret("secret", "s3cr3t-s3cr3t");
    let auth = format!(
        "auth: {{ type: oauth2_client_credentials, token_url: /token, client_id: me, client_secret: '{secret}' }}"
    );

    let outcome = lab.run(&Api::at(&server).connection(&auth).stream("items", ITEMS)).await;

    assert_eq!(outcome.failure().0, code, "{}", outcome.failure().1);
    assert_eq!(server.requests().len(), num_calls);
}

#[tokio::test]
async fn i3_trap_09_a_rotated_refresh_token_is_stored_before_the_token_is_used() {
    let tokens = Tokens::new(2);
    let lab = Lab::new();
    let reference = lab.secret("refresh", "refresh-0000-abcdef");
    let file = lab.folder().join("refresh");
    let api = tokens.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/token" => {
            let mut state = api.state.lock().unwrap();
            if request.form("refresh_token").as_ref() != Some(&state.refresh) {
                return Reply::json(&json!({"error": "invalid_grant"})).with_status(400);
            }
            state.refresh = format!("refresh-{:04}-abcdef", state.num_issued + 1);
            let refresh = state.refresh.clone();
            drop(state);
            Reply::json(
                &json!({"access_token": api.issue(), "refresh_token": refresh, "expires_in": 3600}),
            )
        }
        _ => {
            let stored = std::fs::read_to_string(&file).unwrap();
            assert_eq!(stored, api.state.lock().unwrap().refresh, "stored before this request");
            api.items(request, bearer(request))
        }
    })
    .await;
    let auth = format!(
        "auth: {{ type: oauth2_refresh_token, token_url: /token, client_id: me, refresh_token: '{reference}' }}"
    );
    let source = Api::at(&server).connection(&auth).stream("items", ITEMS);

    lab.run(&source).await.ok();
    assert_eq!(tokens.num_issued(), 3);
    assert_eq!(lab.secret_now("refresh"), "refresh-0003-abcdef");

    // The next run begins with what the last one stored.
    lab.run(&source).await.ok();
    assert_eq!(lab.ids("items").await, [1, 2, 3, 4, 5]);
    assert_eq!(lab.secret_now("refresh"), "refresh-0006-abcdef");
}

#[rstest]
#[case::header("name: X-Session", "x-session", "")]
#[case::authorization("prefix: 'Token '", "authorization", "Token ")]
#[case::cookie("in: cookie, name: sid", "cookie", "sid=")]
#[tokio::test]
async fn i3_session_login(
    #[case] place: &str,
    #[case] header: &'static str,
    #[case] prefix: &'static str,
) {
    let tokens = Tokens::new(3);
    let api = tokens.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/v1/login" => {
            assert_eq!(request.json(), json!({"user": "me", "password": "pass\"word-0123"}));
            Reply::json(&json!({"session": {"token": api.issue()}}))
        }
        _ => api.items(request, request.header(header).and_then(|text| text.strip_prefix(prefix))),
    })
    .await;
    let lab = Lab::new();
    let password = lab.secret("password", "pass\"word-0123");
    let auth = format!(
        "auth: {{ type: session, token: $.session.token, {place}, \
         login: {{ path: /login, body: {{ user: me, password: '{password}' }} }} }}"
    );
    let source =
        Api::with_url(&format!("{}/v1", server.url())).connection(&auth).stream("items", ITEMS);

    lab.run(&source).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2, 3, 4, 5]);
    assert_eq!(tokens.num_issued(), 2, "one more when the session had ended");
}

#[tokio::test]
async fn i3_a_key_that_was_changed_meanwhile_is_read_once_more() {
    let lab = Lab::new();
    let reference = lab.secret("key", "key-old-0123456789");
    let file = lab.folder().join("key");
    let server = Server::start(move |request| {
        let page: u64 = request.param("page").unwrap().parse().unwrap();
        let key = if request.number < 2 { "key-old-0123456789" } else { "key-new-0123456789" };
        if request.number == 2 {
            std::fs::write(&file, "key-new-0123456789").unwrap();
        }
        if request.header("x-key") != Some(key) {
            return Reply::status(401);
        }
        match page {
            1..=3 => Reply::json(&json!([{"id": page}])),
            _ => Reply::json(&json!([])),
        }
    })
    .await;
    let auth = format!("auth: {{ type: api_key, name: X-Key, value: '{reference}' }}");

    lab.run(&Api::at(&server).connection(&auth).stream("items", ITEMS)).await.ok();

    assert_eq!(lab.ids("items").await, [1, 2, 3]);
}

#[tokio::test]
async fn i3_a_key_that_was_not_changed_is_read_once() {
    let server = Server::start(|_| Reply::status(401)).await;
    let lab = Lab::new();
    let reference = lab.secret("key", "key-0123456789");
    let auth = format!("auth: {{ type: api_key, name: X-Key, value: '{reference}' }}");

    let outcome = lab.run(&Api::at(&server).connection(&auth).stream("items", ITEMS)).await;

    outcome.assert_fails(77, "401");
    assert_eq!(server.requests().len(), 1, "the same key would be refused again");
}

#[tokio::test]
async fn i3_a_secret_that_is_not_there() {
    let server = Server::start(|_| Reply::status(200)).await;
    let lab = Lab::new();
    let auth = "auth: { type: bearer, token: '${secret:file:nothing-here}' }";

    let outcome = lab.run(&Api::at(&server).connection(auth).stream("items", ITEMS)).await;

    assert_eq!(outcome.failure().0, 78);
    assert!(server.requests().is_empty());
}
