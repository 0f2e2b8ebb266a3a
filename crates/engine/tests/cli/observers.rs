//! O1 to O5: traces and lineage of real runs, and that no observer changes one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::collector::{Asked, Collector, absent, deaf};
use crate::support::{Folder, ORDERS, Outcome};

const TRACES: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const LINEAGE: &str = "OPENLINEAGE_URL";
const JOB: &str = "\
relationalize:
  shop: { input: raw, output: curated, key: { orders: id }, bookmark: true }
merge: { staging: curated, into: lake }
checks:
  orders: [{ row_count: { max: 1 } }]
";

fn shop() -> Folder {
    Folder::new().with("raw/orders/1.ndjson", ORDERS).with("solder.yaml", JOB)
}

fn run(folder: &Folder, arguments: &str, variables: &[(&str, &str)]) -> Outcome {
    let mut command = folder.command(arguments);
    command.envs(variables.iter().copied()).output().unwrap().into()
}

/// The warnings of a log.
fn warnings(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.log().into_iter().filter(|line| line["event"] == "warning");
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

/// A span, with its attributes by name.
#[derive(Debug)]
struct Span {
    json: Value,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn of(json: &Value) -> Span {
        let attributes = attributes(&json["attributes"]);
        Span { json: json.clone(), attributes }
    }

    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    fn nanos(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap()
    }

    /// Begin and end.
    fn times(&self) -> (u64, u64) {
        (self.nanos("startTimeUnixNano"), self.nanos("endTimeUnixNano"))
    }

    fn is_stage(&self) -> bool {
        self.attributes.contains_key("solder.stage")
    }
}

fn attributes(json: &Value) -> BTreeMap<String, Value> {
    let attributes = json.as_array().into_iter().flatten();
    let value = |value: &Value| {
        let number = value["intValue"].as_str().and_then(|text| text.parse::<i64>().ok());
        number
            .map(Value::from)
            .or(value["intValue"].as_i64().map(Value::from))
            .unwrap_or_else(|| value["stringValue"].clone())
    };
    attributes.map(|a| (a["key"].as_str().unwrap().to_owned(), value(&a["value"]))).collect()
}

/// The spans of requests to a collector, and the resource that sent each.
fn spans(asked: &[Asked]) -> Vec<(Span, BTreeMap<String, Value>)> {
    let mut found = Vec::new();
    for asked in asked.iter().filter(|asked| asked.path == "/v1/traces") {
        assert_eq!(asked.header("content-type"), "application/json");
        for resource in asked.body["resourceSpans"].as_array().unwrap() {
            let of = attributes(&resource["resource"]["attributes"]);
            for scope in resource["scopeSpans"].as_array().unwrap() {
                let spans = scope["spans"].as_array().unwrap();
                found.extend(spans.iter().map(|span| (Span::of(span), of.clone())));
            }
        }
    }
    found
}

/// The events of requests to a collector.
fn events(asked: &[Asked]) -> Vec<Value> {
    let told = asked.iter().filter(|asked| asked.path == "/api/v1/lineage");
    told.map(|asked| asked.body.clone()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["eventType"].as_str().unwrap()).collect()
}

/// Exit code and stdout are those of a run that nobody observes, a few seconds later at most, with a warning for each
/// observer.
#[rstest]
#[case::absent(absent)]
#[case::deaf(deaf)]
#[case::refusing(|| {
    let collector = Collector::answering(|_| (403, "no".to_owned()));
    let url = collector.url.clone();
    std::mem::forget(collector);
    url
})]
fn o1_observers_change_nothing(#[case] url: fn() -> String) {
    for (arguments, code) in [
        ("relationalize raw curated --run-id r --report json", 0),
        ("relationalize nowhere curated --run-id r --report json", 66),
    ] {
        let plain = shop().engine(arguments);
        let url = url();
        let began = Instant::now();
        let observed = run(&shop(), arguments, &[(TRACES, &url), (LINEAGE, &url)]);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(6), "{took:?}");
        assert_eq!((observed.code, plain.code), (code, code), "{observed:?}");
        let without_time = |outcome: &Outcome| {
            let mut report: Value = serde_json::from_str(&outcome.stdout).unwrap();
            report["duration_ms"].take();
            report["started_at"].take();
            let stages = report["stages"].as_array_mut().into_iter().flatten();
            stages.for_each(|stage| *stage = stage["name"].take());
            let tables = report["tables"].as_array_mut().into_iter().flatten();
            tables.for_each(|table| drop(table["bytes"].take()));
            report
        };
        assert_eq!(without_time(&observed), without_time(&plain));
        let mut warnings = warnings(&observed);
        warnings.sort();
        let [lineage, traces] = warnings.as_slice() else { panic!("{observed:?}") };
        assert!(lineage.starts_with("lineage: ") && lineage.contains(&url), "{lineage}");
        assert!(traces.starts_with("traces: ") && traces.contains(&url), "{traces}");
    }
}

