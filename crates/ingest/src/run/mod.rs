//! The whole way: source → requests → pages → units → parts → commits.
//!
//! ```text
//!   run ──▶ streams, parents first ──▶ work.rs    partitions, walked several at a time
//!                                        │ Unit
//!                                        ▼
//!                                      sinks.rs   the task that lands them ──▶ land/
//! ```

mod sinks;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use solder_landing::Place;
use solder_landing::raw::StreamLog;
use tokio::sync::{mpsc, watch};

use self::sinks::{End, LandingSink, Parents, land, lock};
use self::work::deadline;
use crate::error::{Error, LandFailure};
use crate::http::Totals;
use crate::land::{Compression, LandError, Lander, Landing};
use crate::progress::Progress;
use crate::reach::Reach;
use crate::report::{Report, StreamOutcome, StreamReport};
use crate::source::plan::Source;
use crate::walk::{ParentRecord, Run};

pub(crate) use work::Work;

/// Units that wait to be landed while the next are read.
const UNITS_UNDER_WAY: usize = 2;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The run's id.
    pub run_id: String,
    /// Where records go.
    pub place: Place,
    /// The streams, as positions in the source.
    pub streams: Vec<usize>,
    /// How parts are compressed.
    pub compression: Compression,
    /// A part is whole with this many bytes, compressed.
    pub part_bytes: u64,
    /// Or at this age; what can be committed is, as often.
    pub part_age: Duration,
    /// Read streams anew, as if they had no state; what is read replaces what was there.
    pub is_full: bool,
}

/// A run that is asked to stop: the number of the signal, 0 before.
pub type StopSignal = watch::Receiver<i32>;

/// Runs a source: reads its streams and lands them.
///
/// Streams fail one by one; what the others have is committed. The report says how each went, and the error is
/// that of the first that failed, of those first that trying again does not mend.
pub async fn run(
    source: &Source,
    reach: &Reach,
    settings: &RunSettings,
    progress: Arc<dyn Progress>,
    stop: StopSignal,
) -> (Report, Result<(), Error>) {
    let clock = reach.clock().clone();
    let begun = clock.instant();
    let run = Run { id: settings.run_id.clone(), started: clock.now() };
    let selected = &settings.streams;
    let work = Work { source, reach, selected, run: run.clone(), stop, deadline: deadline(source) };
    let streams = Landings { work, settings, progress }.streams().await;
    let mut reports = Vec::new();
    let mut error: Option<Error> = None;
    for (report, failure) in streams {
        reports.push(report);
        error = match (error, failure) {
            (Some(known), Some(other)) if weight(&known) >= weight(&other) => Some(known),
            (known, other) => other.or(known),
        };
    }
    let elapsed = clock.instant().saturating_duration_since(begun);
    let report = Report {
        source: source.name.clone(),
        run_id: run.id,
        outcome: if error.is_some() { "failed" } else { "succeeded" },
        started_at: run.started.to_string(),
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        streams: reports,
    };
    (report, error.map_or(Ok(()), Err))
}

/// Which of several errors is the run's: a signal, else one that trying again does not mend.
fn weight(error: &Error) -> u8 {
    match error {
        Error::Stopped { .. } => 2,
        other if other.exit_code() != EXIT_RETRYABLE => 1,
        _ => 0,
    }
}

const EXIT_RETRYABLE: u8 = 75;

/// An id for a run that was given none: the time, so that ids sort, and chance.
pub fn new_run_id(now: Timestamp) -> String {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    format!("{time}-{:08x}", fastrand::u32(..))
}

/// Streams that are landed.
struct Landings<'a> {
    work: Work<'a>,
    settings: &'a RunSettings,
    progress: Arc<dyn Progress>,
}

type StreamEnd = (StreamReport, Option<Error>);

