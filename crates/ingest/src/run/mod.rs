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
use solder_landing::raw::{Mode, StreamLog};
use tokio::sync::{mpsc, watch};

use self::sinks::{End, LandingSink, Parents, land, lock};
use self::work::deadline;
use crate::error::{Error, LandFailure};
use crate::http::Totals;
use crate::land::{Compression, LandError, Lander, Landing};
use crate::progress::Progress;
use crate::reach::Reach;
use crate::report::{Report, StreamOutcome, StreamReport};
use crate::source::document::Order;
use crate::source::plan::{Source, Stream};
use crate::walk::{Budget, ParentRecord, PartitionState, Run, Walked};

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
    /// After this long, end where the next run with this id can go on; `None` goes on to the end.
    pub stop_after: Option<Duration>,
    /// After this long, give up what has not come to such a place yet.
    pub give_up_after: Option<Duration>,
}

/// A run that is asked to stop: the number of the signal, 0 before.
pub type StopSignal = watch::Receiver<i32>;

/// Runs a source: reads its streams and lands them.
///
/// Streams fail one by one; what the others have is committed. The report says how each went, and the error is
/// that of the first that failed, of those first that trying again does not mend. A run whose time is over reports
/// that more is left; that it has committed nothing is an error.
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
    let budget = settings.stop_after.and_then(|time| begun.checked_add(time));
    let given_up_at =
        settings.give_up_after.and_then(|time| tokio::time::Instant::now().checked_add(time));
    let work = Work {
        source,
        reach,
        selected,
        run: run.clone(),
        stop,
        deadline: deadline(source),
        budget: Budget::new(clock.clone(), budget),
        given_up_at,
    };
    let ends = Landings { work, settings, progress }.streams().await;
    let mut reports = Vec::new();
    let mut error: Option<Error> = None;
    for StreamEnd { report, error: failure } in ends.into_values() {
        reports.push(report);
        error = match (error, failure) {
            (Some(known), Some(other)) if weight(&known) >= weight(&other) => Some(known),
            (known, other) => other.or(known),
        };
    }
    let elapsed = clock.instant().saturating_duration_since(begun);
    let more = reports.iter().any(|report| report.more_is_left);
    if error.is_none() && more && reports.iter().all(|report| report.num_commits == 0) {
        error = Some(no_progress(source, settings, &reports, elapsed));
    }
    let report = Report {
        source: source.name.clone(),
        run_id: run.id,
        outcome: match (&error, more) {
            (Some(_), _) => "failed",
            (None, true) => "stopped",
            (None, false) => "succeeded",
        },
        more: more && error.is_none(),
        started_at: run.started.to_string(),
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        streams: reports,
    };
    (report, error.map_or(Ok(()), Err))
}

/// The error of a run whose time is over without a commit: the next would come no further.
fn no_progress(
    source: &Source,
    settings: &RunSettings,
    reports: &[StreamReport],
    elapsed: Duration,
) -> Error {
    let left = || reports.iter().filter(|report| report.more_is_left);
    let of = |name: &str| source.streams.iter().find(|stream| stream.name.stream() == name);
    let reasons = left().map(|report| {
        let reason = of(&report.stream).map_or("", |stream| unit(stream, settings.is_full));
        format!("stream `{}` {reason}", report.stream)
    });
    Error::NoProgress {
        seconds: elapsed.as_secs(),
        reasons: reasons.collect::<Vec<_>>().join("; "),
        // An API that gave no page at all may give some later.
        is_retryable: left().all(|report| {
            report.num_pages_read == 0 && (report.num_retries > 0 || report.num_body_bytes == 0)
        }),
    }
}

/// What of a stream counts on its own, as an error says it.
fn unit(stream: &Stream, is_full: bool) -> &'static str {
    match &stream.incremental {
        None => "is committed as a whole: it has no cursor to go on from",
        Some(_) if mode(stream, is_full) == Mode::Replace => {
            "is committed as a whole: what it reads replaces what was landed"
        }
        Some(incremental) if incremental.window.is_some() => {
            "is committed window by window: a smaller `window` may fit"
        }
        Some(incremental) if incremental.order == Order::Asc => {
            "is committed page by page, and gave nothing but what was landed already: many records of one time, \
             or a long `lookback`"
        }
        Some(_) => {
            "is committed partition by partition, since its pages are in no order: with `order: asc` or `window`, \
             smaller parts of it count"
        }
    }
}

