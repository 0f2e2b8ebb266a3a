//! Sources that cannot be used: each says where it is wrong, and what would be right.

use rstest::rstest;

use crate::support::{Folder, filters, test_name};

const RIGHT: &str = "\
version: 1
parameters: { region: null, size: 50 }
connection:
  base_url: https://shop.example/{param.region}
  auth: { type: bearer, token: \"${secret:env:TOKEN}\" }
streams:
  orders:
    path: /orders/{partition.kind}
    partitions: { kind: [open, closed] }
    records: $.data[*]
    primary_key: [id]
    paginate: { type: page, size: 100, size_param: per_page }
    incremental: { cursor: updated_at, initial: 2024-01-01T00:00:00Z, lookback: 5m, order: asc }
";

/// The source with one text put for another; the message is the snapshot of the case's name.
#[rstest]
#[case::source_unknown_key("records:", "recrods:")]
#[case::source_unknown_type("type: page", "type: pages")]
#[case::source_wrong_kind("size: 100", "size: many")]
#[case::source_missing_key("    path: /orders/{partition.kind}\n", "")]
#[case::source_wrong_value("order: asc", "order: ascending")]
#[case::source_unknown_placeholder("{partition.kind}", "{partiton.kind}")]
#[case::source_unknown_partition("{partition.kind}", "{partition.sort}")]
#[case::source_window_without_window("/{partition.kind}", "/{partition.kind}/{window.start}")]
#[case::source_secret_in_path("/{partition.kind}", "/{partition.kind}/${secret:env:TOKEN}")]
#[case::source_bad_secret("secret:env:TOKEN", "secret:vault:TOKEN")]
#[case::source_bad_duration("lookback: 5m", "lookback: P1M")]
#[case::source_bad_initial("2024-01-01T00:00:00Z", "yesterday")]
#[case::source_bad_url("https://shop.example", "shop.example")]
#[case::source_bad_records_path("$.data[*]", "$.data[?(@.x)]")]
#[case::source_other_version("version: 1", "version: 2")]
#[case::source_overlap_without_key(
    "primary_key: [id]\n    paginate: { type: page, size: 100, size_param: per_page }",
    "paginate: { type: offset, size: 100, overlap: 5 }"
)]
#[case::source_key_twice("    records:", "    path: /x\n    records:")]
#[case::source_bad_yaml("  orders:", "  orders: {")]
#[case::source_several("path:", "paht:\n    primry_key: [x]\n    mode: apend\n    path:")]
fn i1_wrong_sources(#[case] text: &str, #[case] instead: &str) {
    assert!(RIGHT.contains(text));
    let folder = Folder::new().with("shop.yaml", RIGHT.replace(text, instead));
    assert_refused(&folder, 78, "plan shop.yaml --param region=eu");
}

#[rstest]
#[case::source_missing_param(78, "plan shop.yaml")]
#[case::source_unknown_param(78, "plan shop.yaml --param region=eu --param sise=3")]
#[case::source_bad_param(64, "plan shop.yaml --param region")]
#[case::source_unknown_stream(64, "plan shop.yaml --param region=eu --stream order")]
#[case::source_no_file(66, "plan shpo.yaml")]
#[case::source_no_place(64, "run shop.yaml")]
#[case::source_unknown_store(64, "run shop.yaml --param region=eu --to ftp://host/raw")]
#[case::source_bad_run_id(64, "run shop.yaml --param region=eu --to raw --run-id ../x")]
#[case::source_unknown_option(64, "run shop.yaml --to raw --ful")]
fn i14_wrong_calls(#[case] code: i32, #[case] arguments: &str) {
    let folder = Folder::new().with("shop.yaml", RIGHT);
    assert_refused(&folder, code, arguments);
    assert!(folder.files("raw").is_empty());
}

fn assert_refused(folder: &Folder, code: i32, arguments: &str) {
    let _filters = filters();
    let outcome = folder.ingest(&format!("{arguments} --log text"));
    insta::assert_snapshot!(test_name(), outcome.shown(arguments));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
}

#[test]
fn source_no_streams() {
    let (head, _) = RIGHT.split_once("streams:").unwrap();
    let folder = Folder::new().with("shop.yaml", format!("{head}streams: {{}}\n"));
    assert_refused(&folder, 78, "plan shop.yaml --param region=eu");
}

