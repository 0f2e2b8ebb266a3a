//! REST APIs to `raw/`: reads what a YAML source describes and lands the records as the API sent them.
//!
//! ```text
//!   source.yaml ──▶ source/   0 file → plan, checked as a whole
//!                     │
//!   secrets/ auth/ ─▶ http/   1 request → answer: limits, attempts, redirects
//!                     │
//!        page/ ─────▶ walk/   2 stream → partitions → windows → pages → units
//!                     │
//!                     land/   3 units → parts and commits ══▶ raw/ ══▶ program `engine`
//!
//!   reach.rs   how a source is reached: network, or recorded answers
//!   run.rs     the whole way
//!   pour.rs    without landing: `run --stdout`
//!   probe.rs   a look at it: `check` and `plan`
//!   doctor.rs  what is wrong, before a run finds out
//!   program/   the program `ingest`: what is typed, what is printed; uses only what is public here
//! ```
//!
//! The contract of `raw/`, which both programs keep, is the crate `solder-landing`; what people who operate
//! them see is `solder-operate`. This crate shares nothing else with `engine`.

mod auth;
mod cursor;
pub mod doctor;
mod error;
mod http;
mod land;
mod page;
mod pour;
pub mod probe;
pub mod program;
pub mod progress;
mod reach;
pub mod report;
mod run;
mod secrets;
pub mod source;
mod walk;

pub use cursor::{DurationError, duration};
use error::shown;
pub use error::{Error, LandFailure, WalkFailure};
pub use http::Request;
pub use land::Compression;
pub use pour::pour;
pub use reach::Reach;
pub use run::{RunSettings, StopSignal, new_run_id, run};
pub use secrets::Redactor;
