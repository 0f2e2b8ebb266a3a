//! The whole way: source → requests → pages → units → parts → commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use jiff::Timestamp;
use solder_landing::Place;
use solder_landing::raw::StreamLog;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::error::{Error, LandFailure};
use crate::http::Totals;
use crate::land::{Compression, LandError, Landed, Lander, Landing};
use crate::progress::Progress;
use crate::reach::Reach;
use crate::report::{Report, StreamOutcome, StreamReport};
use crate::source::plan::{Parent, Source, Stream};
use crate::walk::{
    ParentRecord, Partition, PartitionState, Run, SliceWalk, Unit, UnitSink, WalkError,
    partitions_of,
};

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
    /// Read streams anew, as if they had no state.
    pub is_full: bool,
}

/// A run that is asked to stop: the number of the signal, 0 before.
pub type StopSignal = watch::Receiver<i32>;

/// Runs a source: reads its streams and lands them.
///
/// Streams fail one by one; what the others have is committed. The report says how each went, and the error is
/// that of the first that failed.
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
    let mut first_error = None;
    for (report, error) in streams {
        reports.push(report);
        first_error = first_error.or(error);
    }
    let elapsed = clock.instant().saturating_duration_since(begun);
    let report = Report {
        source: source.name.clone(),
        run_id: run.id,
        outcome: if first_error.is_some() { "failed" } else { "succeeded" },
        started_at: run.started.to_string(),
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        streams: reports,
    };
    (report, first_error.map_or(Ok(()), Err))
}

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

/// Streams that are read.
pub(crate) struct Work<'a> {
    source: &'a Source,
    reach: &'a Reach,
    selected: &'a [usize],
    run: Run,
    stop: StopSignal,
    /// When the run has taken too long.
    deadline: Option<Instant>,
}

type StreamEnd = (StreamReport, Option<Error>);

/// The records of parents that their children need, by the child's position.
type Parents = BTreeMap<usize, Vec<ParentRecord>>;

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
                let mut report = empty_report(&self.work.source.streams[position]);
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
        let mut report = empty_report(stream);
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
        crate::pause::pause_at("after the begin");
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
        let sink = LandingSink { units, parents };
        let walked = self.work.walk_all(position, &partitions, &states, &sink, totals).await;
        let found = std::mem::take(&mut *lock(&sink.parents));
        let _ = tell_end.send(if walked.is_ok() { End::Complete } else { End::Broken });
        drop(sink);
        let landed = landing
            .await
            .unwrap_or_else(|_| Err(LandError::Compress(std::io::Error::other("a task broke"))));
        match (walked, landed) {
            (Ok(()), Ok(landed)) => {
                take_counts(report, &landed);
                Ok(found)
            }
            // What landing says is the cause of what the walk says.
            (_, Err(error)) => Err(land_failed(error)),
            (Err(error), Ok(landed)) => {
                take_counts(report, &landed);
                Err(error)
            }
        }
    }
}

impl<'a> Work<'a> {
    /// For who lands nothing.
    pub(crate) fn read_only(source: &'a Source, reach: &'a Reach, stop: StopSignal) -> Self {
        let run = Run { id: "stdout".to_owned(), started: reach.clock().now() };
        Self { source, reach, selected: &[], run, stop, deadline: deadline(source) }
    }

    /// Reads a stream from its beginning to its end, into `sink`.
    pub(crate) async fn read(&self, position: usize, sink: &dyn UnitSink) -> Result<(), Error> {
        let totals = Totals::default();
        let partitions = self.partitions(&self.source.streams[position], None, &totals);
        let partitions = self.unless_ended(partitions).await?;
        self.walk_all(position, &partitions, &BTreeMap::new(), sink, &totals).await
    }

    /// Walks partitions, several at a time.
    async fn walk_all(
        &self,
        position: usize,
        partitions: &[Partition],
        states: &BTreeMap<String, serde_json::Value>,
        sink: &dyn UnitSink,
        totals: &Totals,
    ) -> Result<(), Error> {
        let stream = &self.source.streams[position];
        let children = self.children(position);
        let walks = futures::stream::iter(partitions).map(|partition| {
            let children = &children;
            async move {
                let key = partition.key(self.reach.redactor());
                let state = states.get(&key).map(PartitionState::from_json).unwrap_or_default();
                let walk = self.slice(stream, partition, children, totals);
                walk.walk(&state, sink).await.map_err(|error| self.failed(stream, partition, error))
            }
        });
        let all = walks
            .buffer_unordered(self.source.connection.max_concurrency)
            .try_for_each(|()| async { Ok(()) });
        self.unless_ended(all).await
    }

    fn failed(&self, stream: &Stream, partition: &Partition, error: WalkError) -> Error {
        Error::walk(stream, partition.key(self.reach.redactor()), error)
    }

