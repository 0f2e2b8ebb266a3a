//! Columns into Parquet files.
//!
//! ```text
//!   writer ──▶ group ──▶ encode ──┬─▶ pages ─────────────────────┬─▶ sink     disk or store
//!   lanes of    columns  column   └─▶ arrays ─▶ Parquet library ─┘
//!   tables      by now                                  rewrite: files that turned out too narrow
//! ```
mod arrays;
mod empty;
mod encode;
mod group;
mod pages;
mod properties;
mod quarantine;
mod rewrite;
mod sink;
mod writer;

pub use empty::write_empty;
pub use quarantine::{QuarantineWriter, Quarantined, StagedQuarantine, read_quarantine};
pub use rewrite::{read_columns, rewrite};
pub use writer::{StageLimits, StagedFile, Stager};
