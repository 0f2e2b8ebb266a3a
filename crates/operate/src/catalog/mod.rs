//! Tables in the Glue Data Catalog, where Athena finds them (G1 to G5).
//!
//! ```text
//!   what was committed ──▶ Table ──▶ register ──▶ GetTable ──▶ CreateTable, UpdateTable, or nothing
//!   name, place, columns   table.rs  you are here    │
//!                                                    └──▶ made by somebody else: refused, by name
//! ```
//!
//! Tables are handed in as plain structs: this crate knows neither curated places nor lakes.

mod database;
mod error;
mod register;
mod report;
mod table;
#[cfg(test)]
mod tests;

pub use database::Database;
pub use error::Error;
pub use register::register;
pub use report::{CatalogReport, Outcome, TableReport};
pub use table::{Column, Format, Table};
