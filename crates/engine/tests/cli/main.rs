//! The program `engine` as its users see it: what it prints, how it exits, how it stops.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod checks;
#[path = "../../../operate/tests/collector/mod.rs"]
#[allow(dead_code, reason = "each program's tests use a part of it")]
mod collector;
mod doctor;
mod errors;
mod help;
#[path = "../landing/mod.rs"]
mod landing;
mod log;
mod metrics;
mod nest;
mod observers;
mod report;
mod run;
mod signals;
mod sql;
mod stdin;
mod support;
mod token;
