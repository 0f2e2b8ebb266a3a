//! One stream's way into raw/: units come in, commits go out.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use solder_landing::raw::{
    Commit, DataFile, Head, Manifest, Mode, PartitionStates, RawError, StreamLog,
};
use solder_landing::{Place, PlaceError};

use super::part::{Compression, Part};
use crate::cursor::Cursor;
use crate::http::Clock;
use crate::progress::Progress;
use crate::source::document::CursorFormat;
use crate::source::plan::Stream;
use crate::walk::{Oddities, Run, Unit};

/// Why records could not be landed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandError {
    /// The log of the stream cannot be read or written.
    #[error(transparent)]
    Log(#[from] RawError),
    /// The place fails.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Another run has committed meanwhile.
    #[error(
        "another run has committed meanwhile; what this one has since its last commit was thrown away, and the \
             next run reads it again"
    )]
    Overtaken,
    /// Fewer records than there should be.
    #[error(
        "{num_records} records came, fewer than the {expected} of `expect_min_records`; what was not committed \
             yet is thrown away"
    )]
    TooFew { num_records: u64, expected: u64 },
    /// The compressor fails.
    #[error("cannot compress records")]
    Compress(#[source] io::Error),
    /// What was kept in a temporary file cannot be read.
    #[error("cannot read records back from the temporary folder")]
    Spool(#[source] io::Error),
}

/// How records are landed, and for which run.
#[derive(Clone)]
pub(crate) struct Landing {
    pub(crate) compression: Compression,
    /// A part is whole once it has this many bytes, compressed.
    pub(crate) part_bytes: u64,
    /// Or once it is this old; what can be committed is, as often.
    pub(crate) part_age: Duration,
    pub(crate) run: Run,
    /// How the run's records stand to those before.
    pub(crate) mode: Mode,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<dyn Progress>,
}

/// What a stream has landed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Landed {
    pub(crate) num_records: u64,
    pub(crate) num_pages: u64,
    pub(crate) oddities: Oddities,
    pub(crate) num_files: u64,
    pub(crate) num_bytes: u64,
    pub(crate) num_commits: u64,
    /// The last commit of the stream, this run's or an earlier one's.
    pub(crate) sequence: u64,
}

/// Lands one stream.
pub(crate) struct Lander {
    place: Place,
    log: StreamLog,
    landing: Landing,
    mode: Mode,
    primary_key: Vec<String>,
    format: Option<CursorFormat>,
    expect_min_records: u64,
    /// What the run had committed when it began here again.
    num_records_before: u64,
    folder: String,
    /// The state of all partitions, as the next commit leaves it.
    state: PartitionStates,
    sequence: u64,
    part: Option<Part>,
    num_parts: u64,
    /// Whole parts that no commit names yet.
    files: Vec<DataFile>,
    /// Partitions that the next commit moves.
    moved: PartitionStates,
    last_commit: Instant,
    /// What was taken, and how much of it counts.
    landed: Landed,
    committed: Landed,
}

impl Lander {
    pub(crate) fn new(
        place: &Place,
        log: StreamLog,
        head: Head,
        stream: &Stream,
        landing: Landing,
    ) -> Result<Self, LandError> {
        let run = &landing.run;
        let day = &run.started.to_string()[..10];
        let folder = log.name().data_folder(day, &run.id).map_err(RawError::from)?;
        let is_anew = landing.mode == Mode::Replace;
        Ok(Self {
            place: place.clone(),
            log,
            mode: landing.mode,
            landing,
            primary_key: stream.primary_key.iter().map(ToString::to_string).collect(),
            format: stream.incremental.as_ref().map(|incremental| incremental.format.clone()),
            expect_min_records: stream.expect_min_records,
            num_records_before: head.num_records_of_run,
            folder,
            // What replaces begins anew.
            state: if is_anew { PartitionStates::new() } else { head.state },
            sequence: head.sequence,
            part: None,
            num_parts: 0,
            files: Vec::new(),
            moved: PartitionStates::new(),
            last_commit: Instant::now(),
            landed: Landed { sequence: head.sequence, ..Landed::default() },
            committed: Landed { sequence: head.sequence, ..Landed::default() },
        })
    }

