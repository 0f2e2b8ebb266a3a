//! One entity into the lake: child tables first, the root last (M6, M8).
//!
//! ```text
//!   settle ──▶ target ──▶ records ──▶ begun: begin ──▶ children ──▶ root and end
//!              as it is   (fates)  └──▶ rehearse          │ every step is one commit, which
//!                 ▲                                       │ names the run that it is of
//!                 └──────── overtaken by another ─────────┘
//!
//!   incoming: the staged rows that come      standing: rows of the root that stay, with new marks or ends
//!   commit: what a step writes into the log  begun: what to do about a merge that died
//! ```
//!
//! What becomes of a record is decided by the root as it stands, so the root must not change before the
//! children have followed. An entity with child tables therefore begins with a commit to the root that
//! says what is being merged (`solder.merging`), and ends with the one that brings the root's rows. Other
//! merges wait in between. A merge that died there is finished by the next one of its staging area, by itself
//! (`begun`): tables that have its runs already are left as they are.

mod begun;
mod children;
mod commit;
mod incoming;
mod records;
mod rehearse;
mod root;
mod settle;
mod standing;
mod target;

use std::time::{Duration, Instant};

use deltalake_core::kernel::Version;
use solder_landing::pause_at;
use solder_relationalize::clock::{Clock, Phase};

use crate::delta::Table;
use crate::error::Error;
use crate::lake::Lake;
use crate::work::Workers;

use super::fates::Matching;
use super::report::EntityReport;
use super::session::Engine;
use super::settings::{MergeSettings, Mode};
use super::staging::{StagedEntity, StagedTable, Staging};

use begun::Begun;

/// How often a merge looks again after another writer was first.
const MAX_ATTEMPTS: usize = 24;

/// One entity on its way into the lake.
#[derive(Clone)]
pub struct Merging<'a> {
    lake: &'a Lake,
    engine: &'a Engine,
    workers: &'a Workers,
    clock: &'a Clock,
    staging: &'a Staging,
    entity: &'a StagedEntity,
    root: &'a StagedTable,
    settings: &'a MergeSettings,
    matching: Matching,
    deletion_vectors: Option<bool>,
    batch: Batch,
}

/// The staged runs that are merged together.
#[derive(Clone, Debug)]
struct Batch {
    /// Those after this one,
    after: u64,
    /// up to this one,
    until: u64,
    /// whose id this is.
    run_id: String,
}

/// How far the batch has come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Nothing of it is in the lake.
    Before,
    /// A merge of it has begun: child tables may have it.
    Begun,
    /// A merge of other runs has begun, which would be taken back if this were no dry run.
    NotTakenBack,
    /// A merge of some of its runs has begun, which does not say of which: child tables may have those.
    BegunWithLess,
}

/// What an attempt came to.
enum Attempt {
    Done(Box<EntityReport>),
    /// Something that had been begun is out of the way: look again.
    Cleared,
    /// Child tables have appended rows up to a run, and the root has not.
    HalfAppended(u64),
    /// Another writer was first: look again.
    Overtaken(String),
    /// A merge of another staging area has begun, and these are its words.
    Waiting {
        run: String,
        version: Version,
    },
}

