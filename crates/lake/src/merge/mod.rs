//! Staged runs into Delta tables (M1 to M11).
//!
//! ```text
//!   curated/ ──▶ staging ──▶ entity/ ──▶ fates: newest, met ──▶ apply: rewrite, new files ──▶ commit
//!                runs that   children               ▲                                         lake/
//!                wait        first, root last       └── scan: only files that may hold a key
//! ```
//!
//! The statements are SQL and stand in `sql/merge/`; files are read and written by `files/`.

mod align;
mod apply;
mod entity;
mod fates;
mod history;

mod keys;

mod report;
mod rewrite;
mod scan;
mod section;
mod session;
mod settings;
mod staging;

use std::sync::Arc;

use solder_relationalize::Io;
use solder_relationalize::clock::{Clock, Phase};

use crate::error::Error;
use crate::expect::expect;
use crate::lake::Lake;
use crate::maintain::Finding;
use crate::sql::SqlSettings;
use crate::work::Workers;

pub(crate) use align::Alignment;
pub(crate) use apply::{Apply, Going, SMALL_FILE_BYTES};

pub use report::{EntityReport, MergeReport, Metrics, TableReport};
pub use section::{MergeSection, TableSection};
pub(crate) use session::{Engine, Session, Statement, quoted};
pub use settings::{MergeSettings, Mode, ModeError, Rule};

pub(crate) use staging::{SEQUENCE, StagedEntity, StagedTable, Staging};

use entity::Merging;

/// Merges every committed run that waits, entity by entity.
///
/// # Errors
///
/// Staging or lake cannot be read or written, or do not fit each other. Entities before the one that
/// failed are merged; of that one, every table is as it was or as the merge wants it, and the same call
/// goes on from there.
pub fn merge(io: &Arc<Io>, settings: &MergeSettings) -> Result<MergeReport, Error> {
    let clock = Clock::start();
    let staging = Staging::read(io, &settings.staging, &settings.tables)?;
    clock.lap(Phase::List);
    let findings = check_staged(io, settings)?;
    if !settings.expectations.is_empty() {
        clock.lap(Phase::Check);
    }
    let lake = Lake::open(&settings.lake)?;
    let mounts = [&staging.mount, lake.mount()];
    let engine = Engine::new(settings.memory_bytes, settings.threads, &mounts)?;
    let entities = io.wait(async {
        if !settings.dry_run {
            lake.check_store().await?;
        }
        merge_staged(&lake, &engine, &staging, settings, &clock).await
    })?;
    let times = clock.times();
    Ok(MergeReport { dry_run: settings.dry_run, findings, entities, times })
}

/// What is expected of the staged rows and does not hold, when none of it is a failure (C3).
///
/// # Errors
///
/// One is, or an expectation cannot be tried.
fn check_staged(io: &Arc<Io>, settings: &MergeSettings) -> Result<Vec<Finding>, Error> {
    let place = SqlSettings {
        curated: Some(settings.staging.clone()),
        memory_bytes: settings.memory_bytes,
        threads: settings.threads,
        ..SqlSettings::default()
    };
    let report = expect(io, &place, &settings.expectations)?;
    report.outcome()?;
    Ok(report.findings)
}

/// Merges what is staged, into a lake whose store has been checked.
///
/// # Errors
///
/// As [`merge`].
pub(crate) async fn merge_staged(
    lake: &Lake,
    engine: &Engine,
    staging: &Staging,
    settings: &MergeSettings,
    clock: &Clock,
) -> Result<Vec<EntityReport>, Error> {
    let workers = Workers::new(settings.threads);
    // Before any of them is merged, so that a missing key of one leaves the others as they are.
    let parts = (lake, engine, &workers, clock);
    let entities = staging.entities.iter();
    let mergings = entities.map(|entity| Merging::new(parts, staging, entity, settings));
    let mut reports = Vec::new();
    for merging in mergings.collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        reports.extend(merging.run().await?);
    }
    Ok(reports)
}
