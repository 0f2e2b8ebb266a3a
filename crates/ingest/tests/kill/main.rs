//! I13: whatever happens to a run, the committed manifests together hold every state of every record once, and
//! no state runs ahead of them: what a run does not commit, the next one reads.
//!
//! The program itself is run against a server that counts, and killed: at a stage of its own, where
//! `SOLDER_PAUSE_AT` holds it, or at any request, which the server holds back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod chance;
mod place;
mod server;
mod store;

use std::fs;

use place::{Kind, Place, end, signal};
use rstest::rstest;
use server::{Fault, Server};
use store::{Lost, Store};

/// The stages before the manifest exists, in order.
const BEFORE_COMMIT: [&str; 3] = ["after the begin", "after a part", "before the commit"];
const AFTER_COMMIT: &str = "after the commit";

/// Big records: with three of them, a page is a part.
const BIG: usize = 600_000;

fn small(kind: Kind) -> Place {
    Place::new(kind, Server::start(23, 3, 10))
}

fn big(kind: Kind) -> Place {
    Place::new(kind, Server::start(11, 3, BIG))
}

#[rstest]
fn i13_runs_that_nothing_happens_to(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(small, big)] place: fn(Kind) -> Place,
) {
    let place = place(kind);
    place.complete("one");
    place.assert_all_committed();
    let second = place.complete("two");
    place.assert_all_committed();
    let is_new = kind == Kind::List;
    assert_eq!(second.report["streams"][0]["num_records"] != 0, is_new, "{}", second.report);
    place.server.change([2, 3, 40, 41]);
    let third = place.complete("three");
    place.assert_all_committed();
    if kind != Kind::List {
        assert_eq!(third.report["streams"][0]["num_records"], 4);
    }
}

/// Killed at a stage, then run again under a new id or the same.
#[rstest]
fn i13_killed_at_stages(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(small, big)] place: fn(Kind) -> Place,
    #[values("again", "killed")] next_id: &str,
) {
    for stage in BEFORE_COMMIT.into_iter().chain([AFTER_COMMIT]) {
        let place = place(kind);
        assert!(place.kill_at(stage, "killed"), "{stage}");
        if stage == AFTER_COMMIT {
            assert!(!place.committed().is_empty(), "the manifest makes it count");
        } else {
            assert_eq!(place.num_commits(), 0, "{stage}");
            assert!(place.committed().is_empty(), "{stage}");
        }
        place.complete(next_id);
        place.assert_all_committed();

        place.server.change([1, 5, 50]);
        assert!(place.kill_at(stage, "killed-again"), "{stage}");
        place.committed();
        place.server.change([5, 51]);
        place.complete("last");
        place.assert_all_committed();
    }
}

/// Killed after the manifest, before the state beside it: the manifest has it too.
#[rstest]
fn i13_killed_before_the_state(#[values(Kind::Feed, Kind::Window)] kind: Kind) {
    let place = big(kind);
    assert!(place.kill_at(AFTER_COMMIT, "killed"));
    for file in place.files("state") {
        fs::remove_file(file).unwrap();
    }
    place.complete("again");
    place.assert_all_committed();
}

/// Killed at every request there is, then run again.
#[rstest]
fn i13_killed_at_requests(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values("again", "killed")] next_id: &str,
) {
    for request in 1.. {
        let place = big(kind);
        if !place.kill_at_request(request, "killed") {
            assert!(request > 4, "only {request} requests");
            break;
        }
        place.committed();
        place.server.change([2, 60]);
        place.complete(next_id);
        place.assert_all_committed();
    }
}

/// Killed after every commit: each run goes on where the one before came to.
#[rstest]
#[case::pages(Kind::Feed, 3)]
#[case::windows(Kind::Window, 2)]
fn i13_killed_again_and_again(#[case] kind: Kind, #[case] least_kills: usize) {
    let place = big(kind);
    let mut before = 0;
    for number in 1.. {
        assert!(place.kill_at(AFTER_COMMIT, &format!("killed-{number}")));
        let num_committed = place.committed().len();
        assert!(num_committed > before, "a run that begins anew never ends");
        before = num_committed;
        if num_committed == place.server.now().len() {
            assert!(number >= least_kills, "{number} kills");
            break;
        }
    }
    place.complete("last");
    place.assert_all_committed();
}

/// The server dies on a page, in all attempts: what was complete counts, and the next run goes on.
#[rstest]
fn i13_a_server_that_dies_midway(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(1, 2, 4)] from_request: u64,
    #[values("again", "broken")] next_id: &str,
) {
    let place = small(kind);
    place.server.set(Fault::Break { from_request });
    let broken = place.run("broken");
    assert_eq!(broken.code, 75, "{}", broken.stderr);
    assert_eq!(
        (&broken.report["exit_code"], &broken.report["retryable"]),
        (&75.into(), &true.into())
    );
    assert_eq!(broken.outcome(), "failed");
    let num_committed = place.committed().len() as u64;
    match kind {
        Kind::Feed => assert_eq!(num_committed, 3 * (from_request - 1), "each page counts"),
        // There are three windows, and nothing is in the first.
        Kind::Window => assert_eq!(num_committed, 0),
        Kind::List => assert_eq!(place.num_commits(), 0),
    }
    place.server.set(Fault::None);
    let again = place.complete(next_id);
    place.assert_all_committed();
    if kind == Kind::Feed {
        assert_eq!(again.report["streams"][0]["num_records"], 23 - num_committed);
    }
}

