//! Any kind of stream, any changes, any deaths: the invariant holds after each.

use fastrand::Rng;
use rstest::rstest;

use crate::place::{Ended, Kind, Place, end, signal};
use crate::server::{Fault, Server};
use crate::{AFTER_COMMIT, BEFORE_COMMIT, BIG};

/// What is done in one case, at most.
const MAX_STEPS: usize = 6;

#[rstest]
fn i13_whatever_happens(#[values(0, 1, 2, 3, 4, 5)] block: u64) {
    for seed in block * 6..(block + 1) * 6 {
        eprintln!("seed {seed}");
        case(&mut Rng::with_seed(seed));
    }
}

fn case(chance: &mut Rng) {
    let kind = [Kind::Feed, Kind::Window, Kind::List][chance.usize(..3)];
    let pad_bytes = [10, BIG][chance.usize(..2)];
    let server = Server::start(chance.u64(..12), chance.usize(1..5), pad_bytes);
    let place = Place::new(kind, server);
    for step in 0..chance.usize(1..=MAX_STEPS) {
        let num_changed = chance.usize(..5);
        place.server.change((0..num_changed).map(|_| chance.u64(1..15)).collect::<Vec<_>>());
        // Sometimes a run is tried again, as those do that start it.
        let run_id = format!("run-{}", chance.usize(..=step));
        let what = chance.usize(..6);
        eprintln!("  {kind:?}: {num_changed} changed, {run_id} meets {what}");
        one_run(&place, &run_id, what, chance);
        place.committed();
    }
    place.complete("last");
    place.assert_all_committed();
}

fn one_run(place: &Place, run_id: &str, what: usize, chance: &mut Rng) {
    let request = chance.u64(1..8);
    match what {
        0 => after(place, &place.complete(run_id)),
        1 => {
            let stages: Vec<_> = BEFORE_COMMIT.into_iter().chain([AFTER_COMMIT]).collect();
            place.kill_at(stages[chance.usize(..stages.len())], run_id);
        }
        2 => {
            place.kill_at_request(request, run_id);
        }
        3 => {
            place.server.set(Fault::Break { from_request: request });
            let ended = place.run(run_id);
            place.server.set(Fault::None);
            assert!([0, 75].contains(&ended.code), "{}", ended.stderr);
            after(place, &ended);
        }
        4 => {
            let (child, is_held) = place.hold(request, run_id);
            if is_held {
                signal(&child, "TERM");
            }
            let ended = end(child);
            place.server.set(Fault::None);
            assert!([0, 143].contains(&ended.code), "{}", ended.stderr);
            after(place, &ended);
        }
        _ => {
            // Records change, and another run comes and goes, while one is under way.
            let (child, is_held) = place.hold(request, run_id);
            if is_held {
                place.server.change([chance.u64(1..15)]);
            }
            place.server.set(Fault::None);
            let other = place.run("meanwhile");
            let ended = end(child);
            for code in [other.code, ended.code] {
                assert!([0, 75].contains(&code), "{}{}", other.stderr, ended.stderr);
            }
        }
    }
}

/// A run that succeeded has seen everything, unless it had been committed before.
fn after(place: &Place, ended: &Ended) {
    if ended.code == 0 && ended.outcome() == "committed" {
        place.assert_all_committed();
    }
}
