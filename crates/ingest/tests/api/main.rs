//! Whole runs against servers on this machine: a source file in, what was landed and asked for out.
//!
//! ```text
//!   server.rs   answers by closures, and keeps every request
//!   lab.rs      source file ──▶ run ──▶ lines, states, manifests
//!
//!   shapes.rs        three common APIs, from the first run to the next        I1–I8
//!   paging.rs        how pages end, and what must not go on for ever          I4
//!   incremental.rs   where runs begin, and where the state stands after       I5
//!   partitions.rs    lists, parents and children                              I6
//!   errors.rs        attempts, waits, rules, exit codes                       I7
//!   limits.rs        rates, timeouts                                          I8, I12
//!   network.rs       where requests may go                                    I9
//!   formats.rs       bodies                                                   I10
//!   jobs.rs          create, poll, fetch                                      I11
//!   landing.rs       bytes, parts, manifests                                  I13
//!   secrets.rs       what must be found nowhere, and values that would break out   I2
//!   stops.rs         runs that are cut, and go on                             I15
//!   recording.rs     answers that are kept and played                         I14
//!   login.rs         tokens that are fetched, renewed and rotated             I3
//! ```
//!
//! A test is named after its rule in docs; `trap_NN` names what other programs got wrong there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

mod errors;
mod formats;
mod incremental;
mod jobs;
mod lab;
mod landing;
mod limits;
mod login;
mod network;
mod paging;
mod partitions;
mod recording;
mod secrets;
mod server;
mod shapes;
mod stops;
