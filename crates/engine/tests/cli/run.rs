//! Jobs (J1 to J4), as their users see them.

use std::process::Stdio;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::{Folder, ORDERS, Outcome, filters, snapshot_name};

const JOB: &str = "\
parameters: { out: out, most: 10 }
relationalize:
  shop: { input: raw, output: '{param.out}/curated', bookmark: true, key: { orders: id } }
  other: { input: other, output: other_tables }
merge: { staging: '{param.out}/curated', into: '{param.out}/lake' }
checks:
  orders: [{ row_count: { max: 10 } }]
  names: [{ not_null: name }]
marts:
  lengths: { sql: 'select name, length(name) as n from names', after: [relationalize.other] }
  names: { statements: names.sql, mode: append, key: [] }
";
const NAMES: &str = "select id, customer__name as name from orders";

fn shop(job: &str) -> Folder {
    Folder::new()
        .with("raw/orders/1.ndjson", ORDERS)
        .with("other/things/1.json", "[{\"a\":1}]")
        .with("names.sql", NAMES)
        .with("solder.yaml", job)
}

fn report(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Step and outcome, in the order of the plan.
fn outcomes(report: &Value) -> Vec<(String, String)> {
    let steps = report["steps"].as_array().unwrap();
    let of = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    steps.iter().map(|step| (of(step, "step"), of(step, "outcome"))).collect()
}

#[rstest]
#[case("text")]
#[case("mermaid")]
#[case("json")]
fn j2_a_plan_shows_the_commands(#[case] format: &str) {
    let folder = shop(JOB);
    let outcome = folder.engine(&format!("run solder.yaml --param out=there --plan={format}"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let _filters = filters();
    insta::assert_snapshot!(format!("run_plan_{format}"), outcome.stdout);
    assert!(folder.names("there").is_empty(), "nothing has run");
}

#[test]
fn j2_a_job_goes_the_whole_way() {
    let folder = shop(JOB);
    let outcome = folder.engine("run solder.yaml --report json --log json");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let told = report(&outcome);
    assert!(outcomes(&told).iter().all(|(_, outcome)| outcome == "done"), "{told:#}");
    let of = |name: &str| {
        told["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap()
    };
    assert_eq!(of("relationalize.shop")["report"]["records_read"], 2);
    assert_eq!(of("mart.names")["report"]["num_rows"], 2);
    folder.write("q.sql", "select name, n from lengths order by name");
    let rows = folder.engine("sql q.sql --lake out/lake --format csv");
    assert_eq!(rows.stdout, "name,n\nAda,3\nBob,3\n");
    // Every line of a step has the step's name.
    let lines: Vec<Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let committed = lines.iter().find(|line| line["event"] == "committed").unwrap();
    assert!(committed["step"].as_str().unwrap().starts_with("relationalize."));
    assert_eq!(lines.last().unwrap()["event"], "summary");
    assert_eq!(lines.last().unwrap()["steps"]["merge"], "done");

    let text = folder.engine("run solder.yaml --log text");
    let line = text.stdout.lines().find(|line| line.starts_with("relationalize.shop")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    // The bookmark knows what was read.
    assert_eq!((words[1], &words[4..]), ("done", &["0", "records"][..]), "{text:?}");
    assert!(text.stderr.contains("merge: done in "), "{text:?}");
}

/// What waits for a step that failed is not begun; the rest goes on. Said again, the rest is done, and no row
/// comes twice.
#[test]
fn j3_j4_a_job_goes_on_where_it_failed() {
    let folder = shop(&JOB.replace("max: 10", "max: 1"));
    let run = "run solder.yaml --run-id monday --report json --log text";
    let failed = folder.engine(run);
    assert_eq!(failed.code, 65, "{failed:?}");
    let told = report(&failed);
    let expected = [
        ("relationalize.other", "done"),
        ("relationalize.shop", "done"),
        ("merge", "done"),
        ("check", "failed"),
        ("mart.names", "not_begun"),
        ("mart.lengths", "not_begun"),
        ("check.marts", "not_begun"),
    ];
    let expected = expected.map(|(step, outcome)| (step.to_owned(), outcome.to_owned()));
    assert_eq!(outcomes(&told), expected, "{told:#}");
    assert!(failed.stderr.contains("orders: row_count: "), "{failed:?}");
    assert!(failed.stderr.contains("command: engine check out/lake"), "{failed:?}");
    assert_eq!(told["resume"], "engine run solder.yaml --run-id monday");

    folder.write("solder.yaml", JOB);
    for _ in 0..2 {
        let again = folder.engine(run);
        assert_eq!(again.code, 0, "{again:?}");
        let told = report(&again);
        let steps = told["steps"].as_array().unwrap();
        let shop = steps.iter().find(|step| step["step"] == "relationalize.shop").unwrap();
        assert_eq!(shop["report"]["already_committed"], true);
        folder.write("q.sql", "select count(*) as n from names");
        let rows = folder.engine("sql q.sql --lake out/lake --format csv");
        assert_eq!(rows.stdout, "n\n2\n", "appended once");
    }
}

#[test]
fn j4_steps_are_chosen() {
    let folder = shop(JOB);
    let one = folder.engine("run solder.yaml --only shop --report json");
    assert_eq!(one.code, 0, "{one:?}");
    assert_eq!(outcomes(&report(&one)), [("relationalize.shop".to_owned(), "done".to_owned())]);
    let from = folder.engine("run solder.yaml --from merge --report json");
    assert_eq!(from.code, 0, "{from:?}");
    let told = report(&from);
    let names: Vec<_> = outcomes(&told).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["merge", "check", "mart.names", "mart.lengths", "check.marts"]);
}

/// J4: what is left of chosen steps is asked for by the same choice, and as a shell takes it.
#[test]
fn j4_what_is_left_is_of_the_steps_that_were_chosen() {
    let folder = shop(JOB);
    let mut command = folder.command("run solder.yaml --only merge --run-id monday --report json");
    command.args(["--param", "out=a place"]);
    let failed = Outcome::from(command.output().unwrap());
    assert_eq!(failed.code, 66, "{failed:?}");
    let left = "engine run solder.yaml --param 'out=a place' --only merge --run-id monday";
    assert_eq!(report(&failed)["resume"], left);
    let failed = folder.engine("run solder.yaml --from merge --run-id monday --report json");
    let left = "engine run solder.yaml --from merge --run-id monday";
    assert_eq!(report(&failed)["resume"], left);
}

/// J3: of an API that was not read, nothing is said to have come.
#[test]
fn j3_a_source_that_fails_gave_no_answers() {
    let folder =
        Folder::new().with("solder.yaml", "sources: { shop: { source: no.yaml, to: raw } }\n");
    let failed = folder.engine("run solder.yaml");
    assert_ne!(failed.code, 0, "{failed:?}");
    let row = failed.stdout.lines().find(|line| line.starts_with("ingest.shop")).unwrap();
    assert!(row.ends_with(" s"), "{failed:?}");
}

/// A signal goes to the steps that run, no other begins, and the exit code tells which it was.
#[test]
fn j3_a_signal_ends_the_steps_that_run() {
    let long = "with recursive t(n) as (select 1 union all select n + 1 from t where n < 100000000000) select count(*) as n from t";
    let job = format!(
        "marts:\n  long: {{ sql: '{long}', into: lake }}\n  next: {{ sql: select n from long, into: lake }}\n"
    );
    let folder = Folder::new().with("solder.yaml", job);
    let mut command = folder.command("run solder.yaml --report json --log text");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Long enough that the step runs; were it not, it would not be begun, which is as well.
    std::thread::sleep(Duration::from_millis(1500));
    let killed = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 143, "{outcome:?}");
    let told = report(&outcome);
    assert_eq!(outcomes(&told)[1].1, "not_begun", "{told:#}");
    assert_ne!(outcomes(&told)[0].1, "done", "{told:#}");
}

/// Name, code, the file and the arguments; what is said is in the snapshot of the name.
#[rstest]
#[case::unknown_section(78, "tables: {}", "")]
#[case::unknown_option(78, "relationalize:\n  a: { input: raw, output: o, keys: id }", "")]
#[case::wrong_value(
    78,
    "relationalize:\n  a:\n    input: raw\n    output: o\n    naming: hive",
    ""
)]
#[case::value_of_wrong_kind(
    78,
    "relationalize:\n  a: { input: raw, output: o, bookmark: 'yes' }",
    ""
)]
#[case::refused_by_the_command(
    78,
    "relationalize:\n  a: { input: raw, output: o, resolve: { 'a.b': 'cast:money' } }",
    ""
)]
#[case::g1_catalog_of_a_local_lake(78, "merge: { staging: s, into: l, catalog: 'glue://crm' }", "")]
#[case::no_yaml(78, "relationalize: [", "")]
#[case::parameter_without_value(78, "parameters: { tenant: null }", "")]
#[case::parameter_that_is_none(78, "parameters: { tenant: a }", "--param tenent=b")]
#[case::unknown_step(64, "merge: { staging: a, into: b }", "--only marge")]
#[case::unknown_after(78, "marts:\n  a: { sql: select 1 as n, into: l, after: [b] }", "")]
#[case::mistake_in_a_statement(64, "marts:\n  a: { sql: selec 1, into: l }", "")]
#[case::no_statements(66, "marts:\n  a: { statements: none.sql, into: l }", "")]
#[case::mart_without_lake(78, "marts:\n  a: { sql: select 1 as n }", "")]
fn j1_mistakes_are_told_before_anything_runs(
    #[case] code: i32,
    #[case] job: &str,
    #[case] arguments: &str,
) {
    let folder = shop(&format!("{job}\n"));
    let outcome = folder.engine(&format!("run solder.yaml --log text {arguments}"));
    let _filters = filters();
    let text = format!("{job}\n\n{}=> {}\n", outcome.stderr, outcome.code);
    insta::assert_snapshot!(snapshot_name("run"), text);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
    assert!(folder.names("o").is_empty() && folder.names("l").is_empty(), "nothing has run");
}

#[test]
fn j1_the_schema_is_for_editors() {
    let outcome = Folder::new().engine("schema");
    let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(schema["title"], "Solder job");
    assert_eq!(schema["additionalProperties"], false);
}

/// J5: a job that cannot begin has a report as well.
#[test]
fn j1_what_is_wrong_is_reported_to_programs() {
    let folder = shop("merge: {}\n");
    let outcome =
        folder.engine("run solder.yaml --report json --manifest out/report.json --log text");
    assert_eq!(outcome.code, 78, "{outcome:?}");
    let told = report(&outcome);
    assert_eq!(told["exit_code"], 78);
    assert!(told["causes"][0].as_str().unwrap().contains("solder.yaml:1:8: merge"), "{told:#}");
    assert_eq!(folder.read("out/report.json"), outcome.stdout);
}
