//! 2 · Stream → pages → units: which requests a stream needs, one after the other.
//!
//! ```text
//!   stream ──▶ slices.rs    partitions × windows, each with its state      (I5, I6)
//!                 │
//!                 ▼
//!              slice.rs ──▶ render.rs   placeholders → request             (I1)
//!                 │    ◀──  page.rs     body → lines: repeated records, cursors, added fields
//!                 ├──▶ pager.rs         page → next request, or the end    (I4)
//!                 ├──▶ job.rs           create · poll, before the pages    (I11)
//!                 ├──▶ progress.rs      how far it has come: state.rs, known.rs
//!                 ▼
//!              budget.rs   whether the run ends here, and more is left  (I15)
//!                 ▼
//!              unit.rs   records that count together (spool.rs), with the state after them ──▶ land/
//! ```
//!
//! A unit is what may be committed on its own: a page of an ascending feed, else a window, else all of a
//! slice.

mod budget;
mod job;
mod known;
mod page;
mod pager;
mod progress;
mod render;
mod slice;
mod slices;
mod spool;
mod state;
mod unit;

pub(crate) use budget::Budget;
pub(crate) use job::JobError;
pub(crate) use pager::PagerError;
pub(crate) use render::{RenderError, Rendering, Run, Scope};
pub(crate) use slice::{Probe, SliceWalk, WalkError, Walked};
pub(crate) use slices::{ParentRecord, Partition, partitions_of};
pub(crate) use state::PartitionState;
pub(crate) use unit::{Oddities, Unit, UnitSink};
