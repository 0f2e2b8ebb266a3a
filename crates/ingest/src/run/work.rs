//! Streams that are read: their partitions, and those of their parents.

use std::collections::BTreeMap;

use futures::stream::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::StopSignal;
use super::sinks::{ParentSink, lock};
use crate::error::Error;
use crate::http::Totals;
use crate::reach::Reach;
use crate::source::plan::{Parent, Source, Stream};
use crate::walk::{
    Budget, ParentRecord, Partition, PartitionState, Run, SliceWalk, UnitSink, WalkError, Walked,
    partitions_of,
};

/// Streams that are read.
pub(crate) struct Work<'a> {
    pub(super) source: &'a Source,
    pub(super) reach: &'a Reach,
    pub(super) selected: &'a [usize],
    pub(super) run: Run,
    pub(super) stop: StopSignal,
    /// When the run has taken too long.
    pub(super) deadline: Option<Instant>,
    /// How long it goes on, where it can be cut.
    pub(super) budget: Budget,
    /// When what has not come to a place to be cut is given up.
    pub(super) given_up_at: Option<Instant>,
}

impl<'a> Work<'a> {
    /// For who lands nothing.
    pub(crate) fn read_only(source: &'a Source, reach: &'a Reach, stop: StopSignal) -> Self {
        let run = Run { id: "stdout".to_owned(), started: reach.clock().now() };
        let (deadline, budget) = (deadline(source), Budget::new(reach.clock().clone(), None));
        Self { source, reach, selected: &[], run, stop, deadline, budget, given_up_at: None }
    }

    /// Reads a stream from its beginning to its end, into `sink`.
    pub(crate) async fn read(&self, position: usize, sink: &dyn UnitSink) -> Result<(), Error> {
        let totals = Totals::default();
        let partitions = self.partitions(&self.source.streams[position], None, &totals);
        let partitions = self.unless_ended(partitions).await?;
        let walked =
            self.walk_all(position, &partitions, &BTreeMap::new(), sink, None, &totals).await?;
        debug_assert_eq!(walked, Walked::Whole, "without a budget, nothing is cut");
        Ok(())
    }

    /// Walks partitions, several at a time; with a budget, until it is spent.
    pub(super) async fn walk_all(
        &self,
        position: usize,
        partitions: &[Partition],
        states: &BTreeMap<String, serde_json::Value>,
        sink: &dyn UnitSink,
        budget: Option<&Budget>,
        totals: &Totals,
    ) -> Result<Walked, Error> {
        let stream = &self.source.streams[position];
        let children = self.children(position);
        let walks = futures::stream::iter(partitions).map(|partition| {
            let children = &children;
            async move {
                let key = partition.key(self.reach.redactor());
                let state = states.get(&key).map(PartitionState::from_json).unwrap_or_default();
                let walk = SliceWalk { budget, ..self.slice(stream, partition, children, totals) };
                walk.walk(&state, sink).await.map_err(|error| self.failed(stream, partition, error))
            }
        });
        let all = walks
            .buffer_unordered(self.source.connection.max_concurrency)
            .try_fold(Walked::Whole, |all, one| async move {
                Ok(if one == Walked::Cut { one } else { all })
            });
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
    pub(super) fn children(&self, position: usize) -> Vec<(usize, Parent)> {
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

    pub(super) async fn partitions(
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
            let walked = walk
                .walk(&PartitionState::default(), &sink)
                .await
                .map_err(|error| self.failed(stream, partition, error))?;
            debug_assert_eq!(walked, Walked::Whole, "without a budget, nothing is cut");
        }
        Ok(std::mem::take(&mut *lock(&sink.parents)))
    }

    /// Does work for as long as the run may go on.
    pub(super) async fn unless_ended<T>(
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
        let at = async |moment: Option<Instant>| match moment {
            Some(moment) => tokio::time::sleep_until(moment).await,
            None => std::future::pending().await,
        };
        tokio::select! {
            stopped = stop.wait_for(|signal| *signal != 0) => match stopped {
                Ok(signal) => Error::Stopped { signal: *signal },
                // Nobody is left who could ask.
                Err(_) => std::future::pending().await,
            },
            () = at(self.deadline) => Error::RunTimeout,
            () = at(self.given_up_at) => Error::TimeIsOver,
        }
    }
}

/// When a run of a source that begins now has taken too long.
pub(super) fn deadline(source: &Source) -> Option<Instant> {
    source.connection.run_timeout.and_then(|timeout| Instant::now().checked_add(timeout))
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
