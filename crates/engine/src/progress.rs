//! How far a run is: told by the library, shown by the program.

/// Is told what a run has done so far. Called from one thread, a few times a second.
pub trait Progress: Send + Sync {
    /// A stage begins; `total_bytes` are to be read, as stored.
    fn begin(&self, entity: &str, total_bytes: u64);
    /// So many more bytes, decompressed, and records have been taken.
    fn add(&self, bytes: u64, records: u64);
    /// The run is over.
    fn end(&self);
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _entity: &str, _total_bytes: u64) {}
    fn add(&self, _bytes: u64, _records: u64) {}
    fn end(&self) {}
}
