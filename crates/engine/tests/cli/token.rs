//! O6: a state of AWS Step Functions that waits for a task token.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::collector::{Asked, Collector, absent};
use crate::support::{Folder, ORDERS, Outcome, log_lines};

const TOKEN: &str = "AAAA-the-token";

fn command(folder: &Folder, url: &str, arguments: &str) -> Command {
    let mut command = folder.command(arguments);
    command
        .env("SOLDER_TASK_TOKEN", TOKEN)
        .env("AWS_ENDPOINT_URL_SFN", url)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

fn run(folder: &Folder, collector: &Collector, arguments: &str) -> Outcome {
    command(folder, &collector.url, arguments).output().unwrap().into()
}

fn shop() -> Folder {
    Folder::new().with("raw/orders/1.ndjson", ORDERS)
}

/// The answers to the token; heartbeats come when they come.
fn answers(collector: &Collector) -> Vec<Asked> {
    let asked = collector.asked().into_iter();
    let answers: Vec<_> = asked.filter(|asked| asked.operation() != "SendTaskHeartbeat").collect();
    assert!(answers.iter().all(|asked| asked.body["taskToken"] == TOKEN));
    answers
}

#[test]
fn o6_the_report_is_the_output() {
    let collector = Collector::start();
    let outcome = run(&shop(), &collector, "relationalize raw curated --report json");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(!outcome.stderr.contains(TOKEN), "a token is a right");
    let answers = answers(&collector);
    let [success] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(success.operation(), "SendTaskSuccess");
    assert_eq!(success.header("content-type"), "application/x-amz-json-1.0");
    let signature = success.header("authorization");
    assert!(signature.contains("/eu-central-1/states/aws4_request"), "{signature}");
    let output: Value = serde_json::from_str(success.body["output"].as_str().unwrap()).unwrap();
    assert_eq!(output, serde_json::from_str::<Value>(&outcome.stdout).unwrap());
}

#[rstest]
#[case("relationalize nowhere curated", "Solder.NoInput", "no object at `nowhere`")]
#[case("relationalize raw curated --resolve x=cast:money", "Solder.Usage", "money")]
#[case("relationalise raw curated", "Solder.Usage", "relationalise")]
#[case("relationalize bad curated --error-threshold 0", "Solder.Data", "of 1 record")]
#[case("relationalize raw raw/orders/1.ndjson/below", "Solder.Output", "1.ndjson")]
#[case("run solder.yaml", "Solder.Configuration", "solder.yaml:1:1")]
#[case("run job.yaml", "Solder.NoInput", "relationalize.a: no object at `nowhere`")]
fn o6_failures_have_names(#[case] arguments: &str, #[case] name: &str, #[case] cause: &str) {
    let collector = Collector::start();
    let folder = shop()
        .with("bad/1.ndjson", "bad\n")
        .with("solder.yaml", "nothing: 1\n")
        .with("job.yaml", "relationalize:\n  a: { input: nowhere, output: curated }\n");
    let outcome = run(&folder, &collector, arguments);
    let answers = answers(&collector);
    let [failure] = answers.as_slice() else { panic!("{answers:?} {outcome:?}") };
    assert_eq!((failure.operation(), &failure.body["error"]), ("SendTaskFailure", &json!(name)));
    let told = failure.body["cause"].as_str().unwrap();
    assert!(told.contains(cause), "{told}");
}

/// One answer for a job; its steps have no token.
#[test]
fn o6_steps_do_not_answer_for_their_job() {
    let collector = Collector::start();
    let job = "relationalize:\n  shop: { input: raw, output: curated, key: { orders: id } }\n\
               merge: { staging: curated, into: lake }\n";
    let folder = shop().with("solder.yaml", job);
    let outcome = run(&folder, &collector, "run solder.yaml --report json");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let answers = answers(&collector);
    let [success] = answers.as_slice() else { panic!("{answers:?}") };
    let output: Value = serde_json::from_str(success.body["output"].as_str().unwrap()).unwrap();
    assert_eq!(output["steps"].as_array().unwrap().len(), 2);
}

/// A command that waits for its input, and its log so far.
fn waiting(
    folder: &Folder,
    url: &str,
) -> (std::process::Child, BufReader<impl Read + use<>>, String) {
    let mut command = command(folder, url, "relationalize - curated --run-id waiting");
    command.env("SOLDER_HEARTBEAT_SECONDS", "0.05");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("entity_started") {
        assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "{log}");
    }
    (child, stderr, log)
}

