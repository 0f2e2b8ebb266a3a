//! The place `curated/`.
mod manifest;
mod store;

pub use manifest::*;
pub use store::{Curated, Publication, Running};
