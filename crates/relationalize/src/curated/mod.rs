//! The place `curated/`.
pub mod bookmark;
mod bookmark_text;
mod manifest;
mod store;

pub use manifest::*;
pub use store::{Curated, Publication, Running};
