//! One entity into the lake: child tables first, the root last (M6, M8).
//!
//! ```text
//!   look at the root ──▶ plan ──▶ begin ──▶ child, child, … ──▶ root and end
//!        ▲                          │  every step is one commit, and each names the run it is of
//!        └── overtaken by another ──┘
//! ```
//!
//! What becomes of a record is decided by the root as it stands, so the root must not change before the
//! children have followed. An entity with child tables therefore begins with a commit to the root that
//! says which run is being merged (`solder.merging`), and ends with the one that brings the root's rows.
//! Other merges wait in between. A merge that died there is taken up by the next one of its staging area:
//! tables that have the run already are left as they are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use deltalake_core::kernel::Version;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use solder_relationalize::curated::DataFile;
use solder_relationalize::pause_at;
use solder_relationalize::relation::{Column, Role, Table as StagedLayout, arrow_schema};
use solder_relationalize::shape::ColumnType;

use crate::delta::{Change, Evolution, Operation, Outcome, Table, commit, schema};
use crate::error::Error;
use crate::files::{BoxedRows, Encoder, FILE_BYTES, Source, write_file};
use crate::lake::{Lake, TableFolder};
use crate::work::Workers;

use super::align::Alignment;
use super::apply::{Apply, Going, by_file, with_updates};
use super::plan::{Fates, Matching, places, sources};
use super::report::{EntityReport, Metrics, TableReport};
use super::scan::Scan;
use super::session::{self, Engine, Session, quoted};
use super::settings::{MergeSettings, Mode, Rule};
use super::staging::{SEQUENCE, StagedEntity, StagedTable, Staging};

/// How often a merge looks again after another writer was first.
const MAX_ATTEMPTS: usize = 24;

/// One entity on its way into the lake.
pub struct Merging<'a> {
    lake: &'a Lake,
    engine: &'a Engine,
    workers: &'a Workers,
    staging: &'a Staging,
    entity: &'a StagedEntity,
    root: &'a StagedTable,
    settings: &'a MergeSettings,
    matching: Matching,
    deletion_vectors: Option<bool>,
}

/// A table of the entity: as it is staged, as it is in the lake, as it will be.
struct Target<'a> {
    folder: TableFolder,
    table: Option<Table>,
    staged: Option<&'a StagedTable>,
    evolution: Evolution,
    /// From the columns that it has now.
    own: Alignment,
    /// From the staged columns.
    incoming: Alignment,
}

