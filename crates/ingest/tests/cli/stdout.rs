//! `run --stdout`: the records' own bytes, one a line.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::api::{Answer, Asked, orders, orders_source, serve};
use crate::support::Folder;

#[test]
fn i13_the_bytes_that_the_server_sent() {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders)));
    let outcome = folder.ingest("run api.yaml --stdout");
    let expected = "{\"order_id\":1, \"price\":1.50}\n{\"order_id\":2,\"price\":1e2}\n\
                    {\"order_id\":12345678901234567890,\"note\":\"caf\\u00e9\"}\n";
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, expected));
    assert_eq!(outcome.stderr, "", "what is on stdout needs no words");
    assert!(folder.files("raw").is_empty());
}

/// Who reads has seen enough, as `head` has.
#[test]
fn a_pipe_that_is_closed() {
    let endless = |asked: &Asked| {
        let page = asked.page();
        let records: Vec<_> =
            (0..1000).map(|id| format!("{{\"order_id\":{}}}", page * 1000 + id)).collect();
        Answer::ok(format!("{{\"data\":[{}]}}", records.join(",")))
    };
    let folder = Folder::new().with("api.yaml", orders_source(&serve(endless)));
    let mut child = folder
        .command("run api.yaml --stdout")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "{\"order_id\":1000}\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn one_stream_at_a_time() {
    let source = orders_source("127.0.0.1:1") + "  more: { path: /more }\n";
    let folder = Folder::new().with("api.yaml", source);
    let outcome = folder.ingest("run api.yaml --stdout --log text");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (64, ""));
    assert!(outcome.stderr.contains("choose it with `--stream NAME`"), "{}", outcome.stderr);
}

/// What was written before an error stays written; the exit code says so.
#[test]
fn an_error_in_the_middle() {
    let answer = |asked: &Asked| match asked.page() {
        1 => orders(asked),
        _ => Answer::status("404 Not Found", ""),
    };
    let folder = Folder::new().with("api.yaml", orders_source(&serve(answer)));
    let outcome = folder.ingest("run api.yaml --stdout --log text");
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (69, 2));
}