/// For a while the server has nothing, or says so: what was landed is not landed again afterwards.
#[rstest]
fn i13_a_server_that_has_nothing_for_a_while(
    #[values(Kind::Feed, Kind::Window)] kind: Kind,
    #[values(Fault::Gone { from_request: 1 }, Fault::Gone { from_request: 4 }, Fault::Empty)]
    fault: Fault,
) {
    let place = small(kind);
    if fault != Fault::Empty {
        place.server.set(fault);
        place.complete("half");
        place.server.set(Fault::None);
    }
    place.complete("one");
    place.assert_all_committed();
    for run_id in ["nothing", "nothing-again"] {
        place.server.set(fault);
        place.complete(run_id);
    }
    place.server.set(Fault::None);
    place.complete("two");
    place.assert_all_committed();
}

/// The store loses its answers to some writes: what took effect is recognised.
#[rstest]
fn i13_lost_answers(
    #[values(Kind::Feed, Kind::List)] kind: Kind,
    #[values("raw/runs/", "raw/data/", "raw/manifests/", "raw/state/")] keys: &'static str,
    #[values(Lost::Cut, Lost::Error)] lost: Lost,
) {
    let store = Store::start();
    let place = small(kind).in_store(&store);
    for run_id in ["one", "two"] {
        store.lose(keys, lost, 1);
        place.complete(run_id);
        assert!(store.has_lost() || (keys == "raw/data/" && run_id == "two"));
        place.assert_all_committed();
    }
    assert_eq!(place.num_commits(), 2);
}

/// The answer to a commit never comes: nobody knows, but it stands, and the next run goes on behind it.
#[rstest]
fn i13_answers_that_stay_lost(
    #[values(Kind::Feed, Kind::List)] kind: Kind,
    #[values("again", "one")] next_id: &str,
) {
    let store = Store::start();
    let place = small(kind).in_store(&store);
    store.lose("raw/manifests/", Lost::Error, 3);
    let ended = place.run("one");
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    assert!(store.has_lost());
    place.assert_all_committed();
    let outcome = if next_id == "one" { "already_committed" } else { "committed" };
    assert_eq!(place.complete(next_id).outcome(), outcome);
    place.assert_all_committed();
}

/// Both have begun before one commits: it wins, and of the other nothing is seen.
#[rstest]
fn i13_two_runs_at_once(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(small, big)] place: fn(Kind) -> Place,
    #[values("other", "one")] other_id: &str,
) {
    let place = place(kind);
    place.server.set(Fault::Hold { from_request: 1 });
    let (one, other) = (place.start("one"), place.start(other_id));
    assert!(place.server.wait_held(2, || false));
    place.server.set(Fault::None);
    let ended = [end(one), end(other)];
    place.assert_all_committed();

    let codes: Vec<_> = ended.iter().map(|ended| ended.code).collect();
    assert!(matches!(codes[..], [0, 75] | [75, 0]), "{ended:?}");
    let loser = ended.iter().find(|ended| ended.code == 75).unwrap();
    assert!(loser.stderr.contains("another run has committed"), "{}", loser.stderr);
    assert_eq!(loser.report["streams"][0]["num_commits"], 0);
    let num_parts: usize = place.files("data").len();
    let again = place.complete("again");
    place.assert_all_committed();
    if kind != Kind::List {
        assert_eq!(again.report["streams"][0]["num_records"], 0);
        assert_eq!(place.files("data").len(), num_parts);
        assert!(num_parts <= place.num_commits(), "the loser has left parts behind");
    }
}

/// The same id after success: nothing happens, and the API is not asked.
#[rstest]
fn i13_a_run_that_is_committed_is_not_run_again(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
) {
    let place = small(kind);
    place.complete("one");
    place.server.change([1, 99]);
    place.complete("two");
    let (committed, num_commits) = (place.committed(), place.num_commits());
    place.server.change([1, 98]);
    place.server.set(Fault::None);
    for run_id in ["one", "two", "one"] {
        assert_eq!(place.complete(run_id).outcome(), "already_committed");
    }
    assert_eq!(place.server.num_requests(), 0);
    assert_eq!((place.committed(), place.num_commits()), (committed, num_commits));
}

#[rstest]
fn i13_signals_in_the_middle(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(("TERM", 143), ("INT", 130))] (name, code): (&str, i32),
) {
    let place = small(kind);
    let (child, is_held) = place.hold(3, "stopped");
    assert!(is_held);
    let began = std::time::Instant::now();
    signal(&child, name);
    let ended = end(child);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    place.server.set(Fault::None);
    assert_eq!(ended.code, code, "{}", ended.stderr);
    assert_eq!(ended.report["exit_code"], code);
    let committed = place.committed();
    match kind {
        Kind::Feed => assert_eq!(committed.len(), 6, "two pages"),
        _ => assert!(committed.is_empty()),
    }
    assert!(place.files("data").len() <= place.num_commits(), "nothing is left behind");
    place.complete("stopped");
    place.assert_all_committed();
}

/// O7: SIGTERM at any stage ends a run within 20 s, whether the stage goes on or hangs. What it committed is whole, and
/// the next run does the rest.
#[rstest]
fn o7_stopped_at_stages(
    #[values(Kind::Feed, Kind::Window, Kind::List)] kind: Kind,
    #[values(true, false)] goes_on: bool,
) {
    std::thread::scope(|scope| {
        for stage in BEFORE_COMMIT.into_iter().chain([AFTER_COMMIT]) {
            scope.spawn(move || {
                let place = big(kind);
                let (code, took) = place.stop_at(stage, "stopped", goes_on);
                assert!(took.as_secs() < 20, "{stage}: {took:?}");
                // Behind the last page there is nothing left to stop.
                let is_over = goes_on && place.committed() == place.server.now();
                assert!(code == 143 || (is_over && code == 0), "{stage}: {code}");
                place.complete("stopped");
                place.assert_all_committed();
            });
        }
    });
}