/// What an attempt came to.
enum Attempt {
    Done(Box<EntityReport>),
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
        (lake, engine, workers): (&'a Lake, &'a Engine, &'a Workers),
        staging: &'a Staging,
        entity: &'a StagedEntity,
        settings: &'a MergeSettings,
    ) -> Result<Option<Merging<'a>>, Error> {
        let Some(root) = entity.root() else { return Ok(None) };
        let rule = settings.rule(&entity.name);
        let matching = matching(entity, root, &rule)?;
        let deletion_vectors = rule.deletion_vectors;
        Ok(Some(Merging {
            lake,
            engine,
            workers,
            staging,
            entity,
            root,
            settings,
            matching,
            deletion_vectors,
        }))
    }

    /// Merges what waits; again and again while others are first.
    ///
    /// # Errors
    ///
    /// Staging or lake cannot be read or written, or do not fit each other.
    pub async fn run(&self) -> Result<EntityReport, Error> {
        let mut waited_for: Option<(Version, Instant)> = None;
        let mut attempt = 0;
        let mut overtaken = String::new();
        while attempt < MAX_ATTEMPTS {
            match self.attempt().await? {
                Attempt::Done(report) => return Ok(*report),
                Attempt::Overtaken(table) => {
                    attempt += 1;
                    overtaken = table;
                    pause(attempt).await;
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
                    pause(3).await;
                }
            }
        }
        Err(Error::Contended { table: overtaken, attempts: MAX_ATTEMPTS })
    }

    async fn attempt(&self) -> Result<Attempt, Error> {
        let root = self.lake.table(&self.entity.name).await?;
        let done = match &root {
            Some(root) => root.transaction(&self.app_id()).await?,
            None => None,
        };
        let done = done.and_then(|done| u64::try_from(done).ok()).unwrap_or(0);
        let mut report = EntityReport {
            name: self.entity.name.clone(),
            mode: self.matching.mode.name(),
            sequence: self.entity.sequence,
            sequence_before: done,
            ..EntityReport::default()
        };
        if done >= self.entity.sequence {
            report.already_merged = true;
            return Ok(Attempt::Done(Box::new(report)));
        }
        let begun = root.as_ref().and_then(merging);
        if let (Some((staging, run)), Some(root)) = (&begun, &root)
            && *staging != self.staging.id
        {
            return Ok(Attempt::Waiting { run: run.clone(), version: root.version() });
        }
        let root = self.target(&self.entity.name, root, Some(self.root))?;
        let children = self.children().await?;
        self.check_key_types(&root)?;

        let session = self.engine.session(&self.entity.name);
        let batch = self.batch(done);
        self.stage(&session, self.root, batch).await?;
        let plan = self.plan(&session, &root, &mut report).await?;
        if self.settings.dry_run {
            self.rehearse(&session, &plan, &children, &root, done, &mut report).await?;
            return Ok(Attempt::Done(Box::new(report)));
        }
        pause_at("merge-planned");

        // Rows of an append do not depend on the root, and each table knows what it has.
        let guards = !children.is_empty() && self.matching.mode != Mode::Append;
        let root = match guards && begun.is_none() {
            true => match self.begin(root).await? {
                Some(root) => root,
                None => return Ok(Attempt::Overtaken(self.entity.name.clone())),
            },
            false => root,
        };
        pause_at("merge-begun");
        for child in &children {
            let committed = self.child(&session, &plan, child, done, begun.is_some()).await?;
            match committed {
                Some(table) => report.tables.push(table),
                None => return Ok(Attempt::Overtaken(child.folder.name.clone())),
            }
            pause_at("merge-child-committed");
        }
        pause_at("merge-children-committed");
        match self.root(&session, &plan, &root, guards, done).await? {
            Some(table) => report.tables.push(table),
            None => return Ok(Attempt::Overtaken(self.entity.name.clone())),
        }
        pause_at("merge-root-committed");
        Ok(Attempt::Done(Box::new(report)))
    }

    /// Marks the entity's tables in the log (M8).
    fn app_id(&self) -> String {
        format!("solder:{}:{}", self.staging.id, self.entity.name)
    }

    /// Whether rows of a table are deleted by marking them.
    fn marks_rows(&self, target: &Target<'_>) -> bool {
        let has = || target.table.as_ref().is_some_and(Table::has_deletion_vectors);
        self.deletion_vectors.unwrap_or_else(has)
    }

    /// The staged runs of the batch are those after this one.
    fn batch(&self, done: u64) -> u64 {
        match self.matching.mode {
            // All that is staged takes the place of all that is there.
            Mode::Overwrite => 0,
            _ => done,
        }
    }

    /// A table of the entity with its columns now and then.
    fn target(
        &self,
        name: &str,
        table: Option<Table>,
        staged: Option<&'a StagedTable>,
    ) -> Result<Target<'a>, Error> {
        let folder = self.lake.folder(name)?;
        let mut incoming = staged.map(|staged| staged.columns.clone()).unwrap_or_default();
        if staged.is_some_and(|staged| staged.parent.is_none()) {
            incoming.extend(self.matching.soft_delete.as_deref().map(marker));
        }
        let (own, evolution) = match &table {
            Some(table) => {
                table.check_writable(self.matching.mode != Mode::Append)?;
                let own = schema::columns(table)?;
                let evolution = schema::evolve(name, &own, &incoming)?;
                (own, evolution)
            }
            None => (Vec::new(), Evolution::of_new(incoming.clone())),
        };
        Ok(Target {
            own: Alignment::new(name, &own, &evolution.columns),
            incoming: Alignment::new(name, &incoming, &evolution.columns),
            folder,
            table,
            staged,
            evolution,
        })
    }

    /// The child tables: the staged ones, and those that only the lake has, whose rows must go with
    /// their roots all the same.
    async fn children(&self) -> Result<Vec<Target<'a>>, Error> {
        let mut children = Vec::new();
        for staged in self.entity.tables.iter().skip(1) {
            let table = self.lake.table(&staged.name).await?;
            children.push(self.target(&staged.name, table, Some(staged))?);
        }
        let is_staged = |name: &str| self.entity.tables.iter().any(|staged| staged.name == name);
        for table in self.lake.children(&self.entity.name, |name| !is_staged(name)).await? {
            let name = table.name().to_owned();
            children.push(self.target(&name, Some(table), None)?);
        }
        Ok(children)
    }

    /// A key that changes its type would match nothing: better said than done.
    fn check_key_types(&self, root: &Target<'_>) -> Result<(), Error> {
        let is_key = |name: &String| self.matching.key.contains(name);
        let changed = root.evolution.widened.iter().find(|widening| is_key(&widening.to.name));
        let narrower = |column: &&Column| {
            let staged = self.root.columns.iter().find(|staged| staged.name == column.name);
            is_key(&column.name)
                && staged.is_some_and(|staged| staged.column_type != column.column_type)
        };
        let (from, to) = match changed {
            Some(widening) => (&widening.from, &widening.to),
            None => match root.evolution.columns.iter().find(narrower) {
                Some(column) => (column, column),
                None => return Ok(()),
            },
        };
        let staged = self.root.columns.iter().find(|staged| staged.name == to.name);
        Err(Error::Types {
            table: self.entity.name.clone(),
            column: to.name.clone(),
            path: to.path.to_string(),
            target: from.column_type.to_string(),
            staged: staged.map(|staged| staged.column_type.to_string()).unwrap_or_default(),
        })
    }

    /// Makes the staged rows of a table, of runs after `done`, the session's table `staged`.
    async fn stage(&self, session: &Session, table: &StagedTable, done: u64) -> Result<(), Error> {
        let files: Vec<&DataFile> = table.files_after(done);
        let place = (&self.staging.place, &self.staging.mount);
        session.add_files("staged", place, staged_schema(table), &files).await
    }

    /// Decides what becomes of the batch's records.
    async fn plan(
        &self,
        session: &Session,
        root: &Target<'_>,
        report: &mut EntityReport,
    ) -> Result<Plan, Error> {
        let files = self.root.files.iter();
        let in_batch = |file: &&DataFile| {
            self.matching.mode == Mode::Overwrite || file.sequence > report.sequence_before
        };
        report.num_records = files.filter(in_batch).map(|file| file.num_rows).sum();
        if self.matching.key.is_empty() || self.matching.mode == Mode::Append {
            return Ok(Plan { fates: None, scan: None, takes_all: true });
        }
        self.set_keyless_aside(session, report).await?;
        let newest = self.matching.newest(session).await?;
        let met = match self.matching.mode {
            Mode::Overwrite => None,
            _ => root.table.as_ref(),
        };
        let (fates, scan) =
            self.matching.fates(session, &newest, met, self.workers.threads()).await?;
        report.num_records_superseded =
            report.num_records.saturating_sub(newest.num_records + report.num_records_quarantined);
        report.num_records_late = fates.count("late");
        report.num_deletes_absent = fates.count("absent");
        let takes_all = fates.count("insert") == report.num_records;
        Ok(Plan { fates: Some(fates), scan, takes_all })
    }

    /// Keeps the staged rows without their key in the lake's `_quarantine/` (M3). Of a key that
    /// relationalize was told, there are none: it has set them aside itself.
    async fn set_keyless_aside(
        &self,
        session: &Session,
        report: &mut EntityReport,
    ) -> Result<(), Error> {
        if self.matching.key == self.entity.key {
            return Ok(());
        }
        let has_key = self.matching.has_key();
        let rows = session.stream(session::KEYLESS, &[("has_key", &has_key)]).await?;
        if self.settings.dry_run {
            let batches = rows.map_ok(|batch| batch.num_rows() as u64);
            report.num_records_quarantined =
                batches.try_fold(0, |sum, rows| async move { Ok(sum + rows) }).await?;
            return Ok(());
        }
        let encoder = Encoder::new(&staged_schema(self.root))
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let folder = self.lake.folder(&format!("_quarantine/{}", self.entity.name))?;
        // The same merge again writes the same file again.
        let name = format!("{}-{}.parquet", self.staging.id, self.entity.sequence);
        report.num_records_quarantined =
            write_file(&folder, &name, &encoder, self.workers, rows).await?;
        if report.num_records_quarantined > 0 {
            report.quarantine = Some(folder.place.address(&name));
        }
        Ok(())
    }

    /// Says in the root's log that the run is being merged; `None` when another was first.
    async fn begin(&self, root: Target<'a>) -> Result<Option<Target<'a>>, Error> {
        let words = json!({ "staging": self.staging.id, "run": self.entity.run_id });
        let columns = match &root.table {
            // Its columns change with its rows.
            Some(table) => schema::columns(table)?,
            None => root.evolution.columns.clone(),
        };
        let mut properties = self.properties(&root);
        properties.push((schema::MERGING.to_owned(), words.to_string()));
        let change = Change {
            columns: Some(columns),
            properties,
            operation: Operation::Begin,
            origin: self.origin(),
            ..Change::default()
        };
        match commit(&root.folder, root.table.as_ref(), change).await? {
            Outcome::Overtaken => Ok(None),
            Outcome::Committed(_) => {
                let table = self.lake.table(&self.entity.name).await?;
                // Whoever is faster still has to be of this staging area, and then all is the same.
                match table.as_ref().and_then(merging) {
                    Some((staging, _)) if staging == self.staging.id => {
                        self.target(&self.entity.name, table, root.staged).map(Some)
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// Brings a child table to the state of the surviving roots (M6); `None` when overtaken.
    async fn child(
        &self,
        session: &Session,
        plan: &Plan,
        child: &Target<'_>,
        done: u64,
        is_resumed: bool,
    ) -> Result<Option<TableReport>, Error> {
        let mut report = child.report();
        let mut own_done = done;
        if let Some(table) = &child.table {
            let merged = table.transaction(&self.app_id()).await?.unwrap_or(0);
            let merged = u64::try_from(merged).unwrap_or(0);
            if merged >= self.entity.sequence {
                report.already_merged = true;
                report.version = Some(table.version());
                return Ok(Some(report));
            }
            if self.matching.mode == Mode::Append {
                own_done = merged;
            }
        }
        let (going, mut metrics) =
            self.child_rows_that_go(session, plan, child, is_resumed).await?;
        let batch = self.batch(own_done);
        let coming = self.coming(session, plan, child, batch, SURVIVING, &mut metrics).await?;
        self.apply(child, going, coming, metrics, report, &[]).await
    }

    /// The rows of a child table that go.
    async fn child_rows_that_go(
        &self,
        session: &Session,
        plan: &Plan,
        child: &Target<'_>,
        is_resumed: bool,
    ) -> Result<(Going, Metrics), Error> {
        let mut metrics = Metrics::default();
        let (Some(table), Some(fates)) = (&child.table, &plan.fates) else {
            let all = self.matching.mode == Mode::Overwrite;
            return Ok((if all { Going::All } else { Going::None }, metrics));
        };
        if self.matching.mode == Mode::Overwrite {
            return Ok((Going::All, metrics));
        }
        // A merge that was broken off may have brought rows below records that the root does not have yet.
        // Some of those a run since then deletes, and to the root they are as good as never seen.
        let gone = match is_resumed {
            true => "'update', 'delete', 'insert', 'absent'",
            false => "'update', 'delete'",
        };
        let links = links(&child.evolution.columns, &self.entity.identity());
        if links.is_empty() || (!is_resumed && fates.count("update") + fates.count("delete") == 0) {
            return Ok((Going::None, metrics));
        }
        let part = |root: &String| self.matching.identity.iter().position(|column| column == root);
        let parts: Vec<(String, usize)> = links
            .iter()
            .filter_map(|(column, root)| Some((column.clone(), part(root)? + 1)))
            .collect();
        let bounds: Vec<_> =
            parts.iter().map(|(column, part)| (column.clone(), fates.link(*part))).collect();
        let scan = Scan::find(table, &bounds).await?;
        let columns: Vec<String> = parts.iter().map(|(column, _)| column.clone()).collect();
        session.add_table("target", scan.provider(table, &columns, self.workers.threads())?)?;
        let names: Vec<String> = parts.iter().map(|(_, part)| format!("link_{part}")).collect();
        let same: Vec<String> = parts
            .iter()
            .map(|(column, part)| format!("target.{} = gone.link_{part}", quoted(column)))
            .collect();
        let rows = places(
            session,
            session::REPLACED,
            &[("links", &names.join(", ")), ("fates", gone), ("same_root", &same.join(" AND "))],
        )
        .await?;
        metrics.num_target_rows_deleted = rows.len() as u64;
        metrics.num_target_files_scanned = scan.sources.len() as u64;
        metrics.num_target_files_skipped = (scan.num_files - scan.sources.len()) as u64;
        let rows = rows.into_iter().map(|met| (met.file, met.row));
        Ok((Going::Rows(by_file(&scan.sources, rows)), metrics))
    }

    /// The staged rows of a table that come into the lake.
    async fn coming(
        &self,
        session: &Session,
        plan: &Plan,
        target: &Target<'_>,
        batch: u64,
        fates: &str,
        metrics: &mut Metrics,
    ) -> Result<Vec<BoxedRows>, Error> {
        let Some(staged) = target.staged else { return Ok(Vec::new()) };
        let files = staged.files_after(batch);
        metrics.num_source_rows = files.iter().map(|file| file.num_rows).sum();
        if files.is_empty() {
            return Ok(Vec::new());
        }
        self.stage(session, staged, batch).await?;
        let columns = self.staged_columns(staged);
        let statement = match plan.takes_all {
            true => session::ALL_ROWS,
            false => session::ROWS,
        };
        let values = [("columns", columns.as_str()), ("fates", fates)];
        let partitions = session.partitions(statement, &values).await?;
        let aligned = partitions.into_iter().map(|rows| {
            let alignment = target.incoming.clone();
            Box::pin(rows.map(move |batch| alignment.batch(&batch?))) as BoxedRows
        });
        let size_bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
        if size_bytes > FILE_BYTES {
            return Ok(aligned.collect());
        }
        // What fills no file is not cut into several.
        let parts: Vec<BoxedRows> = aligned.collect();
        Ok(vec![Box::pin(futures::stream::iter(parts).flatten())])
    }

    /// The staged columns that come into the lake, as SQL.
    fn staged_columns(&self, staged: &StagedTable) -> String {
        let mut columns: Vec<String> =
            staged.columns.iter().map(|column| quoted(&column.name)).collect();
        if let (Some(name), None) = (&self.matching.soft_delete, &staged.parent) {
            columns.push(format!("{} AS {}", self.matching.is_deleted(), quoted(name)));
        }
        columns.join(", ")
    }

    /// The new values of the root's rows that are replaced, where rows can be replaced in their place:
    /// files are rewritten, and the values fit into a part of the memory.
    async fn updates(
        &self,
        session: &Session,
        fates: &Fates,
        root: &Target<'_>,
        done: u64,
    ) -> Result<Option<NewValues>, Error> {
        if self.marks_rows(root) || fates.count("update") == 0 || !root.evolution.widened.is_empty()
        {
            return Ok(None);
        }
        self.stage(session, self.root, self.batch(done)).await?;
        let columns = format!("{}, {SEQUENCE}", self.staged_columns(self.root));
        let values = [("columns", columns.as_str()), ("fates", "'update'")];
        let mut rows = session.stream(session::ROWS, &values).await?;
        let (mut batches, mut records, mut num_bytes) = (Vec::new(), HashMap::new(), 0);
        while let Some(batch) = rows.try_next().await? {
            let Some(numbers) = batch.column_by_name(SEQUENCE) else { return Ok(None) };
            for number in numbers.as_primitive::<Int64Type>().values() {
                records.insert(*number, records.len());
            }
            let batch = root.incoming.batch(&batch)?;
            num_bytes += batch.get_array_memory_size();
            if num_bytes > self.settings.memory_bytes / 4 {
                return Ok(None);
            }
            batches.push(batch);
        }
        let schema = root.incoming.schema();
        let values = concat_batches(schema, &batches);
        let values = values.map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Some(NewValues { values, records }))
    }

    /// The root's rows that go, and those that get new values.
    async fn in_place(
        &self,
        session: &Session,
        sources: &[Source],
        new: NewValues,
    ) -> Result<Going, Error> {
        let fates = [("fates", "'delete', 'mark'")];
        let gone = places(session, session::TOUCHED, &fates).await?;
        let met = places(session, session::TOUCHED, &[("fates", "'update'")]).await?;
        let updates = met
            .into_iter()
            .filter_map(|met| Some((met.file, met.row, *new.records.get(&met.record)?)));
        let gone = gone.into_iter().map(|met| (met.file, met.row)).collect();
        let unchanged = Arc::new(self.matching.key.clone());
        let losing = with_updates(sources, gone, updates.collect(), &new.values, &unchanged);
        Ok(Going::Rows(losing))
    }

    /// Brings the root's rows, and ends the merge; `None` when overtaken.
    async fn root(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
        ends: bool,
        done: u64,
    ) -> Result<Option<TableReport>, Error> {
        let mut metrics = Metrics::default();
        let mut fates_that_come = SURVIVING;
        let going = match (&plan.fates, self.matching.mode) {
            (_, Mode::Overwrite) => Going::All,
            (None, _) => Going::None,
            (Some(fates), _) => {
                metrics.num_target_rows_inserted = fates.count("insert");
                metrics.num_target_rows_updated = fates.count("update") + fates.count("mark");
                metrics.num_target_rows_deleted = fates.count("delete");
                let sources = sources(plan.scan.as_ref());
                match self.updates(session, fates, root, done).await? {
                    Some(values) => {
                        fates_that_come = "'insert'";
                        self.in_place(session, &sources, values).await?
                    }
                    None => {
                        let fates = [("fates", "'update', 'delete', 'mark'")];
                        let rows = places(session, session::TOUCHED, &fates).await?;
                        let rows = rows.into_iter().map(|met| (met.file, met.row));
                        Going::Rows(by_file(&sources, rows))
                    }
                }
            }
        };
        if let Some(scan) = &plan.scan {
            metrics.num_target_files_scanned = scan.sources.len() as u64;
            metrics.num_target_files_skipped = (scan.num_files - scan.sources.len()) as u64;
        }
        let marked = self.marked(session, plan, root).await?;
        let batch = self.batch(done);
        let mut coming =
            self.coming(session, plan, root, batch, fates_that_come, &mut metrics).await?;
        coming.extend(marked);
        // Without a value, the property goes.
        let end = (schema::MERGING.to_owned(), String::new());
        let properties = if ends { vec![end] } else { Vec::new() };
        self.apply(root, going, coming, metrics, root.report(), &properties).await
    }

    /// The rows of the root that are marked as deleted, as they will stand (M5).
    async fn marked(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
    ) -> Result<Option<BoxedRows>, Error> {
        let (Some(table), Some(scan), Some(marker)) =
            (&root.table, &plan.scan, &self.matching.soft_delete)
        else {
            return Ok(None);
        };
        if plan.fates.as_ref().is_none_or(|fates| fates.count("mark") == 0) {
            return Ok(None);
        }
        let all: Vec<String> =
            table.schema().fields().iter().map(|field| field.name().clone()).collect();
        session.add_table("target", scan.provider(table, &all, self.workers.threads())?)?;
        let mut columns: Vec<String> = Vec::new();
        for column in &root.evolution.columns {
            let order = self.matching.order_by.iter().position(|name| *name == column.name);
            columns.push(match order {
                _ if column.name == *marker => format!("true AS {}", quoted(marker)),
                Some(part) => format!("fates.order_{} AS {}", part + 1, quoted(&column.name)),
                None if all.contains(&column.name) => format!("target.{}", quoted(&column.name)),
                None => continue,
            });
        }
        let rows = session.stream(session::MARKED, &[("columns", &columns.join(", "))]).await?;
        // What comes of the target has its types, and the marker that of the table to be.
        let mut from = root.own.from().to_vec();
        from.retain(|column| column.name != *marker);
        from.extend(root.evolution.columns.iter().find(|column| column.name == *marker).cloned());
        let alignment = Alignment::new(&root.folder.name, &from, &root.evolution.columns);
        Ok(Some(Box::pin(rows.map(move |batch| alignment.batch(&batch?)))))
    }

    /// Writes the files of a table's change and commits it; `None` when overtaken.
    async fn apply(
        &self,
        target: &Target<'_>,
        going: Going,
        coming: Vec<BoxedRows>,
        planned: Metrics,
        mut report: TableReport,
        properties: &[(String, String)],
    ) -> Result<Option<TableReport>, Error> {
        let apply = Apply {
            folder: &target.folder,
            table: target.table.as_ref(),
            evolution: &target.evolution,
            alignment: &target.own,
            workers: self.workers,
            deletion_vectors: self.marks_rows(target),
        };
        let counted = Arc::new(AtomicU64::new(0));
        let counting = coming.into_iter().map(|rows| {
            let counted = Arc::clone(&counted);
            Box::pin(rows.inspect_ok(move |batch| {
                counted.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            })) as BoxedRows
        });
        let counting = counting.collect();
        let all_gone = matches!(going, Going::All);
        let (mut change, files) = apply.stage(going, counting).await?;
        let num_coming = counted.load(Ordering::Relaxed);
        pause_at("merge-files-written");
        let mut metrics = Metrics {
            num_target_rows_copied: files.num_target_rows_copied,
            num_target_files_added: files.num_target_files_added,
            num_target_files_removed: files.num_target_files_removed,
            num_deletion_vectors: files.num_deletion_vectors,
            ..planned
        };
        if metrics.num_target_rows_inserted + metrics.num_target_rows_updated == 0 {
            metrics.num_target_rows_inserted = num_coming;
        }
        if all_gone && let Some(table) = &target.table {
            metrics.num_target_rows_deleted = live_rows(table)?;
        }
        change.properties.extend(self.properties(target));
        change.properties.extend(properties.iter().cloned());
        if !change.properties.is_empty() && change.columns.is_none() {
            change.columns = Some(target.evolution.columns.clone());
        }
        change.operation = match self.matching.mode {
            Mode::Append => Operation::Append,
            Mode::Overwrite => Operation::Overwrite,
            Mode::Upsert | Mode::InsertOnly => Operation::Merge,
        };
        let sequence = i64::try_from(self.entity.sequence).unwrap_or(i64::MAX);
        change.transactions = vec![(self.app_id(), sequence)];
        change.metrics =
            serde_json::to_value(&metrics).map_err(|error| Error::Internal(Box::new(error)))?;
        change.origin = self.origin();
        report.metrics = metrics;
        match commit(&target.folder, target.table.as_ref(), change).await? {
            Outcome::Committed(version) => {
                report.version = Some(version);
                Ok(Some(report))
            }
            Outcome::Overtaken => Ok(None),
        }
    }

    /// What a table says of its place in the entity, where it does not say so yet.
    fn properties(&self, target: &Target<'_>) -> Vec<(String, String)> {
        let says = |table: &Table| table.property(schema::ROOT).is_some();
        let Some(staged) = target.staged.filter(|_| !target.table.as_ref().is_some_and(says))
        else {
            return Vec::new();
        };
        let mut properties =
            vec![(schema::ROOT, self.entity.name.clone()), (schema::PATH, staged.path.clone())];
        match &staged.parent {
            Some(parent) => properties.push((schema::PARENT, parent.clone())),
            // Of rows that are appended, a key may stand many times.
            None if self.matching.mode.needs_key() => {
                properties.push((schema::KEY, json!(self.matching.key).to_string()));
            }
            None => {}
        }
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn origin(&self) -> serde_json::Value {
        json!({
            "staging": self.staging.id,
            "run": self.entity.run_id,
            "sequence": self.entity.sequence,
            "mode": self.matching.mode.name(),
        })
    }

    /// Counts what a merge would do (M10).
    async fn rehearse(
        &self,
        session: &Session,
        plan: &Plan,
        children: &[Target<'_>],
        root: &Target<'_>,
        done: u64,
        report: &mut EntityReport,
    ) -> Result<(), Error> {
        for target in children.iter().chain([root]) {
            let is_root = target.folder.name == self.entity.name;
            let (going, mut metrics) = match (is_root, &plan.fates) {
                (true, Some(fates)) => (
                    Going::None,
                    Metrics {
                        num_target_rows_updated: fates.count("update") + fates.count("mark"),
                        num_target_rows_deleted: fates.count("delete"),
                        ..Metrics::default()
                    },
                ),
                (true, None) => (Going::None, Metrics::default()),
                (false, _) => self.child_rows_that_go(session, plan, target, false).await?,
            };
            let batch = self.batch(done);
            let coming = self.coming(session, plan, target, batch, SURVIVING, &mut metrics).await?;
            let mut coming = futures::stream::iter(coming).flatten();
            let mut num_coming = 0;
            while let Some(batch) = coming.try_next().await? {
                num_coming += batch.num_rows() as u64;
            }
            // Rows that are marked do not come: they are updated all the same.
            let num_replacing = match &plan.fates {
                Some(fates) if is_root => fates.count("update"),
                _ => 0,
            };
            metrics.num_target_rows_inserted = num_coming - num_replacing.min(num_coming);
            if (matches!(going, Going::All) || self.matching.mode == Mode::Overwrite)
                && let Some(table) = &target.table
            {
                metrics.num_target_rows_deleted = live_rows(table)?;
            }
            report.tables.push(TableReport { metrics, ..target.report() });
        }
        Ok(())
    }
}

/// The fates of records whose rows stand in the lake after the merge.
const SURVIVING: &str = "'insert', 'update'";

/// Rows that replace others.
struct NewValues {
    /// The rows, with the columns of the table.
    values: RecordBatch,
    /// The row of each record, by the record's number.
    records: HashMap<i64, usize>,
}

/// What becomes of the records; `None` of fates where every staged row simply comes.
struct Plan {
    fates: Option<Fates>,
    scan: Option<Scan>,
    /// Every staged row comes.
    takes_all: bool,
}

impl Target<'_> {
    fn report(&self) -> TableReport {
        let widened = |widening: &crate::delta::Widening| {
            format!(
                "{}: {} to {}",
                widening.to.name, widening.from.column_type, widening.to.column_type
            )
        };
        TableReport {
            name: self.folder.name.clone(),
            version_before: self.table.as_ref().map(Table::version),
            columns_added: self.evolution.added.clone(),
            columns_widened: self.evolution.widened.iter().map(widened).collect(),
            ..TableReport::default()
        }
    }
}

impl StagedEntity {
    /// The root's columns that child rows are linked to.
    pub(super) fn identity(&self) -> Vec<String> {
        let row_id = |root: &StagedTable| {
            let found = root.columns.iter().find(|column| column.role == Role::RowId);
            found.map(|column| column.name.clone())
        };
        match self.root().and_then(row_id) {
            Some(row_id) => vec![row_id],
            None => self.key.clone(),
        }
    }
}

/// The columns of a child table that lead to its root, each with the root's column.
fn links(columns: &[Column], identity: &[String]) -> Vec<(String, String)> {
    let link = |column: &Column| {
        let root = match column.role {
            Role::RootRowId => identity.first(),
            Role::RootKey(part) => identity.get(part),
            _ => None,
        };
        Some((column.name.clone(), root?.clone()))
    };
    columns.iter().filter_map(link).collect()
}

fn matching(entity: &StagedEntity, root: &StagedTable, rule: &Rule) -> Result<Matching, Error> {
    let mode = rule.mode.unwrap_or_default();
    let columns = |option: &'static str, texts: &[String]| {
        let column = |text: &String| entity.column(option, text);
        texts.iter().map(column).collect::<Result<Vec<_>, _>>()
    };
    let key = match rule.key.is_empty() {
        true => entity.key.clone(),
        false => columns("--key", &rule.key)?,
    };
    if mode == Mode::Append && (rule.delete_when.is_some() || !rule.order_by.is_empty()) {
        return Err(Error::Usage(format!(
            "`{}` is merged with --mode append, which takes every record as it is: --delete-when and --order-by have no meaning there",
            entity.name
        )));
    }
    if key.is_empty() && mode.needs_key() {
        return Err(Error::NoKey { entity: entity.name.clone(), mode: mode.name() });
    }
    if let Some(marker) = &rule.soft_delete {
        if rule.delete_when.is_none() {
            return Err(Error::Usage(
                "--soft-delete needs --delete-when, which says what a deletion is".to_owned(),
            ));
        }
        if root.columns.iter().any(|column| column.name == *marker) {
            return Err(Error::Usage(format!(
                "--soft-delete {marker}: `{}` has a column of that name in staging",
                entity.name
            )));
        }
    }
    Ok(Matching {
        mode,
        key,
        order_by: columns("--order-by", &rule.order_by)?,
        identity: entity.identity(),
        delete_when: rule.delete_when.clone(),
        soft_delete: rule.soft_delete.clone(),
    })
}

/// The column that marks deleted records.
fn marker(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        path: "$".into(),
        role: Role::Value,
        column_type: ColumnType::Boolean,
        fields: Vec::new(),
        is_open: false,
    }
}

/// The run that a root's log says is being merged: staging area and run id.
fn merging(root: &Table) -> Option<(String, String)> {
    let words: serde_json::Value = serde_json::from_str(root.property(schema::MERGING)?).ok()?;
    let word = |name: &str| words.get(name)?.as_str().map(str::to_owned);
    Some((word("staging")?, word("run")?))
}

/// The columns of a table's staged files.
fn staged_schema(table: &StagedTable) -> SchemaRef {
    let mut columns = table.columns.clone();
    columns.push(Column {
        name: SEQUENCE.to_owned(),
        path: "$".into(),
        role: Role::Sequence,
        column_type: ColumnType::Int64,
        fields: Vec::new(),
        is_open: false,
    });
    arrow_schema(&StagedLayout {
        name: table.name.clone(),
        path: String::new(),
        parent: None,
        columns,
    })
}

/// Rows of a table that are not deleted, as far as the log says.
fn live_rows(table: &Table) -> Result<u64, Error> {
    let live = |file: &crate::delta::DataFile| {
        let deleted = file.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        file.num_rows().unwrap_or(0).saturating_sub(u64::try_from(deleted).unwrap_or(0))
    };
    Ok(table.files()?.iter().map(live).sum())
}

/// Waits longer and longer, and never as long as another who waits.
async fn pause(attempt: usize) {
    let longest = 25u64 << attempt.min(8);
    let random = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(Duration::from_millis(longest / 2 + longest * random / 512)).await;
}
