//! The rules of the design, end to end: JSON text in, tables out.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bad_input;
mod bookmarks;
mod drift;
mod framing;
mod glue;
mod names;
mod support;
mod values;
