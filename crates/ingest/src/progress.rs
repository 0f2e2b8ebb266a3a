//! What a run tells while it goes on.

/// Who listens to a run.
pub trait Progress: Send + Sync {
    /// A stream begins; `num_partitions` of it are to be read.
    fn stream_started(&self, stream: &str, num_partitions: usize);
    /// Records were taken, `num_bytes` of them before compression.
    fn landed(&self, stream: &str, num_records: u64, num_bytes: u64);
    /// What was landed so far counts.
    fn committed(&self, stream: &str, sequence: u64, is_last: bool);
    /// A stream has ended, with its error if it failed.
    fn stream_ended(&self, stream: &str, error: Option<&str>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn stream_started(&self, _: &str, _: usize) {}
    fn landed(&self, _: &str, _: u64, _: u64) {}
    fn committed(&self, _: &str, _: u64, _: bool) {}
    fn stream_ended(&self, _: &str, _: Option<&str>) {}
}