#[test]
fn o6_heartbeats_come_while_it_runs() {
    // Some are lost: the run goes on.
    let collector = Collector::answering(|asked| match asked.operation() {
        "SendTaskHeartbeat" => (400, json!({ "__type": "AccessDeniedException" }).to_string()),
        _ => (200, "{}".to_owned()),
    });
    let folder = Folder::new();
    let (mut child, mut stderr, mut log) = waiting(&folder, &collector.url);
    collector.wait_for(5);
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"{\"id\":1}\n").unwrap();
    drop(child.stdin.take());
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{log}");
    assert_eq!(answers(&collector)[0].operation(), "SendTaskSuccess");
    let warnings: Vec<_> =
        log_lines(&log).into_iter().filter(|line| line["event"] == "warning").collect();
    assert_eq!(warnings.len(), 1, "told once: {log}");
}

/// The state has timed out, or was aborted: nobody waits, and the run stops as on SIGTERM.
#[rstest]
#[case("TaskTimedOut")]
#[case("TaskDoesNotExist")]
fn o6_a_run_that_nobody_waits_for_stops(#[case] code: &'static str) {
    let collector = Collector::answering(move |asked| match asked.operation() {
        "SendTaskHeartbeat" => (400, json!({ "__type": code, "message": "gone" }).to_string()),
        _ => (200, "{}".to_owned()),
    });
    let folder = Folder::new();
    let began = Instant::now();
    let mut command = command(&folder, &collector.url, "relationalize - curated");
    command.env("SOLDER_HEARTBEAT_SECONDS", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Input without end.
    let feeder = std::thread::spawn(move || {
        let line = format!("{{\"id\":\"{}\"}}\n", "x".repeat(10_000));
        while std::io::Write::write_all(&mut stdin, line.as_bytes()).is_ok() {}
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains(code), "{log}");
    assert!(folder.names("curated/_solder/manifests").is_empty(), "nothing is committed");
    assert!(answers(&collector).is_empty(), "there is nobody to answer");
    // Where the handler of signals was not there yet, the signal itself ends the program.
    assert!(matches!(output.status.code(), Some(143) | None), "{log}");
}

#[test]
fn o6_a_stopped_run_fails_its_token() {
    let collector = Collector::start();
    let folder = Folder::new();
    let (mut child, mut stderr, mut log) = waiting(&folder, &collector.url);
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"{\"id\":1}\n").unwrap();
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    drop(child.stdin.take());
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{log}");
    let answers = answers(&collector);
    assert_eq!(answers[0].body["error"], "Solder.Stopped", "{answers:?}");
    assert!(answers[0].body["cause"].as_str().unwrap().contains("SIGTERM"));
}

/// O1: nobody there to take the answer: a warning, some seconds, and the exit code of the run.
#[test]
fn o6_an_answer_that_nobody_takes() {
    let began = Instant::now();
    let outcome: Outcome =
        command(&shop(), &absent(), "relationalize raw curated").output().unwrap().into();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let last = outcome.log().pop().unwrap();
    assert_eq!((&last["event"], &last["level"]), (&json!("warning"), &json!("warn")));
    assert!(last["message"].as_str().unwrap().contains("SendTaskSuccess"), "{last}");
}

#[test]
fn o6_a_heartbeat_that_is_no_number() {
    let collector = Collector::start();
    let shop = shop();
    let mut command = command(&shop, &collector.url, "relationalize raw curated");
    let outcome: Outcome =
        command.env("SOLDER_HEARTBEAT_SECONDS", "often").output().unwrap().into();
    assert_eq!(outcome.code, 0);
    assert!(outcome.stderr.contains("SOLDER_HEARTBEAT_SECONDS"), "{outcome:?}");
    assert_eq!(answers(&collector)[0].operation(), "SendTaskSuccess");
}
