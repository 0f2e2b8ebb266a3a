//! O1 to O6: what observers are told of `ingest run`.

use std::process::Command;

use serde_json::{Value, json};

use crate::api::{Answer, Asked, orders, orders_source, serve, source};
use crate::collector::Collector;
use crate::support::{Folder, Outcome};

const RUN: &str = "run shop.yaml --to raw --run-id r";

/// A run that all observers watch.
fn observed(folder: &Folder, collector: &Collector) -> Command {
    let mut command = folder.command(RUN);
    let url = &collector.url;
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OPENLINEAGE_URL", url);
    command.env("SOLDER_METRICS_NAMESPACE", "Solder").env("SOLDER_METRICS_TABLES", "true");
    command.env("SOLDER_TASK_TOKEN", "AAAA").env("AWS_ENDPOINT_URL_SFN", url);
    command.env("AWS_REGION", "eu-central-1");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

/// What was told to a path.
fn told(collector: &Collector, path: &str) -> Vec<Value> {
    let asked = collector.asked().into_iter();
    let told = asked.filter(|asked| asked.path == path && asked.operation() != "SendTaskHeartbeat");
    told.map(|asked| asked.body).collect()
}

#[test]
fn o2_to_o6_of_an_ingest() {
    let collector = Collector::start();
    let folder = Folder::new().with("shop.yaml", orders_source(&serve(orders)));
    let outcome: Outcome = observed(&folder, &collector).output().unwrap().into();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let log = outcome.log();
    assert!(log.iter().all(|line| line["level"] == "info"), "{log:#?}");

    let [.., table, summary] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!((&table["Table"], &table["Records"]), (&json!("orders"), &json!(3)));
    assert_eq!((&summary["Program"], &summary["Records"]), (&json!("ingest"), &json!(3)));
    assert_eq!((&summary["Failures"], &summary["Requests"]), (&json!(0), &json!(3)));
    assert_eq!(summary["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Solder");

    let spans = told(&collector, "/v1/traces");
    let span = &spans[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["name"], "ingest run");

    let events = told(&collector, "/api/v1/lineage");
    let [start, complete] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(
        (&start["eventType"], &complete["eventType"]),
        (&json!("START"), &json!("COMPLETE"))
    );
    assert_eq!(complete["job"]["name"], "ingest.shop");
    let raw = folder.path().canonicalize().unwrap().join("raw").display().to_string();
    let outputs = complete["outputs"].as_array().unwrap().iter();
    let outputs: Vec<_> = outputs
        .map(|output| (&output["name"], &output["outputFacets"]["outputStatistics"]["rowCount"]))
        .collect();
    let stream = format!("{raw}/data/source=shop/stream=orders");
    assert_eq!(outputs, [(&json!(raw), &json!(3)), (&json!(stream), &json!(3))]);
    assert!(folder.path().join("raw/data/source=shop/stream=orders").is_dir());

    let answers = told(&collector, "/");
    let [success] = answers.as_slice() else { panic!("{answers:?}") };
    let output: Value = serde_json::from_str(success["output"].as_str().unwrap()).unwrap();
    assert_eq!((&output["run_id"], &output["outcome"]), (&json!("r"), &json!("succeeded")));
}

/// O5: a secret that the API sends back is blanked for observers, too.
#[test]
fn o5_secrets_are_told_to_nobody() {
    let collector = Collector::start();
    let refuse = |asked: &Asked| {
        let said = format!("no right for {}", asked.header("authorization"));
        Answer::status("403 Forbidden", &said)
    };
    let auth = "{ type: bearer, token: \"${secret:env:SHOP_TOKEN}\" }";
    let folder = Folder::new().with("shop.yaml", source(&serve(refuse), auth));
    let mut command = observed(&folder, &collector);
    let outcome: Outcome =
        command.env("SHOP_TOKEN", "hidden-secret-of-the-shop").output().unwrap().into();
    assert_eq!(outcome.code, 77, "{outcome:?}");
    assert!(!outcome.stderr.contains("hidden-secret"), "{outcome:?}");
    assert!(
        collector.asked().iter().all(|asked| !asked.body.to_string().contains("hidden-secret"))
    );
    let answers = told(&collector, "/");
    assert_eq!(answers[0]["error"], "Solder.Credentials");
    assert!(answers[0]["cause"].as_str().unwrap().contains("403"), "{answers:?}");
    let events = told(&collector, "/api/v1/lineage");
    assert_eq!(events[1]["eventType"], "FAIL");
}

/// O6: a command line that is wrong fails the token as well.
#[test]
fn o6_a_command_line_that_is_wrong() {
    let collector = Collector::start();
    let folder = Folder::new();
    let mut command = observed(&folder, &collector);
    let outcome: Outcome = command.arg("--no-such-option").output().unwrap().into();
    assert_eq!(outcome.code, 64, "{outcome:?}");
    let answers = told(&collector, "/");
    assert_eq!(answers[0]["error"], "Solder.Usage", "{answers:?}");
    assert!(told(&collector, "/api/v1/lineage").is_empty(), "nothing has begun");
}
