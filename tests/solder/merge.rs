//! Staged runs into Delta tables, by the rules M1 to M12 of `docs/rules.md`: through the library, and read
//! back by deltalake, which shares no code with the merge's own reader.

mod children;
mod commits;
mod deletes;
mod errors;
mod feed;
mod history;
mod history_feed;
pub mod lab;
mod maintain;
mod modes;
mod schema;
