//! Where the time of a command goes (O9).
//!
//! ```text
//!   Clock ──▶ lap: what was done since the lap before ──▶ Stage, Stage, …       one behind the other, wall time
//!     └──▶ Busy ◀── threads: a block, a column of a batch, a file at a time ──▶ busy_ms of the stage
//! ```
//!
//! The clock is looked at twice for a block, a column of a batch or a file, and never for a record or a value, so that
//! it costs nothing that can be measured.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// When a command ran, and where its time went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// When it began, RFC 3339; empty where there was nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started_at: String,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Its stages, one behind the other: together they take no longer than the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

impl Times {
    /// What threads did in all stages: milliseconds, summed over the threads.
    #[must_use]
    pub fn busy_ms(&self) -> BTreeMap<Work, u64> {
        let mut sums = BTreeMap::new();
        for (work, busy_ms) in self.stages.iter().flat_map(|stage| &stage.busy_ms) {
            *sums.entry(*work).or_default() += busy_ms;
        }
        sums
    }
}

/// A stage of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// What was done.
    pub name: Phase,
    /// The table that it was done for, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Milliseconds from the start of the command to its own.
    pub started_ms: u64,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// What threads did meanwhile: milliseconds, summed over the threads.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub busy_ms: BTreeMap<Work, u64>,
}

/// What commands do, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding out what there is to do: listings, manifests, plans, logs.
    List,
    /// Reading input that has to be read once more, since only its end told what is a map (R10) or no timestamp (R12).
    Discover,
    /// From objects to Parquet files: reading, shredding, encoding.
    Transform,
    /// Bringing files that are narrower than their table to its schema (R19).
    Rewrite,
    /// Running statements and taking their rows.
    Query,
    /// Trying what is expected of rows (C3), and whether keys stand once (S4).
    Check,
    /// Finding the rows that records meet (M3, M6).
    Join,
    /// Writing the files of a table: rows that come, and those that stay in a file that is rewritten.
    Write,
    /// Waiting for another writer.
    Wait,
    /// Making it count: manifest or log, and what is tidied up behind it.
    Commit,
}

/// What threads do side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Opening objects and waiting for their bytes.
    Read,
    /// Taking their compression off.
    Decompress,
    /// Cutting bytes into records.
    Frame,
    /// Records into columns.
    Shred,
    /// Columns into Parquet pages.
    Encode,
    /// Pages into files, and waiting for the store that takes them.
    Write,
}

impl Work {
    const ALL: [Work; 6] =
        [Work::Read, Work::Decompress, Work::Frame, Work::Shred, Work::Encode, Work::Write];

    /// In one word, as reports have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Work::Read => "read",
            Work::Decompress => "decompress",
            Work::Frame => "frame",
            Work::Shred => "shred",
            Work::Encode => "encode",
            Work::Write => "write",
        }
    }
}

/// Nanoseconds, by [`Work`].
type Nanos = [u64; Work::ALL.len()];

/// How long threads were at work, summed over the threads.
#[derive(Debug, Default)]
pub struct Busy([AtomicU64; Work::ALL.len()]);

