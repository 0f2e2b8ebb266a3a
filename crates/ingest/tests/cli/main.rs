//! The program `ingest` as its users see it: what it prints, how it exits, and what it keeps to itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod api;
#[path = "../../../operate/tests/collector/mod.rs"]
#[allow(dead_code, reason = "each program's tests use a part of it")]
mod collector;
mod doctor;
mod exits;
mod help;
mod lambda;
mod log;
mod observers;
mod plan;
mod recorded;
mod report;
mod sources;
mod stdout;
mod support;
