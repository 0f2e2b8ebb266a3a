//! stderr where it is no terminal: JSON, a line for each event, the run's id in each.

use crate::api::{Answer, Asked, orders, orders_source, serve};
use crate::support::Folder;

#[test]
fn lines_of_a_run() {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders)));
    let outcome = folder.ingest("run api.yaml --to raw --run-id r-1");
    let lines = outcome.log();
    for line in &lines {
        assert_eq!(line["run_id"], "r-1");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line["level"].is_string());
    }
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected = ["run_started", "stream_started", "committed", "stream_finished", "summary"];
    assert_eq!(events, expected);
    assert_eq!(lines[4]["streams"][0]["num_records"], 3);
}

#[test]
fn lines_of_a_run_that_fails() {
    let answer = |_: &Asked| Answer::status("403 Forbidden", "no");
    let folder = Folder::new().with("api.yaml", orders_source(&serve(answer)));
    let lines = folder.ingest("run api.yaml --to raw").log();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["run_started", "stream_started", "stream_failed", "error", "summary"]);
    let [.., error, summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&summary["exit_code"], &error["exit_code"]), (&77.into(), &77.into()));
    assert_eq!((&summary["level"], &summary["outcome"]), (&"error".into(), &"failed".into()));
    assert_eq!(error["retryable"], false);
    assert!(error["message"].as_str().unwrap().contains("403"), "{error}");
}

/// A failure before there is a run is a line too.
#[test]
fn lines_without_a_run() {
    let lines = Folder::new().ingest("run nowhere.yaml --to raw").log();
    let events: Vec<_> = lines.iter().map(|line| (&line["event"], &line["exit_code"])).collect();
    assert_eq!(events, [(&"error".into(), &66.into()), (&"summary".into(), &66.into())]);
    let lines = Folder::new().ingest("check nowhere.yaml").log();
    assert_eq!(lines.len(), 1, "what is no run has no summary: {lines:?}");
}

/// The option decides, whatever stderr is.
#[test]
fn the_format_of_the_log() {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders)));
    let text = folder.ingest("run api.yaml --to raw --log text");
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "no bar without a terminal");
    let text = folder.ingest("--log text run nowhere.yaml --to raw");
    assert!(text.stderr.starts_with("error: "), "{}", text.stderr);
}

/// I6: a rule that skips behind the first page is a warning, for people and for machines.
#[test]
fn i6_a_skip_behind_the_first_page() {
    let answer = |asked: &Asked| match asked.page() {
        1 => Answer::ok("{\"data\":[{\"order_id\":1,\"at\":5},{\"order_id\":2,\"at\":6}]}"),
        _ => Answer::status("404 Not Found", "gone"),
    };
    let source = orders_source(&serve(answer))
        + "    rules: [{ when: { status: 404 }, do: skip_partition }]\n    \
           incremental: { cursor: at, format: integer }\n";
    let folder = Folder::new().with("api.yaml", source);
    let message = "stream `orders`: page 2 was answered with status 404 and skipped by a rule; 2 records of the \
                   pages before are not landed, and the next run asks for them again";

    let text = folder.ingest("run api.yaml --to raw --log text");
    assert_eq!(text.code, 0, "{text:?}");
    assert_eq!(text.stderr, format!("warning: {message}\n"));
    let told = "orders: partitions that a rule ended after their first page: 1; records of these pages that are not landed: 2";
    assert!(text.stdout.contains(told), "{text:?}");

    let poured = folder.ingest("run api.yaml --stream orders --stdout --log text");
    assert_eq!(poured.stderr, format!("warning: {message}\n"));
    let lines = folder.ingest("run api.yaml --to raw").log();
    let warning = lines.iter().find(|line| line["event"] == "warning").unwrap();
    assert_eq!((&warning["level"], &warning["message"]), (&"warn".into(), &message.into()));
}