/// How the records of a run stand to those before.
fn mode(stream: &Stream, is_full: bool) -> Mode {
    if is_full { stream.full_mode } else { stream.mode }
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

/// How a stream ended.
struct StreamEnd {
    report: StreamReport,
    error: Option<Error>,
}

impl Landings<'_> {
    /// Runs streams generation by generation: parents before their children.
    async fn streams(&self) -> BTreeMap<usize, StreamEnd> {
        let mut ends: BTreeMap<usize, StreamEnd> = BTreeMap::new();
        let mut parents = Parents::new();
        // Streams that have not given all of their records, and those of them that were cut.
        let (mut broken, mut cut) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting = self.settings.streams.clone();
        while !waiting.is_empty() {
            let (ready, rest): (Vec<usize>, Vec<usize>) =
                waiting.iter().partition(|position| !self.waits(**position, &waiting));
            let is_over = self.work.budget.is_over();
            let (orphans, ready): (Vec<usize>, Vec<usize>) = ready
                .into_iter()
                .partition(|position| is_over || self.is_child_of(*position, &broken));
            for position in orphans {
                let mut report = StreamReport::begun(&self.work.source.streams[position]);
                report.outcome = StreamOutcome::NotBegun;
                report.more_is_left = is_over || self.is_child_of(position, &cut);
                broken.insert(position);
                if report.more_is_left {
                    cut.insert(position);
                }
                ends.insert(position, StreamEnd { report, error: None });
            }
            let mut running: FuturesUnordered<_> = ready
                .iter()
                .map(|position| {
                    let known = parents.get(position).cloned();
                    async move { (*position, self.stream(*position, known).await) }
                })
                .collect();
            while let Some((position, (end, found))) = running.next().await {
                match end.error.is_some() || end.report.more_is_left {
                    false => parents.extend(found),
                    true => {
                        broken.insert(position);
                    }
                }
                if end.report.more_is_left {
                    cut.insert(position);
                }
                ends.insert(position, end);
            }
            waiting = rest;
        }
        ends
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
        report.num_pages_read = totals.num_pages.load(Ordering::Relaxed);
        match outcome {
            Ok(parents) => {
                self.progress.stream_ended(name, None);
                (StreamEnd { report, error: None }, parents)
            }
            Err(Error::TimeIsOver) => {
                report.outcome = StreamOutcome::Stopped;
                report.more_is_left = true;
                self.progress.stream_stopped(name);
                (StreamEnd { report, error: None }, Parents::new())
            }
            Err(error) => {
                let text = self.work.reach.redactor().clean(&error.to_string()).into_owned();
                self.progress.stream_ended(name, Some(&text));
                report.outcome = StreamOutcome::Failed;
                report.error = Some(text);
                (StreamEnd { report, error: Some(error) }, Parents::new())
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
        let mode = mode(stream, self.settings.is_full);
        // Only what counts page by page, window by window or partition by partition can be cut.
        let can_be_cut = stream.incremental.is_some() && mode == Mode::Append;
        let budget = Some(&self.work.budget).filter(|budget| can_be_cut && budget.is_limited());
        let mut states = head.state.clone();
        if self.settings.is_full {
            // But for what this very run has read, before it was cut.
            states.retain(|_, state| {
                can_be_cut && PartitionState::from_json(state).mark_of(&self.work.run.id).is_some()
            });
        }
        let landing = Landing {
            compression: self.settings.compression,
            part_bytes: self.settings.part_bytes,
            part_age: self.settings.part_age,
            run: self.work.run.clone(),
            mode,
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
        let walked =
            self.work.walk_all(position, &partitions, &states, &sink, budget, totals).await;
        let walked = match walked {
            Ok(Walked::Cut) => Err(Error::TimeIsOver),
            other => other,
        };
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
            (Ok(_), Ok(landed)) => {
                report.count(&landed);
                self.work.budget.step();
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