impl Landings<'_> {
    /// Runs streams generation by generation: parents before their children.
    async fn streams(&self) -> Vec<StreamEnd> {
        let mut ends: BTreeMap<usize, StreamEnd> = BTreeMap::new();
        let mut parents = Parents::new();
        // Streams that have not given all of their records.
        let mut broken = BTreeSet::new();
        let mut waiting = self.settings.streams.clone();
        while !waiting.is_empty() {
            let (ready, rest): (Vec<usize>, Vec<usize>) =
                waiting.iter().partition(|position| !self.waits(**position, &waiting));
            let (orphans, ready): (Vec<usize>, Vec<usize>) =
                ready.into_iter().partition(|position| self.is_child_of(*position, &broken));
            for position in orphans {
                let mut report = StreamReport::begun(&self.work.source.streams[position]);
                report.outcome = StreamOutcome::NotBegun;
                broken.insert(position);
                ends.insert(position, (report, None));
            }
            let mut running: FuturesUnordered<_> = ready
                .iter()
                .map(|position| {
                    let known = parents.get(position).cloned();
                    async move { (*position, self.stream(*position, known).await) }
                })
                .collect();
            while let Some((position, (end, found))) = running.next().await {
                match end.1 {
                    None => parents.extend(found),
                    Some(_) => {
                        broken.insert(position);
                    }
                }
                ends.insert(position, end);
            }
            waiting = rest;
        }
        ends.into_values().collect()
    }

    /// Whether a stream's parent is still to be run.
    fn waits(&self, position: usize, waiting: &[usize]) -> bool {
        let parent = self.work.source.streams[position].parent.as_ref();
        parent.is_some_and(|parent| waiting.contains(&parent.stream))
    }

    fn is_child_of(&self, position: usize, broken: &BTreeSet<usize>) -> bool {
        let parent = self.work.source.streams[position].parent.as_ref();
        parent.is_some_and(|parent| broken.contains(&parent.stream))
    }

    async fn stream(
        &self,
        position: usize,
        parents: Option<Vec<ParentRecord>>,
    ) -> (StreamEnd, Parents) {
        let stream = &self.work.source.streams[position];
        let name = stream.name.stream();
        let totals = Totals::default();
        let mut report = StreamReport::begun(stream);
        let outcome = self.read_and_land(position, parents, &totals, &mut report).await;
        report.num_requests = totals.num_requests.load(Ordering::Relaxed);
        report.num_retries = totals.num_retries.load(Ordering::Relaxed);
        report.num_body_bytes = totals.num_body_bytes.load(Ordering::Relaxed);
        match outcome {
            Ok(parents) => {
                self.progress.stream_ended(name, None);
                ((report, None), parents)
            }
            Err(error) => {
                let text = self.work.reach.redactor().clean(&error.to_string()).into_owned();
                self.progress.stream_ended(name, Some(&text));
                report.outcome = StreamOutcome::Failed;
                report.error = Some(text);
                ((report, Some(error)), Parents::new())
            }
        }
    }

    async fn read_and_land(
        &self,
        position: usize,
        parents: Option<Vec<ParentRecord>>,
        totals: &Totals,
        report: &mut StreamReport,
    ) -> Result<Parents, Error> {
        let stream = &self.work.source.streams[position];
        let log = StreamLog::new(&self.settings.place, &stream.name);
        let head = log.begin(&self.work.run.id).await?;
        solder_landing::pause_at("after the begin");
        report.sequence = head.sequence;
        if head.is_run_committed {
            report.outcome = StreamOutcome::AlreadyCommitted;
            return Ok(Parents::new());
        }
        let partitions = self.work.partitions(stream, parents, totals);
        let partitions = self.work.unless_ended(partitions).await?;
        report.num_partitions = partitions.len() as u64;
        self.progress.stream_started(stream.name.stream(), partitions.len());
        let states = if self.settings.is_full { BTreeMap::new() } else { head.state.clone() };
        let landing = Landing {
            compression: self.settings.compression,
            part_bytes: self.settings.part_bytes,
            part_age: self.settings.part_age,
            run: self.work.run.clone(),
            mode: if self.settings.is_full { stream.full_mode } else { stream.mode },
            clock: self.work.reach.clock().clone(),
            progress: self.progress.clone(),
        };
        let land_failed = |source| Error::Land {
            stream: stream.name.stream().to_owned(),
            source: LandFailure(Box::new(source)),
        };
        let lander =
            Lander::new(&self.settings.place, log, head, stream, landing).map_err(land_failed)?;

        let (units, incoming) = mpsc::channel(UNITS_UNDER_WAY);
        let (tell_end, end) = watch::channel(End::Open);
        let landing = tokio::spawn(land(lander, incoming, end));
        // A child of no records is told so, or it would ask for them itself.
        let children = self.work.children(position).into_iter();
        let parents = Mutex::new(children.map(|(child, _)| (child, Vec::new())).collect());
        let sink = LandingSink { units, parents, cut_short: Mutex::default() };
        let walked = self.work.walk_all(position, &partitions, &states, &sink, totals).await;
        let found = std::mem::take(&mut *lock(&sink.parents));
        for cut in std::mem::take(&mut *lock(&sink.cut_short)) {
            self.progress.cut_short(stream.name.stream(), &cut);
            report.num_cut_short += 1;
            report.num_dropped += cut.num_dropped;
        }
        let _ = tell_end.send(if walked.is_ok() { End::Complete } else { End::Broken });
        drop(sink);
        let landed = landing
            .await
            .unwrap_or_else(|_| Err(LandError::Compress(std::io::Error::other("a task broke"))));
        match (walked, landed) {
            (Ok(()), Ok(landed)) => {
                report.count(&landed);
                Ok(found)
            }
            // What landing says is the cause of what the walk says.
            (_, Err(error)) => Err(land_failed(error)),
            (Err(error), Ok(landed)) => {
                report.count(&landed);
                Err(error)
            }
        }
    }
}
