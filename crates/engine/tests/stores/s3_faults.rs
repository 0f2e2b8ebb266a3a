//! What the program says, and how it ends, when S3 does not do what it should.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::engine::{engine, files, must_relationalize, relationalize, stderr, tables};
use crate::server::{ACCESS_KEY, Fault, SECRET_KEY, Server};

fn with_orders() -> Server {
    let server = Server::start();
    for number in 0..9 {
        let record = format!("{{\"id\": {number}, \"name\": \"order {number}\"}}\n").repeat(500);
        server.put(&format!("raw/orders/{number}.ndjson"), record);
    }
    server
}

/// Wrong credentials are no reason to try again: 77, and which place refused.
#[rstest]
#[case::unknown_key("AKIANOBODY", SECRET_KEY)]
#[case::wrong_secret(ACCESS_KEY, "wrong")]
fn wrong_credentials_end_with_77(#[case] access_key: &str, #[case] secret_key: &str) {
    let server = with_orders();
    let output = engine()
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .env("AWS_ACCESS_KEY_ID", access_key)
        .env("AWS_SECRET_ACCESS_KEY", secret_key)
        .args(["relationalize", &server.url("raw"), &server.url("curated")])
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(77), "{text}");
    assert!(text.contains("s3://bucket/curated"), "{text}");
    assert!(!text.contains(secret_key) || secret_key == "wrong", "{text}");
}

/// A bucket that is not there: 66, for input and output alike.
#[rstest]
#[case::input("s3://absent/raw", "s3://bucket/curated")]
#[case::output("s3://bucket/raw", "s3://absent/curated")]
fn a_missing_bucket_ends_with_66(#[case] input: &str, #[case] output: &str) {
    let server = with_orders();
    let output = relationalize(&server, &[input, output]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(66), "{text}");
    assert!(text.contains("s3://absent/"), "{text}");
}

/// An empty prefix and a glob that matches nothing: 66.
#[rstest]
#[case::prefix("nothing/here")]
#[case::glob("raw/*/*.csv.json")]
fn an_input_without_objects_ends_with_66(#[case] key: &str) {
    let server = with_orders();
    let output = relationalize(&server, &[&server.url(key), &server.url("curated")]);
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
}

/// Nobody listens: 75, soon, and the place is named.
#[test]
fn a_dead_endpoint_ends_with_75() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let began = Instant::now();
    let output = engine()
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .args(["relationalize", "s3://bucket/raw", "s3://bucket/curated"])
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("s3://bucket/curated"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// A download that breaks is taken up where it broke: the tables are as if nothing had happened.
#[test]
fn a_download_that_breaks_once_is_taken_up_again() {
    let server = with_orders();
    let (input, output) = (server.url("raw"), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1"]);
    let expected = tables(&server.path("curated"));
    server.fail("4.ndjson", Fault::Break(2));
    must_relationalize(&server, &[&input, &server.url("again"), "--run-id", "r1"]);
    assert_eq!(tables(&server.path("again")), expected);
}

/// R16, R20: one that breaks for good fails the run with the object's name, and nothing of it is there.
#[test]
fn a_download_that_breaks_for_good_commits_nothing() {
    let server = with_orders();
    server.fail("4.ndjson", Fault::Break(usize::MAX));
    let output = relationalize(&server, &[&server.url("raw"), &server.url("curated")]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("s3://bucket/raw/orders/4.ndjson"), "{text}");
    assert!(text.contains("nothing of this run was committed"), "{text}");
    assert!(files(&server.path("curated")).is_empty(), "{:?}", files(&server.path("curated")));
}

/// R20: what the bookmark says was read is what was read. An object that is written anew between listing
/// and reading ends the run; the next one takes it as it is then.
#[test]
fn r20_an_object_that_is_replaced_while_it_is_read_fails_the_run() {
    let server = with_orders();
    let (input, output) = (server.url("raw"), server.url("curated"));
    server.fail("7.ndjson", Fault::Replace);
    let refused = relationalize(&server, &[&input, &output, "--bookmark"]);
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(75), "{text}");
    assert!(text.contains("s3://bucket/raw/orders/7.ndjson"), "{text}");
    assert!(files(&server.path("curated")).is_empty());
    must_relationalize(&server, &[&input, &output, "--bookmark"]);
}