impl Busy {
    /// Adds the time of a piece of work.
    pub fn add(&self, work: Work, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[work as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    /// Does a piece of work and adds its time.
    pub fn time<T>(&self, work: Work, act: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = act();
        self.add(work, began.elapsed());
        done
    }

    /// All there is, which counts from nothing again.
    fn take(&self) -> Nanos {
        self.0.each_ref().map(|nanos| nanos.swap(0, Ordering::Relaxed))
    }
}

/// The clock of a command, from its begin on.
#[derive(Debug)]
pub struct Clock {
    started_at: jiff::Timestamp,
    began: Instant,
    busy: Arc<Busy>,
    laps: Mutex<Vec<Lap>>,
}

/// A stage, as it was measured.
#[derive(Debug, PartialEq, Eq)]
struct Lap {
    phase: Phase,
    table: Option<String>,
    from: Duration,
    to: Duration,
    busy: Nanos,
}

impl Clock {
    /// The command begins.
    #[must_use]
    pub fn start() -> Clock {
        Clock {
            started_at: jiff::Timestamp::now(),
            began: Instant::now(),
            busy: Arc::default(),
            laps: Mutex::default(),
        }
    }

    /// Where threads count what they do.
    #[must_use]
    pub fn busy(&self) -> Arc<Busy> {
        self.busy.clone()
    }

    /// What was done since the lap before was this; of two that are the same, the second goes on with the first.
    pub fn lap(&self, phase: Phase) {
        self.end(phase, None);
    }

    /// As [`Clock::lap`], for one table.
    pub fn lap_of(&self, phase: Phase, table: &str) {
        self.end(phase, Some(table));
    }

    fn end(&self, phase: Phase, table: Option<&str>) {
        let (to, busy) = (self.began.elapsed(), self.busy.take());
        let mut laps = self.laps.lock().unwrap_or_else(PoisonError::into_inner);
        push(&mut laps, phase, table, to, busy);
    }

    /// The times until now.
    #[must_use]
    pub fn times(&self) -> Times {
        let laps = self.laps.lock().unwrap_or_else(PoisonError::into_inner);
        Times {
            started_at: self.started_at.to_string(),
            duration_ms: millis(self.began.elapsed()),
            stages: laps.iter().map(Lap::stage).collect(),
        }
    }
}

fn push(laps: &mut Vec<Lap>, phase: Phase, table: Option<&str>, to: Duration, busy: Nanos) {
    let from = laps.last().map_or(Duration::ZERO, |last| last.to);
    match laps.last_mut() {
        Some(last) if last.phase == phase && last.table.as_deref() == table => {
            last.to = to;
            last.busy.iter_mut().zip(busy).for_each(|(sum, nanos)| *sum += nanos);
        }
        _ => laps.push(Lap { phase, table: table.map(str::to_owned), from, to, busy }),
    }
}

impl Lap {
    /// Begin and end are cut to milliseconds, not the time between them, so that stages have no more together than the
    /// command.
    fn stage(&self) -> Stage {
        let started_ms = millis(self.from);
        let works = Work::ALL.into_iter().zip(self.busy).filter(|(_, nanos)| *nanos > 0);
        Stage {
            name: self.phase,
            table: self.table.clone(),
            started_ms,
            wall_ms: millis(self.to) - started_ms,
            busy_ms: works.map(|(work, nanos)| (work, nanos / 1_000_000)).collect(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// O9: what goes on is one stage, and what is cut off a stage is in the next one.
    #[test]
    fn o9_stages_follow_each_other() {
        let mut laps = Vec::new();
        let at = Duration::from_micros;
        push(&mut laps, Phase::List, None, at(1_900), [0; 6]);
        push(&mut laps, Phase::Transform, None, at(3_800), [1_500_000, 0, 0, 4_000_000, 0, 0]);
        push(&mut laps, Phase::Transform, None, at(5_700), [500_000, 0, 0, 0, 0, 0]);
        push(&mut laps, Phase::Write, Some("a"), at(6_100), [0; 6]);
        push(&mut laps, Phase::Write, Some("b"), at(7_999), [0; 6]);
        let stages: Vec<Stage> = laps.iter().map(Lap::stage).collect();
        let expected = json!([
            { "name": "list", "started_ms": 0, "wall_ms": 1 },
            { "name": "transform", "started_ms": 1, "wall_ms": 4, "busy_ms": { "read": 2, "shred": 4 } },
            { "name": "write", "table": "a", "started_ms": 5, "wall_ms": 1 },
            { "name": "write", "table": "b", "started_ms": 6, "wall_ms": 1 },
        ]);
        assert_eq!(json!(stages), expected);
        assert_eq!(stages.iter().map(|stage| stage.wall_ms).sum::<u64>(), 7);
    }

    #[test]
    fn o9_a_stage_has_what_threads_did_in_it() {
        let clock = Clock::start();
        let busy = clock.busy();
        assert_eq!(busy.time(Work::Shred, || 7), 7);
        busy.add(Work::Shred, Duration::from_millis(20));
        clock.lap(Phase::Discover);
        busy.add(Work::Shred, Duration::from_millis(300));
        busy.add(Work::Read, Duration::from_millis(1));
        clock.lap(Phase::Transform);
        clock.lap(Phase::Commit);
        let times = clock.times();
        let shred = |stage: &Stage| stage.busy_ms.get(&Work::Shred).copied();
        let shred: Vec<_> = times.stages.iter().map(shred).collect();
        assert!(matches!(shred[..], [Some(20..), Some(300), None]), "{shred:?}");
        assert_eq!(times.busy_ms().into_keys().collect::<Vec<_>>(), [Work::Read, Work::Shred]);
    }

    #[test]
    fn o9_works_have_one_name() {
        let names: Vec<_> = Work::ALL.iter().map(|work| work.name()).collect();
        assert_eq!(json!(names), json!(Work::ALL));
    }
}