    fn slice<'s>(
        &'s self,
        stream: &'s Stream,
        partition: &'s Partition,
        children: &'s [(usize, Parent)],
        totals: &'s Totals,
    ) -> SliceWalk<'s> {
        self.reach.slice(self.source, stream, partition, &self.run, children, totals)
    }

    /// The selected streams whose parent this one is.
    fn children(&self, position: usize) -> Vec<(usize, Parent)> {
        let selected = self.selected.iter();
        selected
            .filter_map(|child| {
                let parent = self.source.streams[*child].parent.as_ref()?;
                (parent.stream == position && self.gives_all(position))
                    .then(|| (*child, parent.clone()))
            })
            .collect()
    }

    /// Whether landing a stream meets all of its records, not only what is new.
    fn gives_all(&self, position: usize) -> bool {
        self.source.streams[position].incremental.is_none()
    }

    async fn partitions(
        &self,
        stream: &Stream,
        parents: Option<Vec<ParentRecord>>,
        totals: &Totals,
    ) -> Result<Vec<Partition>, Error> {
        let parents = match (&stream.parent, parents) {
            (None, _) => None,
            (Some(_), Some(parents)) => Some(distinct(parents)),
            // The parent is not among the streams of this run, or gives only what is new.
            (Some(parent), None) => Some(distinct(self.read_parents(parent, totals).await?)),
        };
        Ok(partitions_of(stream, parents.as_deref()))
    }

    /// Reads all of a parent's records, only for what children need of them.
    async fn read_parents(
        &self,
        parent: &Parent,
        totals: &Totals,
    ) -> Result<Vec<ParentRecord>, Error> {
        let stream = &self.source.streams[parent.stream];
        let partitions = Box::pin(self.partitions(stream, None, totals)).await?;
        let child = [(0, parent.clone())];
        let sink = ParentSink::default();
        for partition in &partitions {
            let walk = self.slice(stream, partition, &child, totals);
            walk.walk(&PartitionState::default(), &sink)
                .await
                .map_err(|error| self.failed(stream, partition, error))?;
        }
        Ok(std::mem::take(&mut *lock(&sink.parents)))
    }

    /// Does work for as long as the run may go on.
    async fn unless_ended<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            outcome = work => outcome,
            error = self.ended() => Err(error),
        }
    }

    /// Waits until the run is asked to stop, or has taken too long.
    async fn ended(&self) -> Error {
        let mut stop = self.stop.clone();
        let timeout = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stopped = stop.wait_for(|signal| *signal != 0) => match stopped {
                Ok(signal) => Error::Stopped { signal: *signal },
                // Nobody is left who could ask.
                Err(_) => std::future::pending().await,
            },
            () = timeout => Error::RunTimeout,
        }
    }
}

/// When a run of a source that begins now has taken too long.
fn deadline(source: &Source) -> Option<Instant> {
    source.connection.run_timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// How a walk has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Broken,
}

/// Lands units until the walk is over.
async fn land(
    mut lander: Lander,
    mut incoming: mpsc::Receiver<Unit>,
    end: watch::Receiver<End>,
) -> Result<Landed, LandError> {
    while let Some(unit) = incoming.recv().await {
        lander.take(unit).await?;
    }
    let is_complete = *end.borrow() == End::Complete;
    if is_complete { lander.finish().await } else { lander.stop().await }
}

/// Hands units to the task that lands them.
struct LandingSink {
    units: mpsc::Sender<Unit>,
    parents: Mutex<Parents>,
}

#[async_trait]
impl UnitSink for LandingSink {
    async fn take(&self, mut unit: Unit) -> Result<(), WalkError> {
        for (child, record) in unit.records.parents.drain(..) {
            lock(&self.parents).entry(child).or_default().push(record);
        }
        self.units.send(unit).await.map_err(|_| WalkError::Landing)
    }
}

/// Keeps what children need, and nothing else.
#[derive(Default)]
struct ParentSink {
    parents: Mutex<Vec<ParentRecord>>,
}

#[async_trait]
impl UnitSink for ParentSink {
    async fn take(&self, unit: Unit) -> Result<(), WalkError> {
        lock(&self.parents).extend(unit.records.parents.into_iter().map(|(_, record)| record));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds it can panic halfway.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Parents whose fields differ: requests for equal ones would be the same.
fn distinct(mut parents: Vec<ParentRecord>) -> Vec<ParentRecord> {
    let mut seen = std::collections::HashSet::new();
    parents.retain(|record| {
        let values: Vec<_> = record.iter().map(|(_, value)| value.clone()).collect();
        seen.insert(values)
    });
    parents
}

fn empty_report(stream: &Stream) -> StreamReport {
    StreamReport {
        stream: stream.name.stream().to_owned(),
        outcome: StreamOutcome::Committed,
        error: None,
        num_partitions: 0,
        num_requests: 0,
        num_retries: 0,
        num_pages: 0,
        num_records: 0,
        num_repeated: 0,
        num_older: 0,
        num_redacted: 0,
        num_body_bytes: 0,
        num_files: 0,
        num_file_bytes: 0,
        num_commits: 0,
        sequence: 0,
    }
}

fn take_counts(report: &mut StreamReport, landed: &Landed) {
    report.num_pages = landed.num_pages;
    report.num_records = landed.num_records;
    report.num_repeated = landed.oddities.num_repeated;
    report.num_older = landed.oddities.num_older;
    report.num_redacted = landed.oddities.num_redacted;
    report.num_files = landed.num_files;
    report.num_file_bytes = landed.num_bytes;
    report.num_commits = landed.num_commits;
    report.sequence = landed.sequence;
}
