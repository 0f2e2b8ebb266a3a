//! SIGTERM and SIGINT: a run stops soon, commits nothing and leaves nothing behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::support::{Folder, log_lines};

/// A run that waits for its input, and the lines of its log so far.
fn waiting_run(folder: &Folder) -> (Child, BufReader<impl Read + use<>>, String) {
    let arguments = "relationalize - curated --block 64KiB --memory 4MiB --run-id stopped";
    let mut command = folder.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("entity_started") {
        assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "{log}");
    }
    (child, stderr, log)
}

/// Sends the signal and waits for the end.
fn stop(child: &mut Child, signal: &str) -> (i32, Duration) {
    let began = Instant::now();
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let code = child.wait().unwrap().code().expect("the program ends by itself");
    (code, began.elapsed())
}

fn assert_nothing_left(folder: &Folder) {
    assert_eq!(folder.names("curated"), ["_solder"], "no table");
    for part in ["manifests", "staging", "running", "shapes"] {
        let names = folder.names(&format!("curated/_solder/{part}"));
        assert!(names.is_empty(), "{part}: {names:?}");
    }
}

/// What those who send SIGTERM wait.
const SOON: Duration = Duration::from_secs(20);

#[rstest]
#[case("TERM", 143)]
#[case("INT", 130)]
fn a_run_in_the_middle_of_its_work(#[case] signal: &str, #[case] expected: i32) {
    let folder = Folder::new();
    let (mut child, mut stderr, mut log) = waiting_run(&folder);
    let mut stdin = child.stdin.take().unwrap();
    // What the pipe has taken is in work, but for the last few blocks: row groups are staged by then.
    let mut records = String::new();
    for number in 0..2_000 {
        let text = "x".repeat(64);
        records.push_str(&format!("{{\"id\":{number},\"items\":[{{\"a\":\"{text}\"}}]}}\n"));
    }
    for _ in 0..50 {
        stdin.write_all(records.as_bytes()).unwrap();
    }
    assert_eq!(folder.names("curated/_solder/staging"), ["stopped"], "files are staged");
    let feeder = std::thread::spawn(move || while stdin.write_all(records.as_bytes()).is_ok() {});
    let (code, took) = stop(&mut child, signal);
    feeder.join().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(code, expected, "{log}");
    assert!(took < SOON, "{took:?}");
    assert_nothing_left(&folder);
    let lines = log_lines(&log);
    let [.., error, summary] = lines.as_slice() else { panic!("{log}") };
    assert!(error["message"].as_str().unwrap().contains(&format!("SIG{signal}")));
    assert_eq!((&summary["event"], &summary["exit_code"]), (&"summary".into(), &expected.into()));
}

/// A read that does not come back keeps nobody waiting.
#[test]
fn a_run_that_waits_for_input() {
    let folder = Folder::new();
    let (mut child, _stderr, _log) = waiting_run(&folder);
    let open = child.stdin.take();
    let (code, took) = stop(&mut child, "TERM");
    drop(open);
    assert_eq!(code, 143);
    assert!(took < SOON, "{took:?}");
    assert_nothing_left(&folder);
}
