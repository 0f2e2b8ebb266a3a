//! Staging tables into Delta Lake, parents and children together, exactly once.
//!
//! ```text
//!   curated/ ──▶ merge/ ──▶ delta/ ──▶ lake/ ──▶ maintain/
//!                  │  ▲                   └─────▶ sql/ ──▶ rows
//!                  │  └── results that come into the lake ◀┘
//!                  └──▶ files/: Parquet, column chunk by column chunk
//! ```

mod delta;
pub mod error;
pub mod expect;
mod files;
mod lake;
pub mod maintain;
pub mod merge;
mod readable;
pub mod sql;
mod work;

pub use error::Error;
pub use lake::{Lake, TableFolder};
