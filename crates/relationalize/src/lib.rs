//! Nested JSON to relational Parquet tables.
//!
//! ```text
//!   objects ──▶ read/ ──▶ shred/ ──▶ shape/ ──▶ relation/ ──▶ stage/ ──▶ curated/
//!               blocks    columns    what was    tables and    Parquet    one manifest
//!               of records           seen        their names   files      commits them
//! ```
//!
//! `nest` goes the way back, from tables to records. `job` knows the whole way of a run, `pipeline` that of one entity, and
//! [`clock`] where its time goes. The program `engine` is a thin layer over [`relationalize`].

pub mod clock;
pub mod curated;
mod drift;
pub mod error;
mod io;
mod job;
mod nest;
mod pipeline;
mod pool;
pub mod progress;
pub mod read;
pub mod readable;
pub mod relation;
pub mod report;
mod settings;
pub mod shape;
pub mod shred;
mod stage;
pub mod tables;

pub use error::{Error, place_code};
pub use io::Io;
pub use job::{PlanReport, Resources, ShardReport, Sharding, commit, plan, relationalize, shard};
pub use nest::{nest, nest_to};
pub use pipeline::{Crew, Stop};
pub use pool::Pool;
pub use settings::{Drift, KeyRule, Settings, Threshold, ThresholdError, new_run_id};
pub use stage::{Quarantined, read_quarantine};