#[test]
fn the_source_that_they_are_made_of_is_right() {
    let folder = Folder::new().with("shop.yaml", RIGHT);
    let outcome = folder.ingest("plan shop.yaml --param region=eu");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

/// I2: what names itself a credential is refused where it is written out, and what to write instead is said.
#[rstest]
#[case::login_body(
    "6:86: connection.auth.login.body.password",
    LOGIN,
    "body: { user: me, password: hunter2hunter2 }"
)]
#[case::login_body_deep(
    "6:90: connection.auth.login.body.of.apiKey",
    LOGIN,
    "body: { user: me, of: { apiKey: [abc] } }"
)]
#[case::login_form(
    "6:86: connection.auth.login.form.password",
    LOGIN,
    "form: { user: me, password: hunter2hunter2 }"
)]
#[case::login_headers(
    "6:80: connection.auth.login.headers.X-Api-Key",
    LOGIN,
    "headers: { X-Api-Key: abc }"
)]
#[case::headers(
    "6:29: connection.headers.Authorization",
    "",
    "headers: { Authorization: Bearer abcdef }"
)]
#[case::parameter(
    "6:22: connection.headers.Cookie",
    "",
    "headers: { Cookie: \"sid={param.sid}\" }"
)]
#[case::stream_headers(
    "9:30: streams.orders.headers.x-auth-token",
    "",
    "\x20   headers: { x-auth-token: abc }"
)]
#[case::stream_params(
    "9:24: streams.orders.params.api_key",
    "",
    "\x20   params: { api_key: 12345 }"
)]
#[case::stream_body(
    "9:28: streams.orders.body.client_secret",
    "",
    "\x20   body: { client_secret: abc }"
)]
fn i2_credentials_written_out(#[case] at: &str, #[case] frame: &str, #[case] line: &str) {
    let folder = Folder::new().with("shop.yaml", open_source(frame, line));
    for command in ["check", "plan"] {
        let outcome = folder.ingest(&format!("{command} shop.yaml --log text"));
        assert_eq!(outcome.code, 78, "{outcome:?}");
        let message = format!(
            "error: shop.yaml:{at}: a credential does not stand in a file: name where it is kept, such as `${{secret:env:NAME}}`"
        );
        assert!(outcome.stderr.contains(&message), "{outcome:?}");
    }
}

/// I2: what is kept elsewhere, what a run puts in, and what is no credential stand where they like.
#[rstest]
#[case(LOGIN, "body: { user: me, password: \"${secret:env:PASSWORD}\", grant_type: password }")]
#[case(LOGIN, "form: { user: me, password: \"{x}${secret:env:PASSWORD}\" }")]
#[case("", "headers: { Authorization: \"Bearer ${secret:env:TOKEN}\", X-Csrf-Token: fetch }")]
#[case("", "\x20   params: { page_token: \"\", export_token: \"{run.id}\" }")]
#[case("", "\x20   body: { token: null, next_token: abc, max_tokens: 5 }")]
fn i2_what_is_not_written_out(#[case] frame: &str, #[case] line: &str) {
    let folder = Folder::new().with("shop.yaml", open_source(frame, line));
    let outcome = folder.ingest("plan shop.yaml --log text");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

const LOGIN: &str = "auth: { type: session, token: $.t, login: { path: /in, ";

/// A source with one line more: in a login, else below the connection or, with deeper indent, the stream.
fn open_source(frame: &str, line: &str) -> String {
    let (of_connection, of_stream) = match line.strip_prefix("    ") {
        Some(line) => ("max_concurrency: 1".to_owned(), format!("    {line}\n")),
        None if frame.is_empty() => (line.to_owned(), String::new()),
        None => (format!("{frame}{line} }} }}"), String::new()),
    };
    format!(
        "version: 1\nparameters: {{ sid: abc }}\nconnection:\n  base_url: https://shop.example\n  allow_private_networks: false\n  {of_connection}\nstreams:\n  orders:\n{of_stream}    path: /orders\n"
    )
}

/// I4: offsets without an order are pointed at, in `plan` and `check`, and refused by neither.
#[rstest]
#[case::plain("params: { status: open }", true)]
#[case::order_of_another_kind("params: { order_id: 7 }", true)]
#[case::sort("params: { sort: id }", false)]
#[case::odata("params: { \"$orderby\": id }", false)]
#[case::order_by("params: { orderBy: id }", false)]
#[case::body("method: POST\n    body: { query: { sort_by: id } }", false)]
#[case::query_language("params: { q: \"select Id from X order by Id\" }", false)]
fn i4_offsets_without_an_order(#[case] lines: &str, #[case] is_warned: bool) {
    let source = format!(
        "version: 1\nconnection: {{ base_url: http://127.0.0.1:1 }}\nstreams:\n  orders:\n    path: /orders\n    {lines}\n    paginate: {{ type: offset, size: 100 }}\n"
    );
    let line = source.lines().count();
    let folder = Folder::new().with("shop.yaml", source);
    for command in ["plan", "check"] {
        let outcome = folder.ingest(&format!("{command} shop.yaml --log text"));
        let warning = format!(
            "warning: shop.yaml:{line}:15: streams.orders.paginate: pages by `offset`, but no parameter says an order"
        );
        assert_eq!(outcome.stderr.contains(&warning), is_warned, "{outcome:?}");
        assert!(command == "check" || outcome.code == 0, "{outcome:?}");
    }
}
