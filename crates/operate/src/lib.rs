//! What those who operate the programs see: traces, metrics, lineage, task tokens, catalogs, and the doctor.
//!
//! ```text
//!   main ──▶ Subject ──▶ Operation::begin ──▶ one thread, and only where a variable asks for it
//!     │                     │                   ├──▶ traces/   spans at the end                  OTEL_EXPORTER_OTLP_…
//!     │  report, outcome    │                   ├──▶ lineage/  START, then COMPLETE, FAIL, ABORT OPENLINEAGE_URL
//!     └──────▶ Operation::end                   └──▶ token/    heartbeats, then the outcome      SOLDER_TASK_TOKEN
//!   log ──▶ Metrics ──▶ metrics/   members of the summary line                                   SOLDER_METRICS_NAMESPACE
//! ```
//!
//! - [`Operation`] is one run of a command, from its begin to its end. Where no variable asks for an observer it
//!   starts nothing and costs nothing.
//! - Observers never change what a run does or how it ends, and keep it for [`PATIENCE`] at most: what one of
//!   them cannot do is a warning.
//! - [`catalog`] registers committed tables in the Glue Data Catalog; [`aws`] is the client of its services.
//! - [`doctor`] examines what a run needs before it runs.
//! - [`exit_on_panic`] has observers told even of a bug.
//! - [`Metrics`] puts the counts of a report into a line of the log, as CloudWatch takes them from there.

pub mod aws;
pub mod catalog;
pub mod doctor;

mod ended;
mod environment;
mod lineage;
mod metrics;
mod operation;
mod panics;
mod report;
mod token;
mod traces;

pub use environment::StepEnvironment;
pub use metrics::Metrics;
pub use operation::{Host, Operation, PATIENCE, Schema, Subject};
pub use panics::exit_on_panic;
