//! Objects of the input into blocks of whole records.
mod block;
mod decompress;
mod entities;
mod frame;
mod scan;
mod source;
mod stdin;

pub use block::{Block, BlockOptions, Blocks};
pub use decompress::Compression;
pub use entities::{Entities, EntityInput, group, group_landed};
pub use frame::{
    FrameOptions, Framer, MAX_RAW_BYTES, NameHint, Records, RecordsPath, RecordsPathError,
    Rejected, Segment,
};
pub use source::{Origin, Sources};
pub use stdin::{STDIN, StandardInput};
