//! From a shape to tables.
mod arrow;
mod layout;
pub mod names;
mod widen;

pub use arrow::{arrow_field, arrow_schema, scalar_type};
pub use layout::*;
pub use widen::{type_names, widen, write_text};
