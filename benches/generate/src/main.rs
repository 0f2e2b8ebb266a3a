//! The program `generate`: makes seeded API payloads for benchmarks and trials.
//!
//! ```text
//! generate --shape orders --bytes 500MB | engine …
//! generate --shape wide --columns 300 --records 1000000 --to raw/wide --files 8
//! ```

mod cli;
mod output;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::Arguments;
use output::WriteError;

const EXIT_USAGE: u8 = 64;
const EXIT_OUTPUT: u8 = 74;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to do when the terminal itself is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let generator = arguments.generator();
    let written = match &arguments.to {
        Some(folder) => {
            output::to_folder(&generator, &arguments.plan(), folder, arguments.shape.as_str())
        }
        None => output::to_stream(&generator, &arguments.plan(), &mut io::stdout().lock()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // `generate … | head` is a fine way to look at a shape.
        Err(WriteError::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", chain(&error));
            ExitCode::from(EXIT_OUTPUT)
        }
    }
}

/// An error with its sources, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
