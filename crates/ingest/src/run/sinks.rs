//! Where units go: to the task that lands them, or nowhere.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::land::{LandError, Landed, Lander};
use crate::progress::CutShort;
use crate::walk::{ParentRecord, Unit, UnitSink, WalkError};

/// The records of parents that their children need, by the child's position.
pub(super) type Parents = BTreeMap<usize, Vec<ParentRecord>>;

/// How a walk has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Complete,
    Broken,
}

/// Lands units until the walk is over.
pub(super) async fn land(
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
pub(super) struct LandingSink {
    pub(super) units: mpsc::Sender<Unit>,
    pub(super) parents: Mutex<Parents>,
    pub(super) cut_short: Mutex<Vec<CutShort>>,
}

#[async_trait]
impl UnitSink for LandingSink {
    async fn take(&self, mut unit: Unit) -> Result<(), WalkError> {
        for (child, record) in unit.records.parents.drain(..) {
            lock(&self.parents).entry(child).or_default().push(record);
        }
        self.units.send(unit).await.map_err(|_| WalkError::Landing)
    }

    fn cut_short(&self, cut: CutShort) {
        lock(&self.cut_short).push(cut);
    }
}

/// Keeps what children need, and nothing else.
#[derive(Default)]
pub(super) struct ParentSink {
    pub(super) parents: Mutex<Vec<ParentRecord>>,
}

#[async_trait]
impl UnitSink for ParentSink {
    async fn take(&self, unit: Unit) -> Result<(), WalkError> {
        lock(&self.parents).extend(unit.records.parents.into_iter().map(|(_, record)| record));
        Ok(())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds it can panic halfway.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
