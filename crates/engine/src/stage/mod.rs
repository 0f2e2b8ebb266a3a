//! Columns into Parquet files.
mod arrays;
mod quarantine;
mod rewrite;
mod sink;
mod writer;

pub use quarantine::QuarantineWriter;
pub use rewrite::{read_columns, rewrite, write_text};
pub use sink::Sink;
pub use writer::{StageLimits, StagedFile, Stager};
