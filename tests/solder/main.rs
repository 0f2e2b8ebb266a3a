//! The engine from end to end: JSON in, tables out, by the rules of `docs/rules.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod bad_input;
mod bookmark;
mod bookmarks;
mod drift;
mod framing;
mod glue;
mod landing;
mod marts;
mod merge;
mod names;
mod nest;
mod round_trip;
mod sources;
mod sql;
mod support;
mod tables;
mod values;
mod way;
