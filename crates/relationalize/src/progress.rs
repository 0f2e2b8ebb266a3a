//! How far a run is: told by the library, shown by the program.

use crate::report::{Change, MapReport};

/// Is told what a run has done so far. Called from one thread, a few times a second.
pub trait Progress: Send + Sync {
    /// An entity is read from here on; `total_bytes` of objects, as stored, or 0 when nobody knows.
    fn begin(&self, entity: &str, total_bytes: u64);
    /// So much more has been taken.
    fn add(&self, taken: Taken);
    /// Something happened that is worth a line in a log.
    fn event(&self, event: Event<'_>);
    /// Nothing follows but the report.
    fn end(&self);
}

/// What was taken since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of objects, as stored.
    pub stored_bytes: u64,
    /// Bytes of JSON, decompressed.
    pub bytes: u64,
    /// Records that became rows.
    pub records: u64,
    /// Records set aside.
    pub quarantined: u64,
}

impl std::ops::AddAssign for Taken {
    fn add_assign(&mut self, other: Taken) {
        self.stored_bytes += other.stored_bytes;
        self.bytes += other.bytes;
        self.records += other.records;
        self.quarantined += other.quarantined;
    }
}

/// What a run tells of itself on its way. Paths and places, never values.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The entity is read once more from its begin, now with `paths` as maps (R10).
    Again {
        /// The entity.
        entity: &'a str,
        /// The objects found to be maps.
        paths: &'a [String],
    },
    /// The entity has been read to its end.
    EntityRead {
        /// The entity.
        entity: &'a str,
        /// Records that became rows.
        records: u64,
        /// Bytes of JSON, decompressed.
        bytes: u64,
        /// Its tables.
        num_tables: usize,
    },
    /// Records of the entity were set aside (R16).
    Quarantined {
        /// The entity.
        entity: &'a str,
        /// How many.
        records: u64,
        /// Where and why, of the first one.
        first: &'a str,
    },
    /// The shape is wider than in earlier runs (R11).
    Changed(&'a Change),
    /// An object is used as a map (R10).
    MapFound(&'a MapReport),
    /// Files that are narrower than their tables are brought to the final schema.
    Finishing {
        /// How many.
        num_files: usize,
    },
    /// Files are moved to where they count.
    Committing {
        /// How many.
        num_files: usize,
    },
    /// The manifest is written: what the run made counts.
    Committed {
        /// Its number.
        sequence: u64,
    },
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _entity: &str, _total_bytes: u64) {}
    fn add(&self, _taken: Taken) {}
    fn event(&self, _event: Event<'_>) {}
    fn end(&self) {}
}