    /// Takes a unit: it counts with the next commit, which this may be the time for.
    pub(crate) async fn take(&mut self, unit: Unit) -> Result<(), LandError> {
        let landed = &mut self.landed;
        let records = unit.records;
        landed.num_records += records.num_records;
        landed.num_pages += records.num_pages;
        landed.oddities += records.oddities;
        let (stream, num_bytes) = (self.log.name().stream(), records.lines.num_bytes());
        self.landing.progress.landed(stream, records.num_records, num_bytes);
        if !records.lines.is_empty() {
            let part = self.part().await?;
            let mut chunks = records.lines.into_chunks().map_err(LandError::Spool)?;
            while let Some(chunk) = chunks.next().map_err(LandError::Spool)? {
                part.write(&chunk).await?;
            }
            part.count(records.num_records, records.cursors);
        }
        if let Some(state) = unit.state {
            let state = state.to_json();
            if self.state.get(&unit.partition) != Some(&state) {
                self.state.insert(unit.partition.clone(), state.clone());
                self.moved.insert(unit.partition, state);
            }
        }
        let is_full = self.part.as_ref().is_some_and(|part| {
            part.size_bytes() >= self.landing.part_bytes || part.age() >= self.landing.part_age
        });
        if is_full {
            self.roll().await?;
        }
        // A run that replaces counts as a whole, at its end.
        let may_commit = self.mode == Mode::Append && !self.moved.is_empty();
        if may_commit && (is_full || self.last_commit.elapsed() >= self.landing.part_age) {
            self.commit(false).await?;
        }
        Ok(())
    }

    /// The run has read the stream to its end: commits what is left.
    pub(crate) async fn finish(mut self) -> Result<Landed, LandError> {
        let num_records = self.num_records_before + self.landed.num_records;
        if num_records < self.expect_min_records {
            let error = LandError::TooFew { num_records, expected: self.expect_min_records };
            self.abandon().await;
            return Err(error);
        }
        self.commit(true).await?;
        Ok(self.landed)
    }

    /// The run ends before the stream does: commits what can be, and drops the rest.
    pub(crate) async fn stop(mut self) -> Result<Landed, LandError> {
        let has_state = !self.moved.is_empty();
        if self.mode == Mode::Append && has_state {
            self.commit(false).await?;
        }
        let committed = self.committed.clone();
        self.abandon().await;
        Ok(committed)
    }

    async fn abandon(mut self) {
        if let Some(part) = self.part.take() {
            part.abandon().await;
        }
        let keys: Vec<_> = self.files.iter().map(|file| file.key.clone()).collect();
        if !keys.is_empty() {
            // What stays behind no manifest names.
            let _ = self.place.delete(&keys).await;
        }
    }

    async fn part(&mut self) -> Result<&mut Part, LandError> {
        if self.part.is_none() {
            self.num_parts += 1;
            // A name that no other process has, whatever run id it was given.
            let key = format!(
                "{}/part-{:05}-{:08x}.{}",
                self.folder,
                self.num_parts,
                fastrand::u32(..),
                self.landing.compression.extension()
            );
            self.part = Some(Part::begin(&self.place, key, self.landing.compression).await?);
        }
        match &mut self.part {
            Some(part) => Ok(part),
            None => Err(LandError::Compress(io::ErrorKind::NotFound.into())),
        }
    }

    async fn roll(&mut self) -> Result<(), LandError> {
        if let Some(part) = self.part.take() {
            let format = self.format.clone().unwrap_or_default();
            let file = part.finish(|cursor: &Cursor| format.text(cursor)).await?;
            self.landed.num_files += 1;
            self.landed.num_bytes += file.size_bytes;
            self.files.push(file);
            solder_landing::pause_at("after a part");
        }
        Ok(())
    }

    async fn commit(&mut self, is_last: bool) -> Result<(), LandError> {
        self.roll().await?;
        let name = self.log.name();
        let manifest = Manifest {
            version: 1,
            source: name.source().to_owned(),
            stream: name.stream().to_owned(),
            sequence: self.sequence + 1,
            run_id: self.landing.run.id.clone(),
            is_last_of_run: is_last,
            mode: self.mode,
            primary_key: self.primary_key.clone(),
            program: concat!("ingest ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_at: self.landing.run.started.to_string(),
            committed_at: self.landing.clock.now().to_string(),
            files: self.files.clone(),
            state: self.moved.clone(),
            counts: self.counts(),
        };
        solder_landing::pause_at("before the commit");
        match self.log.commit(&manifest, &self.state).await? {
            Commit::Committed => {}
            Commit::Overtaken => {
                let keys: Vec<_> = self.files.drain(..).map(|file| file.key).collect();
                if !keys.is_empty() {
                    let _ = self.place.delete(&keys).await;
                }
                return Err(LandError::Overtaken);
            }
        }
        solder_landing::pause_at("after the commit");
        self.sequence += 1;
        self.landed.sequence = self.sequence;
        self.landed.num_commits += 1;
        self.committed = self.landed.clone();
        self.files.clear();
        self.moved.clear();
        self.last_commit = Instant::now();
        self.landing.progress.committed(self.log.name().stream(), self.sequence, is_last);
        Ok(())
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let landed = &self.landed;
        [
            ("num_records", landed.num_records),
            ("num_pages", landed.num_pages),
            ("num_repeated", landed.oddities.num_repeated),
            ("num_older", landed.oddities.num_older),
            ("num_redacted", landed.oddities.num_redacted),
        ]
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(name, number)| (name.to_owned(), number))
        .collect()
    }
}