impl<'a> Merging<'a> {
    /// Settles what the settings mean for an entity.
    ///
    /// # Errors
    ///
    /// They name columns that are not there, or ask for a key where there is none.
    pub fn new(
        (lake, engine, workers, clock): (&'a Lake, &'a Engine, &'a Workers, &'a Clock),
        staging: &'a Staging,
        entity: &'a StagedEntity,
        settings: &'a MergeSettings,
    ) -> Result<Option<Merging<'a>>, Error> {
        let Some(root) = entity.root() else { return Ok(None) };
        let rule = settings.rule(&entity.name);
        let matching = settle::matching(entity, root, &rule)?;
        let deletion_vectors = rule.deletion_vectors;
        Ok(Some(Merging {
            lake,
            engine,
            workers,
            clock,
            staging,
            entity,
            root,
            settings,
            matching,
            deletion_vectors,
            batch: Batch { after: 0, until: entity.sequence, run_id: entity.run_id.clone() },
        }))
    }

    /// Merges what waits; again and again while others are first. A merge that has broken off is finished by
    /// itself before what was staged since, and reported by itself.
    ///
    /// # Errors
    ///
    /// Staging or lake cannot be read or written, or do not fit each other.
    pub async fn run(&self) -> Result<Vec<EntityReport>, Error> {
        let mut reports = Vec::new();
        let mut waited_for: Option<(Version, Instant)> = None;
        let mut attempt = 0;
        let mut half_appended = None;
        let mut overtaken = String::new();
        while attempt < MAX_ATTEMPTS {
            match self.attempt().await? {
                Attempt::Done(report) => {
                    let is_all = report.sequence >= self.entity.sequence;
                    reports.push(*report);
                    if is_all || self.settings.dry_run {
                        return Ok(reports);
                    }
                    (attempt, half_appended) = (0, None);
                }
                Attempt::Cleared => {}
                Attempt::HalfAppended(run) => {
                    // Unless another merge of the same runs ended just now.
                    if half_appended.replace(run) == Some(run) {
                        let root = self.lake.place().address(&self.entity.name);
                        return Err(Error::HalfAppended { root, run });
                    }
                }
                Attempt::Overtaken(table) => {
                    attempt += 1;
                    overtaken = table;
                    self.wait(attempt).await;
                }
                Attempt::Waiting { run, version } => {
                    let since = match waited_for {
                        Some((known, since)) if known == version => since,
                        _ => Instant::now(),
                    };
                    if since.elapsed() >= self.settings.patience {
                        let root = self.lake.place().address(&self.entity.name);
                        return Err(Error::HalfMerged { root, run });
                    }
                    waited_for = Some((version, since));
                    self.wait(3).await;
                }
            }
        }
        Err(Error::Contended { table: overtaken, attempts: MAX_ATTEMPTS })
    }

    /// Looks which runs come next, and merges them.
    async fn attempt(&self) -> Result<Attempt, Error> {
        let root = self.lake.table(&self.entity.name).await?;
        let done = self.merged(root.as_ref()).await?;
        self.clock.lap_of(Phase::List, &self.entity.name);
        let staged = Batch { after: done, ..self.batch.clone() };
        let mut run = Merging { batch: staged, ..self.clone() };
        if done >= self.entity.sequence {
            let report = EntityReport { already_merged: true, ..run.report() };
            return Ok(Attempt::Done(Box::new(report)));
        }
        let begun = root.as_ref().and_then(|root| Some((root.version(), Begun::of(root)?)));
        let mut stands = Stands::Before;
        if let Some((version, begun)) = begun {
            if begun.staging != self.staging.id {
                return Ok(Attempt::Waiting { run: begun.run, version });
            }
            let is_staged = begun.sequence.is_none_or(|run| self.entity.still_has(run));
            match run.resumed(&begun, done) {
                _ if begun.is_taken_back || !is_staged => {
                    if let (false, Some(root)) = (self.settings.dry_run, &root) {
                        let is_taken_back = self.take_back(root.clone(), begun).await?;
                        self.clock.lap_of(Phase::Commit, &self.entity.name);
                        return Ok(match is_taken_back {
                            true => Attempt::Cleared,
                            false => Attempt::Overtaken(self.entity.name.clone()),
                        });
                    }
                    stands = Stands::NotTakenBack;
                }
                Some(resumed) => (run, stands) = (resumed, Stands::Begun),
                None => stands = Stands::BegunWithLess,
            }
        }
        let mut report = run.report();
        report.resumed = matches!(stands, Stands::Begun | Stands::BegunWithLess);
        run.carry_out(root, stands, report).await
    }

    /// The report of a batch of which nothing has been done.
    fn report(&self) -> EntityReport {
        EntityReport {
            name: self.entity.name.clone(),
            mode: self.matching.mode.name(),
            sequence: self.batch.until,
            sequence_before: self.batch.after,
            sequence_staged: self.entity.sequence,
            ..EntityReport::default()
        }
    }

    /// Merges the batch into the root as it was found, and into the tables below it.
    async fn carry_out(
        &self,
        root: Option<Table>,
        stands: Stands,
        mut report: EntityReport,
    ) -> Result<Attempt, Error> {
        let root = self.target(&self.entity.name, root, Some(self.root))?;
        let children = self.children().await?;
        self.check_key_types(&root)?;
        if stands == Stands::Before
            && let Some(until) = self.half_appended(&children).await?
        {
            return Ok(Attempt::HalfAppended(until));
        }

        let session = self.engine.session(&self.entity.name);
        self.stage(&session, self.root, self.after()).await?;
        let plan = self.plan(&session, &root, &mut report).await?;
        self.clock.lap_of(Phase::Join, &self.entity.name);
        if self.settings.dry_run {
            self.rehearse(&session, &plan, &children, &root, &mut report).await?;
            return Ok(Attempt::Done(Box::new(report)));
        }
        pause_at("merge-planned");

        // Rows of an append do not depend on the root, and each table knows what it has.
        let guards = !children.is_empty() && self.matching.mode != Mode::Append;
        let root = match guards && stands == Stands::Before {
            true => {
                let begun = self.begin(root, &children).await?;
                self.clock.lap_of(Phase::Commit, &self.entity.name);
                match begun {
                    Some(root) => root,
                    None => return Ok(Attempt::Overtaken(self.entity.name.clone())),
                }
            }
            false => root,
        };
        pause_at("merge-begun");
        for child in &children {
            let committed = self.child(&session, &plan, child, stands).await?;
            match committed {
                Some(table) => report.tables.push(table),
                None => return Ok(Attempt::Overtaken(child.folder.name.clone())),
            }
            pause_at("merge-child-committed");
        }
        pause_at("merge-children-committed");
        match self.root(&session, &plan, &root, guards).await? {
            Some(table) => report.tables.push(table),
            None => return Ok(Attempt::Overtaken(self.entity.name.clone())),
        }
        pause_at("merge-root-committed");
        Ok(Attempt::Done(Box::new(report)))
    }

    /// Waits until it looks again.
    async fn wait(&self, attempt: usize) {
        pause(attempt).await;
        self.clock.lap_of(Phase::Wait, &self.entity.name);
    }

    /// Marks the entity's tables in the log (M8).
    fn app_id(&self) -> String {
        format!("solder:{}:{}", self.staging.id, self.entity.name)
    }

    /// The staged runs that come are those after this one.
    fn after(&self) -> u64 {
        match self.matching.mode {
            // All that is staged takes the place of all that is there.
            Mode::Overwrite => 0,
            _ => self.batch.after,
        }
    }
}

/// Waits longer and longer, and never as long as another who waits.
async fn pause(attempt: usize) {
    let longest = 25u64 << attempt.min(8);
    let random = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(Duration::from_millis(longest / 2 + longest * random / 512)).await;
}
