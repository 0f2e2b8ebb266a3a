//! The engine from end to end: inputs, runs and what stands in the curated place afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bookmark;
mod tables;
