//! O2: metrics in the log, by the embedded metric format of CloudWatch.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Folder, ORDERS, Outcome};

fn with_metrics(folder: &Folder, arguments: &str) -> Command {
    let mut command = folder.command(arguments);
    command.env("SOLDER_METRICS_NAMESPACE", "Solder").env("SOLDER_METRICS_TABLES", "true");
    command
}

fn run(folder: &Folder, arguments: &str) -> Outcome {
    with_metrics(folder, arguments).output().unwrap().into()
}

/// The lines that hold metrics.
fn measured(outcome: &Outcome) -> Vec<Value> {
    let lines: Vec<Value> =
        outcome.log().into_iter().filter(|line| line.get("_aws").is_some()).collect();
    lines.iter().for_each(assert_embedded);
    lines
}

/// What the specification says of a document.
fn assert_embedded(line: &Value) {
    let metadata = line["_aws"].as_object().unwrap();
    let names: Vec<_> = metadata.keys().collect();
    assert_eq!(names, ["Timestamp", "CloudWatchMetrics"], "and nothing else");
    let now = jiff::Timestamp::now().as_millisecond();
    let timestamp = metadata["Timestamp"].as_i64().unwrap();
    assert!((now - 60_000..=now).contains(&timestamp), "milliseconds since 1970");
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        let mut members: Vec<_> = directive.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["Dimensions", "Metrics", "Namespace"]);
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=1024).contains(&namespace.len()));
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for set in sets {
            let keys = set.as_array().unwrap();
            assert!(keys.len() <= 30);
            for key in keys {
                let key = key.as_str().unwrap();
                assert!((1..=250).contains(&key.len()));
                let value = line[key].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "a dimension is a text: {line}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!((1..=1024).contains(&name.len()));
            assert!(line[name].is_number(), "{name} is no number: {line}");
            let unit = metric["Unit"].as_str().unwrap();
            assert!(["Count", "Bytes", "Milliseconds"].contains(&unit), "{unit}");
        }
    }
    assert!(line.to_string().len() < 256 << 10, "the largest event of a log");
}

/// Name and value of the metrics of a line.
fn values(line: &Value) -> Vec<(String, u64)> {
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    let names = metrics.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned());
    names.map(|name| (name.clone(), line[name.as_str()].as_u64().unwrap())).collect()
}

fn value(line: &Value, name: &str) -> Option<u64> {
    values(line).into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
}

#[test]
fn o2_a_summary_is_metrics() {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS.to_owned() + "bad\n");
    let outcome = run(&folder, "relationalize raw curated --key id --bookmark");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let lines = measured(&outcome);
    let [items, orders, summary] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!((&summary["event"], &summary["level"]), (&json!("summary"), &json!("info")));
    assert_eq!(
        (&summary["Program"], &summary["Command"]),
        (&json!("engine"), &json!("relationalize"))
    );
    let found = ["Failures", "Records", "Quarantined", "Rows"].map(|name| value(summary, name));
    assert_eq!(found, [Some(0), Some(2), Some(1), Some(4)], "{summary:#}");
    assert_eq!(value(summary, "Bytes"), summary["bytes_read"].as_u64());
    assert_eq!(value(summary, "Duration"), summary["duration_ms"].as_u64());
    assert_eq!(summary["records_read"], 2, "the summary is as it is without metrics");
    let mut tables =
        [items, orders].map(|line| (line["Table"].as_str().unwrap(), value(line, "Rows")));
    tables.sort();
    assert_eq!(tables, [("orders", Some(2)), ("orders__items", Some(2))]);
}

#[test]
fn o2_a_merge_counts_rows() {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    run(&folder, "relationalize raw curated --key id --bookmark");
    let outcome = run(&folder, "merge --staging curated --into lake");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let lines = measured(&outcome);
    let summary = lines.last().unwrap();
    let found =
        ["Failures", "Records", "Inserted", "Updated", "Deleted"].map(|name| value(summary, name));
    assert_eq!(found, [Some(0), Some(2), Some(4), Some(0), Some(0)], "{summary:#}");
    assert_eq!(lines.len(), 3, "two tables");
}

#[test]
fn o2_failures_are_counted() {
    let folder = Folder::new().with("raw/orders/1.ndjson", "bad\n");
    for (arguments, code) in [
        ("relationalize raw curated --error-threshold 0", 65),
        ("relationalize nowhere curated", 66),
        ("relationalize raw curated --resolve x=cast:money", 64),
        ("merge --staging nowhere --into lake", 66),
        ("check nowhere", 66),
    ] {
        let outcome = run(&folder, arguments);
        let lines = measured(&outcome);
        let [summary] = lines.as_slice() else { panic!("{arguments}: {outcome:?}") };
        assert_eq!((outcome.code, &summary["exit_code"]), (code, &json!(code)), "{summary:#}");
        assert_eq!((&summary["event"], &summary["level"]), (&json!("summary"), &json!("error")));
        assert_eq!(value(summary, "Failures"), Some(1));
        assert!(value(summary, "Duration").is_some());
    }
}

#[test]
fn o2_a_job_counts_its_steps() {
    let job = "relationalize:\n  shop: { input: raw, output: curated, key: { orders: id } }\n\
               merge: { staging: curated, into: lake }\n\
               checks:\n  orders: [{ row_count: { max: 1 } }]\n";
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS).with("solder.yaml", job);
    let outcome = run(&folder, "run solder.yaml");
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let lines = measured(&outcome);
    let summary = lines.last().unwrap();
    let found = ["Failures", "FailedSteps"].map(|name| value(summary, name));
    assert_eq!((&summary["Command"], found), (&json!("run"), [Some(1), Some(1)]), "{summary:#}");
    // Those of the steps come with the steps' lines.
    let of_steps: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "summary")
        .map(|line| (line["Command"].as_str().unwrap(), value(line, "Failures").unwrap()))
        .collect();
    assert_eq!(of_steps, [("relationalize", 0), ("merge", 0), ("check", 1), ("run", 1)]);
}

/// Without the variable, and where the log is for people, there are none.
#[test]
fn o2_metrics_are_asked_for() {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    let outcome = folder.engine("relationalize raw curated");
    assert!(outcome.log().iter().all(|line| line.get("_aws").is_none()), "{outcome:?}");
    let outcome = run(&folder, "relationalize raw curated --log text");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
}
