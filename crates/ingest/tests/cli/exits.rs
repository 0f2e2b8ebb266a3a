//! What goes wrong on the way to an API, and the exit code that says whose fault it is.

use std::net::TcpListener;

use rstest::rstest;

use crate::api::{Answer, Asked, orders, orders_source, serve, source};
use crate::support::{Folder, Outcome, filters, test_name};

const RUN: &str = "run api.yaml --to raw --log text";

fn assert_fails(folder: &Folder, code: i32) {
    let _filters = filters();
    let outcome = folder.ingest(RUN);
    insta::assert_snapshot!(test_name(), outcome.shown(RUN));
    assert_eq!(outcome.code, code);
}

#[rstest]
#[case::exit_refused(77, |_: &Asked| Answer::status("403 Forbidden", "no, not you"))]
#[case::exit_unknown_credentials(77, |_: &Asked| Answer::status("401 Unauthorized", ""))]
#[case::exit_not_found(69, |_: &Asked| Answer::status("404 Not Found", "{\"error\": \"no such path\"}"))]
#[case::exit_bad_request(69, |_: &Asked| Answer::status("400 Bad Request", "what?"))]
#[case::exit_busy(75, |_: &Asked| Answer::status("503 Service Unavailable", "in repair"))]
#[case::exit_no_records_path(65, |_: &Asked| Answer::ok("{\"error\":{\"code\":9}}"))]
#[case::exit_no_json(65, |_: &Asked| Answer::ok("<html>"))]
#[case::exit_same_page_for_ever(65, |_: &Asked| Answer::ok("{\"data\":[{\"order_id\":1}]}"))]
#[case::exit_redirect_to_another_host(78, |_: &Asked| {
    Answer("302 Found", vec![("location", "http://elsewhere.example/x".to_owned())], Vec::new())
})]
fn i7_answers_that_are_no_records(#[case] code: i32, #[case] answer: fn(&Asked) -> Answer) {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(answer)));
    assert_fails(&folder, code);
    let files = folder.files("raw");
    assert!(files.iter().all(|(name, _)| name.contains("/runs/")), "{files:?}");
}

#[test]
fn exit_nobody_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_fails(&Folder::new().with("api.yaml", orders_source(&address)), 75);
}

#[test]
fn exit_private_address() {
    let source = orders_source("127.0.0.1:1").replace("  allow_private_networks: true\n", "");
    assert_fails(&Folder::new().with("api.yaml", source), 78);
}

#[test]
fn exit_no_secret() {
    let auth = "{ type: bearer, token: \"${secret:env:NO_SUCH_TOKEN}\" }";
    let address = serve(orders);
    assert_fails(&Folder::new().with("api.yaml", source(&address, auth)), 78);
}

#[test]
fn exit_too_few_records() {
    let source = orders_source(&serve(orders)) + "    expect_min_records: 10\n";
    assert_fails(&Folder::new().with("api.yaml", source), 65);
}

#[test]
fn exit_place_below_a_file() {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders))).with("raw", "");
    assert_fails(&folder, 73);
}

/// What is found out by `check`.
#[rstest]
#[case::check_ok(0, "")]
#[case::check_lacks_key(0, "primary_key: [id]")]
#[case::check_refused(77, "path: /private")]
fn i14_check(#[case] code: i32, #[case] instead: &str) {
    let _filters = filters();
    let address = serve(|asked: &Asked| match asked.target.starts_with("/private") {
        true => Answer::status("403 Forbidden", "private"),
        false => orders(asked),
    });
    let key = instead.split(':').next().unwrap_or_default();
    let lines: Vec<String> = orders_source(&address)
        .lines()
        .map(|line| match !key.is_empty() && line.trim_start().starts_with(key) {
            true => format!("    {instead}"),
            false => line.to_owned(),
        })
        .collect();
    let folder = Folder::new().with("api.yaml", lines.join("\n"));
    let outcome: Outcome = folder.ingest("check api.yaml --log text");
    insta::assert_snapshot!(test_name(), outcome.shown("check api.yaml"));
    assert_eq!(outcome.code, code);
}
