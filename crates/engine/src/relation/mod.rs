//! From a shape to tables.
mod arrow;
mod layout;
pub mod names;

pub use arrow::{arrow_field, arrow_schema, scalar_type};
pub use layout::*;
