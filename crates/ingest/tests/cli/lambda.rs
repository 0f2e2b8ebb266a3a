//! The program as a function of AWS Lambda: a server that plays the runtime API, the program, and an API to read.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::api::{Answer, Asked, orders, orders_source, serve, source};
use crate::support::{Folder, Outcome};

/// The longest that a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the function said of an invocation.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Answer(Value),
    Error(Value),
}

/// A function whose process serves one invocation after the other.
struct Function {
    process: Option<Child>,
    events: Sender<(Value, Duration)>,
    said: Receiver<Said>,
}

impl Function {
    /// Starts the program in a folder, as Lambda starts `bootstrap`.
    fn start(folder: &Folder) -> Function {
        let (events, incoming) = channel::<(Value, Duration)>();
        let (tell, said) = channel();
        let (incoming, tell) = (Arc::new(Mutex::new(incoming)), Arc::new(Mutex::new(tell)));
        let address = serve(move |asked: &Asked| {
            if asked.target.ends_with("/invocation/next") {
                // Until there is one, or the test is over.
                let Ok((event, time)) = incoming.lock().unwrap().recv() else {
                    return Answer::status("500 Internal Server Error", "");
                };
                let end = SystemTime::now() + time;
                let ms = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                return Answer(
                    "200 OK",
                    vec![
                        ("lambda-runtime-aws-request-id", "request-1".to_owned()),
                        ("lambda-runtime-deadline-ms", ms.to_string()),
                        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x".to_owned()),
                    ],
                    event.to_string().into_bytes(),
                );
            }
            let body = serde_json::from_str(&asked.body).unwrap();
            let said = match asked.target.rsplit('/').next().unwrap() {
                "response" => Said::Answer(body),
                _ => Said::Error(body),
            };
            tell.lock().unwrap().send(said).unwrap();
            Answer::status("202 Accepted", "")
        });
        let process = Command::new(env!("CARGO_BIN_EXE_ingest"))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "solder-ingest")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("LAMBDA_TASK_ROOT", folder.path())
            .env("FIRST_TOKEN", "the-first-token")
            .env("SECOND_TOKEN", "the-second-token")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Function { process: Some(process), events, said }
    }

    fn invoke(&self, event: Value) -> Said {
        self.invoke_for(event, Duration::from_secs(900))
    }

    /// An invocation that may take so long.
    fn invoke_for(&self, event: Value, time: Duration) -> Said {
        self.events.send((event, time)).unwrap();
        self.said.recv_timeout(PATIENCE).expect("an answer")
    }

    #[track_caller]
    fn answer(&self, event: Value) -> Value {
        match self.invoke(event) {
            Said::Answer(answer) => answer,
            Said::Error(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn error(&self, event: Value) -> (String, String) {
        match self.invoke(event) {
            Said::Answer(answer) => panic!("{answer}"),
            Said::Error(error) => read(&error),
        }
    }

    /// Asks the process to end, and says how it went.
    fn end(mut self) -> Outcome {
        let process = self.process.take().unwrap();
        terminate(&process);
        process.wait_with_output().unwrap().into()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
        }
    }
}

fn read(error: &Value) -> (String, String) {
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (text("errorType"), text("errorMessage"))
}

fn terminate(process: &Child) {
    let status = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn records(folder: &Folder, place: &str) -> Vec<Value> {
    let files = folder.files(place).into_iter();
    let parts = files.filter(|(name, _)| name.ends_with(".ndjson.zst"));
    let mut records = Vec::new();
    for (_, bytes) in parts {
        let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
        records.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    records
}

/// Orders by time, one a page; those after `since` alone.
fn feed(asked: &Asked) -> Answer {
    let (_, rest) = asked.target.split_once("since=").unwrap_or(("", "0"));
    let since: u64 = rest.split('&').next().unwrap().parse().unwrap();
    let records = (1..=5).filter(|at| *at >= since);
    let page = usize::try_from(asked.page()).unwrap();
    let records: Vec<Value> =
        records.skip(page - 1).take(1).map(|at| json!({ "order_id": at, "at": at })).collect();
    Answer::ok(json!({ "data": records }).to_string())
}

fn feed_source(address: &str, auth: &str) -> String {
    source(address, auth)
        + "    params: { since: \"{cursor.start}\" }
    incremental: { cursor: at, format: integer, order: asc }
"
}

/// L1, L4: one process, several invocations; the answer is the report of the command line.
#[test]
fn l1_an_invocation_is_a_run() {
    let folder = Folder::new().with("sources/api.yaml", orders_source(&serve(orders)));
    let function = Function::start(&folder);
    let event = json!({ "source": "sources/api.yaml", "to": "raw", "run_id": "one" });
    let answer = function.answer(event.clone());
    assert_eq!(answer["run_id"], "one");
    assert_eq!((&answer["more"], &answer["outcome"]), (&json!(false), &json!("succeeded")));
    assert_eq!(answer["streams"][0]["num_records"], 3);
    let again = function.answer(event);
    assert_eq!(again["streams"][0]["outcome"], "already_committed");
    assert_eq!(records(&folder, "raw").len(), 3);

    let outcome = function.end();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "an idle process just ends");
    let log = outcome.log();
    assert!(log.iter().all(|line| line["request_id"] == "request-1"), "{log:?}");
    assert_eq!(log.iter().filter(|line| line["event"] == "summary").count(), 2);
}

/// L2: cut at every page, the union of the invocations is one run.
#[test]
fn l2_invocations_until_nothing_is_left() {
    let folder = Folder::new().with("api.yaml", feed_source(&serve(feed), "{ type: none }"));
    let function = Function::start(&folder);
    let event = json!({ "source": "api.yaml", "to": "raw", "run_id": "one", "stop_after": "0s" });
    let mut num_calls = 0;
    while function.answer(event.clone())["more"] == true {
        num_calls += 1;
        assert!(num_calls < 20, "each call brings a page");
    }
    assert!(num_calls >= 4, "{num_calls}");
    let landed = records(&folder, "raw");
    let ids: BTreeSet<u64> = landed.iter().map(|one| one["order_id"].as_u64().unwrap()).collect();
    assert_eq!((landed.len(), ids), (5, BTreeSet::from([1, 2, 3, 4, 5])));
}

/// L2: the invocation's own time is kept, whatever the API does; what was there in time is committed.
#[test]
fn l2_the_deadline_is_kept() {
    let slow = |asked: &Asked| {
        if asked.page() == 3 {
            std::thread::sleep(Duration::from_secs(60));
        }
        feed(asked)
    };
    let folder = Folder::new()
        .with("feed.yaml", feed_source(&serve(slow), "{ type: none }"))
        .with("whole.yaml", orders_source(&serve(slow)));
    let function = Function::start(&folder);
    let time = Duration::from_secs(3);

    let begun = std::time::Instant::now();
    let event = json!({ "source": "feed.yaml", "to": "raw", "run_id": "one" });
    let Said::Answer(answer) = function.invoke_for(event, time) else { panic!("an answer") };
    assert!(begun.elapsed() < time, "{:?}", begun.elapsed());
    assert_eq!((&answer["more"], &answer["outcome"]), (&json!(true), &json!("stopped")));
    assert_eq!(answer["streams"][0]["more_is_left"], true);
    assert_eq!(records(&folder, "raw").len(), 2);

    let event = json!({ "source": "whole.yaml", "to": "whole", "run_id": "one" });
    let Said::Error(error) = function.invoke_for(event, time) else { panic!("an error") };
    let (kind, message) = read(&error);
    assert_eq!(kind, "Solder.Exit78");
    assert!(message.contains("stream `orders` is committed as a whole"), "{message}");
    assert!(message.contains("as a job of AWS Batch"), "{message}");
    assert!(records(&folder, "whole").is_empty());
}

/// L3: the type of an error says its exit code; the process goes on.
#[test]
fn l3_errors_say_their_class() {
    let busy = serve(|_: &Asked| Answer::status("503 Service Unavailable", "later"));
    let odd = serve(|_: &Asked| Answer::ok("{\"other\":[]}"));
    let refusing = serve(|_: &Asked| Answer::status("401 Unauthorized", "no"));
    let folder = Folder::new()
        .with("busy.yaml", orders_source(&busy))
        .with("odd.yaml", orders_source(&odd))
        .with("refusing.yaml", orders_source(&refusing))
        .with("wrong.yaml", "version: 1\n")
        .with("good.yaml", orders_source(&serve(orders)));
    let function = Function::start(&folder);
    for (event, kind, words) in [
        (json!({ "source": "busy.yaml", "to": "a" }), "Solder.Exit75", "failed 2 times"),
        (json!({ "source": "odd.yaml", "to": "a" }), "Solder.Exit65", "has nothing at `records"),
        (json!({ "source": "refusing.yaml", "to": "a" }), "Solder.Exit77", "401"),
        (json!({ "source": "wrong.yaml", "to": "a" }), "Solder.Exit78", "wrong.yaml"),
        (json!({ "source": "none.yaml", "to": "a" }), "Solder.Exit66", "none.yaml"),
        (json!({ "source": "good.yaml", "place": "a" }), "Solder.Exit64", "unknown key `place`"),
        (json!("good.yaml"), "Solder.Exit64", "the event is a text"),
    ] {
        let (found, message) = function.error(event);
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(words), "{message}");
    }
    let answer = function.answer(json!({ "source": "good.yaml", "to": "a" }));
    assert_eq!(answer["outcome"], "succeeded");
}

/// L4: nothing of an invocation is known to the next: neither its secrets nor its limits.
#[test]
fn l4_invocations_share_nothing() {
    // It gives whatever token it gets, and the name of both.
    let echo = |asked: &Asked| {
        let token = asked.header("authorization").trim_start_matches("Bearer ").to_owned();
        let records = [json!({ "order_id": 1, "token": token, "note": "the-first-token" })];
        Answer::ok(
            json!({ "data": if asked.page() == 1 { &records[..] } else { &[] } }).to_string(),
        )
    };
    let address = serve(echo);
    let of = |name: &str| {
        source(&address, &format!("{{ type: bearer, token: \"${{secret:env:{name}}}\" }}"))
    };
    // One request an hour is all that this one allows, and its walk takes two.
    let slow = of("FIRST_TOKEN").replace("  retry:", "  rate_limit: { per_host: 1/h }\n  retry:");
    let folder = Folder::new()
        .with("first.yaml", of("FIRST_TOKEN"))
        .with("second.yaml", of("SECOND_TOKEN"))
        .with("slow.yaml", slow);
    let function = Function::start(&folder);
    let first = function.answer(json!({ "source": "first.yaml", "to": "first" }));
    assert_eq!(first["streams"][0]["num_redacted"], 1);
    assert!(records(&folder, "first")[0].to_string().matches("the-first-token").count() == 0);

    let event = json!({ "source": "slow.yaml", "to": "slow" });
    assert!(matches!(function.invoke_for(event, Duration::from_secs(2)), Said::Error(_)));

    // Its own secret is blanked, and a text that was one before is a text.
    let second = function.answer(json!({ "source": "second.yaml", "to": "second" }));
    assert_eq!(second["streams"][0]["num_redacted"], 1);
    let record = &records(&folder, "second")[0];
    assert_eq!(record["note"], "the-first-token");
    assert_ne!(record["token"], "the-second-token");
    let outcome = function.end();
    assert!(!outcome.stderr.contains("the-second-token"), "{}", outcome.stderr);
}

/// L4: SIGTERM in the middle commits what is there, is answered, and ends the process.
#[test]
fn l4_a_signal_in_the_middle() {
    let (reached, wait) = channel();
    let reached = Arc::new(Mutex::new(reached));
    let address = serve(move |asked: &Asked| {
        if asked.page() == 3 {
            let _ = reached.lock().unwrap().send(());
            std::thread::sleep(PATIENCE);
        }
        feed(asked)
    });
    let folder = Folder::new().with("api.yaml", feed_source(&address, "{ type: none }"));
    let function = Function::start(&folder);
    let event = json!({ "source": "api.yaml", "to": "raw", "run_id": "one" });
    function.events.send((event, Duration::from_secs(900))).unwrap();
    wait.recv_timeout(PATIENCE).unwrap();
    terminate(function.process.as_ref().unwrap());
    let Said::Error(error) = function.said.recv_timeout(PATIENCE).unwrap() else {
        panic!("an error")
    };
    assert_eq!(read(&error).0, "Solder.Exit143");
    assert_eq!(records(&folder, "raw").len(), 2);
    let mut function = function;
    let process = function.process.take().unwrap();
    assert_eq!(process.wait_with_output().unwrap().status.code(), Some(0));
}

/// L4: with a command, the program is what it always is; without what Lambda sets, it says so.
#[test]
fn l4_only_without_a_command() {
    let folder = Folder::new();
    let mut command = folder.command("schema");
    let output = command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().unwrap();
    assert!(output.status.success());
    let mut command = folder.command("");
    let output = command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().unwrap();
    let outcome = Outcome::from(output);
    assert_eq!(outcome.code, 64, "{outcome:?}");
    assert!(outcome.stderr.contains("`AWS_LAMBDA_FUNCTION_NAME` is not"), "{outcome:?}");
}

/// I15 on the command line: exit code 0, words for people, and the same command goes on.
#[test]
fn i15_a_cut_run_on_the_command_line() {
    let folder = Folder::new().with("api.yaml", feed_source(&serve(feed), "{ type: none }"));
    let run = "run api.yaml --to raw --run-id one --stop-after 0s --log text";
    let outcome = folder.ingest(run);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stdout.contains("committed up to 1; more is left"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("with `--run-id one` goes on from here"), "{}", outcome.stdout);
    let outcome = folder.ingest("run api.yaml --to raw --run-id one --report json");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&report["more"], &report["outcome"]), (&json!(false), &json!("succeeded")));
    assert_eq!(records(&folder, "raw").len(), 5);
}
