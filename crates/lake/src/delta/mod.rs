//! Delta tables: open, describe, change, maintain.
//!
//! ```text
//!   log ──▶ Table ──▶ DataFile, Statistics ──▶ (merge/ decides) ──▶ Change ──▶ commit ──▶ log
//!             └──▶ schema: what the table looks like, and what it would after a change (M7)
//! ```
//!
//! Logs, snapshots, checkpoints and maintenance are deltalake's; which files change is ours.

mod commit;
pub(crate) mod deletion_vector;
mod protocol;
pub mod schema;
mod statistics;
mod table;

pub use commit::{Change, Operation, Outcome, commit, protocol};
pub use schema::{Evolution, Widening};
pub use statistics::Range;
pub(crate) use statistics::describe;
pub use table::{DataFile, Table};
