//! Records into columns.
//!
//! ```text
//!   block ──▶ shredder ──┬─▶ direct ──────────▶ columns ──▶ chunks of tables     nearly all records
//!                        └─▶ tape ──▶ walk ──────▲                               bad ones, and values under a rule
//! ```

mod cast;
mod chunk;
mod column;
mod direct;
mod duplicates;
pub mod number;
mod shredder;
pub mod tape;
pub mod text;
mod time;
mod walk;

pub use cast::{parse_decimal, write_decimal, write_scalar};
pub use chunk::*;
pub use column::{Scalar, ScalarColumn, Texts, Validity, Values};
pub use shredder::{Keep, Shredder};
pub use text::is_same;
pub use time::{parse_date, parse_timestamp, write_date, write_timestamp};
