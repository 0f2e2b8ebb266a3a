//! 3 · Units → raw/: parts, and the commits that make them count (I13).
//!
//! ```text
//!   Unit ──▶ lander.rs ──▶ part.rs   zstd or gzip, SHA-256, upload; rolled by size and time
//!               │
//!               └──▶ StreamLog::commit   parts + state, one manifest: at the end, and between units
//! ```

mod lander;
mod part;

pub(crate) use lander::{LandError, Landed, Lander, Landing};
pub use part::Compression;
