//! The place of the program `ingest`, which brings REST APIs to `raw/`. There is nothing here yet.
//!
//! ```text
//!   REST API ──▶ request ──▶ page ──▶ land ══▶ raw/ ══▶ program `engine`
//! ```
//!
//! It will read one YAML file per source and land the records as the API sent them, byte for byte, with
//! a manifest written last that makes them count. The contract of `raw/`, which both programs keep, is the
//! crate `solder-landing`; this crate shares nothing else with `engine`.
