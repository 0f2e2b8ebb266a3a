//! Both programs in one file, for images: what they share stands in it once.
//!
//! Links of the names `engine` and `ingest` lead to it; the name that it is called by says which of them it is.

use std::env::args_os;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_USAGE: u8 = 64;

#[expect(clippy::print_stderr, reason = "there is no program yet whose output it is")]
fn main() -> ExitCode {
    let called = args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some("engine") => solder_engine::main(),
        Some("ingest") => solder_ingest::program::main(),
        _ => {
            eprintln!(
                "error: {} is both programs in one file, and the name it is called by says which\n\
                 help: call it as `engine` or `ingest`, by links of these names",
                called.display()
            );
            ExitCode::from(EXIT_USAGE)
        }
    }
}
