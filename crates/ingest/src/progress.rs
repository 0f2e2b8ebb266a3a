//! What a run tells while it goes on.

use std::fmt;

/// Who listens to a run.
pub trait Progress: Send + Sync {
    /// A stream begins; `num_partitions` of it are to be read.
    fn stream_started(&self, stream: &str, num_partitions: usize);
    /// Records were taken, `num_bytes` of them before compression.
    fn landed(&self, stream: &str, num_records: u64, num_bytes: u64);
    /// What was landed so far counts.
    fn committed(&self, stream: &str, sequence: u64, is_last: bool);
    /// A rule ended a partition after its first page.
    fn cut_short(&self, stream: &str, cut: &CutShort);
    /// A stream was stopped before its end, since the run's time was over.
    fn stream_stopped(&self, stream: &str);
    /// A stream has ended, with its error if it failed.
    fn stream_ended(&self, stream: &str, error: Option<&str>);
}

/// A partition that the rule `skip_partition` ended after its first page: pages were read, and others are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutShort {
    /// The partition; empty for the only one of a stream.
    pub partition: String,
    /// The page that was answered so, from 1; of its window, where there are windows.
    pub page: u64,
    /// The status of that answer.
    pub status: u16,
    /// Records of the pages before that are not landed: the state stays where it was, and the next run asks for
    /// them again.
    pub num_dropped: u64,
    /// Whether the next run begins where this one stopped, or reads all anyway.
    pub has_state: bool,
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.partition.is_empty() {
            write!(f, "partition `{}`: ", self.partition)?;
        }
        write!(
            f,
            "page {} was answered with status {} and skipped by a rule; ",
            self.page, self.status
        )?;
        match (self.has_state, self.num_dropped) {
            (false, _) => {
                f.write_str("what the pages before gave is landed, what follows is missing")
            }
            (true, 0) => f.write_str("the next run asks for what follows"),
            (true, number) => write!(
                f,
                "{number} records of the pages before are not landed, and the next run asks for them again"
            ),
        }
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn stream_started(&self, _: &str, _: usize) {}
    fn landed(&self, _: &str, _: u64, _: u64) {}
    fn committed(&self, _: &str, _: u64, _: bool) {}
    fn cut_short(&self, _: &str, _: &CutShort) {}
    fn stream_stopped(&self, _: &str) {}
    fn stream_ended(&self, _: &str, _: Option<&str>) {}
}