#[rstest]
#[case("http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/json")]
#[case("http://127.0.0.1:1", "OPENLINEAGE_URL", "marquez:5000", "OPENLINEAGE_URL")]
fn o1_variables_that_are_wrong_are_told(
    #[case] url: &str,
    #[case] variable: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let variables: Vec<_> = match variable == LINEAGE {
        true => vec![(variable, value)],
        false => vec![(TRACES, url), (variable, value)],
    };
    let outcome = run(&shop(), "relationalize raw curated", &variables);
    let warnings = warnings(&outcome);
    let [warning] = warnings.as_slice() else { panic!("{outcome:?}") };
    assert!(outcome.code == 0 && warning.contains(expected), "{warning}");
}

#[test]
fn o3_a_command_is_a_span() {
    let collector = Collector::start();
    let variables = [
        (TRACES, collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let outcome = run(&shop(), "relationalize raw curated --run-id r-1", &variables);
    assert_eq!((outcome.code, warnings(&outcome)), (0, Vec::new()), "{outcome:?}");
    let asked = collector.asked();
    assert_eq!(asked[0].header("x-key"), "abc");
    let mut found = spans(&asked);
    found.retain(|(span, _)| !span.is_stage());
    let [(span, resource)] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(resource["service.name"], "solder");
    assert_eq!(resource["deployment.environment"], "test");
    assert_eq!(span.text("name"), "engine relationalize");
    assert_eq!(span.text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span.text("parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(span.json["status"]["code"], 1);
    for (name, value) in [
        ("solder.run_id", json!("r-1")),
        ("solder.records", json!(2)),
        ("solder.inputs", json!("raw")),
        ("solder.outputs", json!("curated")),
        ("process.exit.code", json!(0)),
    ] {
        assert_eq!(span.attributes[name], value, "{name}");
    }
    let lasted = span.nanos("endTimeUnixNano") - span.nanos("startTimeUnixNano");
    assert!(lasted < 60_000_000_000, "{lasted}");
}

/// O3, O9: a stage is a span within its command's time, and ends where the next one begins.
#[test]
fn o3_stages_are_spans_below_their_command() {
    let collector = Collector::start();
    let folder = shop();
    let variables = [(TRACES, collector.url.as_str())];
    let all = |arguments: &str| -> (Span, Vec<Span>) {
        let before = spans(&collector.asked()).len();
        let outcome = run(&folder, arguments, &variables);
        assert_eq!((outcome.code, warnings(&outcome)), (0, Vec::new()), "{outcome:?}");
        let found = spans(&collector.asked()).into_iter().skip(before).map(|(span, _)| span);
        let (stages, mut commands): (Vec<Span>, Vec<Span>) = found.partition(Span::is_stage);
        (commands.remove(0), stages)
    };
    for (arguments, names) in [
        ("relationalize raw curated --key id", "list transform commit"),
        (
            "merge --staging curated --into lake",
            "list list join commit join write commit join write commit",
        ),
    ] {
        let (command, stages) = all(arguments);
        let found: Vec<&str> = stages.iter().map(|stage| stage.text("name")).collect();
        assert_eq!(found.join(" "), names);
        let (mut at, end) = command.times();
        for stage in &stages {
            assert_eq!(stage.text("parentSpanId"), command.text("spanId"));
            assert_eq!(stage.text("traceId"), command.text("traceId"));
            assert!(stage.times().0 >= at && stage.times().1 <= end, "{command:?} {stage:?}");
            at = stage.times().1;
        }
        let touching = stages.windows(2).all(|two| two[0].times().1 == two[1].times().0);
        assert!(touching, "{stages:#?}");
        let has = |name: &str| stages.iter().any(|stage| stage.attributes.contains_key(name));
        let is_merge = arguments.starts_with("merge");
        assert_eq!((has("solder.busy_ms.shred"), has("solder.table")), (!is_merge, is_merge));
    }
}

#[rstest]
#[case("OTEL_SDK_DISABLED", "true")]
#[case("OTEL_TRACES_EXPORTER", "none")]
#[case("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")]
fn o3_traces_that_nobody_wants(#[case] name: &str, #[case] value: &str) {
    let collector = Collector::start();
    run(&shop(), "relationalize raw curated", &[(TRACES, &collector.url), (name, value)]);
    assert!(collector.asked().is_empty());
}

#[test]
fn o3_a_failure_is_the_status() {
    let collector = Collector::start();
    let variables = [(TRACES, collector.url.as_str()), ("OTEL_SERVICE_NAME", "shop")];
    run(&shop(), "relationalize nowhere curated", &variables);
    let found = spans(&collector.asked());
    let (span, resource) = &found[0];
    assert_eq!(resource["service.name"], "shop");
    assert_eq!(span.json["status"]["code"], 2);
    let message = span.json["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("no object at `nowhere`\n  help: "), "{message}");
    assert_eq!(span.attributes["process.exit.code"], 66);
}

/// The job, its steps, and the commands of the steps: one below the other, each within the other's time.
#[test]
fn o3_a_job_is_one_trace() {
    let collector = Collector::start();
    let outcome = run(&shop(), "run solder.yaml --run-id r", &[(TRACES, &collector.url)]);
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let found = spans(&collector.asked());
    let by_name = |name: &str| {
        let span = found.iter().find(|(span, _)| span.text("name") == name);
        &span.unwrap_or_else(|| panic!("no {name}: {found:#?}")).0
    };
    let job = by_name("engine run");
    assert_eq!(job.text("parentSpanId"), "");
    assert_eq!(job.json["status"]["code"], 2);
    for (step, command, code) in [
        ("relationalize.shop", "engine relationalize", 0),
        ("merge", "engine merge", 0),
        ("check", "engine check", 65),
    ] {
        let (step, command) = (by_name(step), by_name(command));
        assert_eq!(step.text("parentSpanId"), job.text("spanId"));
        assert_eq!(command.text("parentSpanId"), step.text("spanId"));
        assert_eq!(command.text("traceId"), job.text("traceId"));
        assert_eq!(step.attributes["process.exit.code"], code);
        assert_eq!(step.json["status"]["code"], if code == 0 { 1 } else { 2 });
        assert!(step.nanos("startTimeUnixNano") >= job.nanos("startTimeUnixNano"));
        assert!(step.nanos("startTimeUnixNano") <= command.nanos("startTimeUnixNano"));
    }
    let others = found.iter().filter(|(span, _)| !span.is_stage());
    assert_eq!(others.count(), 7, "{found:#?}");
    assert!(by_name("engine merge").attributes["solder.job"] == "run.solder.merge");
}

/// What was committed is told with what came into it; the next run of the same name is the same run.
#[test]
fn o4_datasets_of_a_run() {
    let collector = Collector::start();
    let folder = shop();
    let variables = [
        (LINEAGE, collector.url.as_str()),
        ("OPENLINEAGE_API_KEY", "key"),
        ("OPENLINEAGE_NAMESPACE", "shop"),
        ("OPENLINEAGE_PARENT_ID", "airflow/dag.task/6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
    ];
    let arguments = "relationalize raw curated --key id --bookmark --run-id r";
    let outcome = run(&folder, arguments, &variables);
    assert_eq!((outcome.code, warnings(&outcome)), (0, Vec::new()), "{outcome:?}");
    let asked = collector.asked();
    assert!(asked.iter().all(|asked| asked.header("authorization") == "Bearer key"));
    let told = events(&asked);
    assert_eq!(kinds(&told), ["START", "COMPLETE"]);
    let folder_name = folder.path().canonicalize().unwrap().display().to_string();
    let dataset =
        |name: &str| json!({ "namespace": "file", "name": format!("{folder_name}/{name}") });
    for event in &told {
        assert_eq!(event["job"]["namespace"], "shop");
        assert_eq!(event["job"]["name"], "relationalize.curated");
        assert_eq!(event["inputs"], json!([dataset("raw")]));
        assert_eq!(event["run"]["runId"], told[0]["run"]["runId"]);
        let parent = &event["run"]["facets"]["parent"];
        assert_eq!(parent["run"]["runId"], "6f9619ff-8b86-d011-b42d-00cf4fc964ff");
        assert_eq!(parent["job"], json!({ "namespace": "airflow", "name": "dag.task" }));
    }
    assert_eq!(told[0]["outputs"], json!([dataset("curated")]));
    let outputs: BTreeMap<_, _> = told[1]["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| {
            let statistics = &output["outputFacets"]["outputStatistics"];
            assert!(statistics["size"].as_u64().unwrap() > 100);
            (output["name"].as_str().unwrap().to_owned(), statistics["rowCount"].as_u64().unwrap())
        })
        .collect();
    let expected = [("curated/orders", 2), ("curated/orders__items", 2)];
    let expected = expected.map(|(name, rows)| (format!("{folder_name}/{name}"), rows));
    assert_eq!(outputs, BTreeMap::from(expected));
    assert_eq!(told[0]["outputs"][0]["facets"], Value::Null, "nothing is written yet");
    let fields = |table: &str| -> Vec<String> {
        let mut outputs = told[1]["outputs"].as_array().unwrap().iter();
        let is_table = |output: &&Value| output["name"].as_str().unwrap().ends_with(table);
        let fields = &outputs.find(is_table).unwrap()["facets"]["schema"]["fields"];
        let words = |field: &Value| {
            ["name", "type", "description"].map(|key| field[key].as_str().unwrap()).join(" ")
        };
        fields.as_array().unwrap().iter().map(words).collect()
    };
    let expected = [
        "_seq bigint $",
        "id bigint $.id",
        "customer__name string $.customer.name",
        "items__len int $.items",
    ];
    assert_eq!(fields("curated/orders"), expected);
    let items = fields("curated/orders__items");
    assert!(items.contains(&"price double $.items[*].price".to_owned()), "{items:?}");

    run(&folder, arguments, &variables);
    let again = events(&collector.asked());
    assert_eq!(again[2]["run"]["runId"], told[0]["run"]["runId"]);
}

#[test]
fn o4_a_failure_has_its_message() {
    let collector = Collector::start();
    run(&shop(), "relationalize nowhere curated", &[(LINEAGE, &collector.url)]);
    let told = events(&collector.asked());
    assert_eq!(kinds(&told), ["START", "FAIL"]);
    let facet = &told[1]["run"]["facets"]["errorMessage"];
    let message = facet["message"].as_str().unwrap();
    assert!(message.starts_with("no object at `nowhere`\n  help: "), "{message}");
    assert_eq!(facet["programmingLanguage"], "Rust");
}

/// The steps of a job are parts of it, and read what the others wrote.
#[test]
fn o4_steps_are_parts_of_their_job() {
    let collector = Collector::start();
    run(&shop(), "run solder.yaml --run-id r", &[(LINEAGE, &collector.url)]);
    let told = events(&collector.asked());
    let of = |name: &str| -> Vec<&Value> {
        told.iter().filter(|event| event["job"]["name"] == name).collect()
    };
    let job = of("run.solder");
    let job_kinds: Vec<_> = job.iter().map(|event| &event["eventType"]).collect();
    assert_eq!(job_kinds, ["START", "FAIL"]);
    for name in ["relationalize.shop", "merge", "check"] {
        let step = of(&format!("run.solder.{name}"));
        assert_eq!(step.len(), 2, "{told:#?}");
        for event in step {
            let parent = &event["run"]["facets"]["parent"];
            assert_eq!(parent["run"]["runId"], job[0]["run"]["runId"]);
            assert_eq!(parent["job"], json!({ "namespace": "default", "name": "run.solder" }));
        }
    }
    let names = |event: &Value, key: &str| -> Vec<String> {
        let datasets = event[key].as_array().unwrap().iter();
        datasets.map(|dataset| dataset["name"].as_str().unwrap().to_owned()).collect()
    };
    let merged = of("run.solder.merge")[1]["outputs"].as_array().unwrap();
    for table in merged {
        let fields = table["facets"]["schema"]["fields"].as_array().unwrap();
        let has = |path: &str| fields.iter().any(|field| field["description"] == path);
        let is_root = table["name"].as_str().unwrap().ends_with("/orders");
        let path = if is_root { "$.customer.name" } else { "$.items[*].sku" };
        assert!(has(path) && fields.iter().all(|field| field["name"] != "_seq"), "{table:#}");
    }
    let written = names(of("run.solder.relationalize.shop")[1], "outputs");
    let read = names(of("run.solder.merge")[1], "inputs");
    assert!(read.len() == 1 && written.contains(&read[0]), "{read:?} of {written:?}");
}

/// O5: what may hold credentials is told to nobody.
#[test]
fn o5_credentials_are_told_to_nobody() {
    let collector = Collector::start();
    let variables = [
        (TRACES, collector.url.as_str()),
        (LINEAGE, collector.url.as_str()),
        ("OPENLINEAGE_API_KEY", "hidden-secret"),
    ];
    for arguments in [
        "relationalize s3://key:hidden-secret@bucket/raw curated",
        "relationalize raw s3://key:hidden-secret@bucket/raw",
        "merge --staging s3://key:hidden-secret@bucket/raw --into lake",
    ] {
        let outcome = run(&shop(), arguments, &variables);
        assert_ne!(outcome.code, 0, "{outcome:?}");
        assert!(!outcome.stderr.contains("hidden-secret"), "{outcome:?}");
    }
    let asked = collector.asked();
    assert_eq!((events(&asked).len(), spans(&asked).len()), (6, 3));
    assert!(asked.iter().all(|asked| !asked.body.to_string().contains("hidden-secret")));
}
