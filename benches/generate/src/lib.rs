//! Seeded API payloads for tests and benchmarks.
//!
//! ```text
//! Shape + seed ──▶ Generator ──▶ write_record(index) ──▶ bytes of one JSON object
//! ```
//!
//! Record `index` depends only on the shape, the seed and the index. So a range of records can be
//! made on its own, ranges can be made in parallel, and any way of cutting a data set into files
//! holds the same records. Bytes are written directly, without a JSON value in between, so that
//! the generator is not what a benchmark measures.
//!
//! ```
//! use solder_generate::{Generator, Shape};
//!
//! let generator = Generator::new(Shape::Orders, 1);
//! let mut ndjson = Vec::new();
//! for index in 0..3 {
//!     generator.write_record(&mut ndjson, index);
//!     ndjson.push(b'\n');
//! }
//!
//! let mut third = Vec::new();
//! generator.write_record(&mut third, 2);
//! third.push(b'\n');
//! assert!(ndjson.ends_with(&third));
//! ```

mod generator;
mod json;
mod random;
mod shapes;
mod words;

pub use generator::{Generator, Shape};
