//! The contract of `raw/` (I13): what `ingest` lands and `engine` reads.
//!
//! ```text
//!   data/source=<s>/stream=<t>/dt=<day>/run_id=<id>/part-….ndjson.zst   records, before any commit
//!   manifests/source=<s>/stream=<t>/<sequence>.json                     a commit: create-only, makes parts count
//!   state/source=<s>/stream=<t>/<sequence>.json                         where to go on: derived from commits
//!   runs/source=<s>/stream=<t>/<run id>.json                            where the log stood when a run began
//!
//!   StreamLog  one stream's commits: head · begin · commit              the writer's side
//!   committed  every stream's parts that count                          the reader's side
//! ```
//!
//! The manifests of a stream are a log. Their numbers have no gap and each can be created only once, so
//! that of two runs at once one commits and the other learns of it. A manifest carries the state after it,
//! so that data and state are one commit and cannot disagree; `state/` and `runs/` only spare reading
//! the whole log, and whatever is missing there is read from the manifests.

mod committed;
mod keys;
mod log;
mod manifest;
#[cfg(test)]
mod tests;

pub(crate) use committed::committed_by;
pub use committed::{CommittedPart, CommittedStream, committed};
pub use keys::{InvalidName, StreamName};
pub use log::{Commit, Head, LostPart, RawError, StreamLog};
pub use manifest::{DataFile, Manifest, Mode, PartitionStates};
