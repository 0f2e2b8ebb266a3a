//! The program `ingest` as its users see it: what it prints, how it exits, and what it keeps to itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod api;
mod exits;
mod help;
mod lambda;
mod log;
mod plan;
mod recorded;
mod report;
mod sources;
mod stdout;
mod support;
