//! Object stores end to end: the program against an S3 server in this process, and what it says where no
//! store answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod access;
mod catalog;
mod doctor;
mod engine;
#[path = "../lake/mod.rs"]
mod lake;
mod landed;
#[path = "../landing/mod.rs"]
mod landing;
mod many_small;
mod merge;
mod other_stores;
mod s3;
mod s3_faults;
mod server;
