//! What a run says at its end, for people and for machines.

use serde_json::Value;

use crate::api::{Answer, Asked, orders, orders_source, serve};
use crate::support::{Folder, filters};

fn folder() -> Folder {
    Folder::new().with("api.yaml", orders_source(&serve(orders)))
}

#[test]
fn i14_summary() {
    let _filters = filters();
    let folder = folder();
    let run = "run api.yaml --to raw --run-id first";
    insta::assert_snapshot!("summary", folder.ingest(run).stdout);
    insta::assert_snapshot!("summary_committed_before", folder.ingest(run).stdout);
}

/// Two streams of which one fails, an incremental one with nothing new.
#[test]
fn i14_summary_of_streams() {
    let _filters = filters();
    let address = serve(|asked: &Asked| match asked.target.split(['?', '/']).nth(1).unwrap() {
        "events" => Answer::ok("[{\"id\":1,\"at\":\"2024-05-01T00:00:00Z\"}]"),
        "broken" => Answer::status("500 Internal Server Error", "oops"),
        _ => orders(asked),
    });
    let source = orders_source(&address)
        + "  broken: { path: /broken }
  of_broken: { path: \"/orders/{parent.id}\", parent: { stream: broken }, records: $.data }
  events:
    path: /events
    primary_key: [id]
    incremental: { cursor: at, order: asc }
";
    let folder = Folder::new().with("api.yaml", source);
    let run = "run api.yaml --to raw --log text";
    insta::assert_snapshot!("summary_failed", folder.ingest(run).shown(run));
    let run = "run api.yaml --to raw --stream events --log text";
    insta::assert_snapshot!("summary_nothing_new", folder.ingest(run).shown(run));
}

/// What is on stdout is in the file of `--manifest` too, whether the run succeeds or not.
#[test]
fn i14_report_as_json() {
    let _filters = filters();
    let folder = folder();
    let run = "run api.yaml --to raw --run-id one --report json --manifest reports/last.json";
    let outcome = folder.ingest(run);
    assert_eq!(outcome.code, 0);
    assert_eq!(outcome.stdout, folder.read("reports/last.json"));
    insta::assert_snapshot!("report_json", outcome.stdout);

    let failing = folder.with(
        "api.yaml",
        orders_source(&serve(|_: &Asked| Answer::status("418 I'm a teapot", "short and stout"))),
    );
    let outcome = failing.ingest(&run.replace("one", "two"));
    assert_eq!(outcome.code, 69);
    assert_eq!(outcome.stdout, failing.read("reports/last.json"));
    insta::assert_snapshot!("report_json_failed", outcome.stdout);
}

/// A stdout that takes nothing is an error of its own, and keeps the report from no file.
#[cfg(target_os = "linux")]
#[test]
fn i14_a_full_stdout() {
    let folder = folder();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = "run api.yaml --to raw --report json --manifest last.json";
    let output = folder.command(run).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    let report: Value = serde_json::from_str(&folder.read("last.json")).unwrap();
    assert_eq!(report["outcome"], "succeeded");
}

#[test]
fn i14_a_report_that_cannot_be_written() {
    let folder = folder().with("file", "");
    let run = "run api.yaml --to raw --manifest file/report.json --log text";
    let outcome = folder.ingest(run);
    assert_eq!(outcome.code, 73, "{outcome:?}");
    assert!(outcome.stderr.contains("warning: the report could not be written"), "{outcome:?}");
    assert!(outcome.stdout.contains("committed as 1"), "{outcome:?}");
}
