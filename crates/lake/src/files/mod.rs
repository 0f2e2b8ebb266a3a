//! Parquet files of Delta tables, column chunk by column chunk.
//!
//! ```text
//!   footer ──▶ Source ──▶ row group ──▶ columns decoded ──▶ Encoder ──▶ NewFile ──▶ add action
//!                             └───────▶ columns copied as encoded bytes ──▲
//! ```
//!
//! The unit of work is one column of one row group: it is read, filtered and encoded by itself, so that
//! memory stays at a few column chunks per thread whatever the size of files and tables.

mod encode;
mod ranges;
mod source;
mod write;

pub use encode::Encoder;
pub use ranges::Ranges;
pub use source::Source;
pub use write::{
    BoxedRows, FILE_BYTES, Piece, RowGroup, Rows, write_file, write_groups, write_rows,
};
