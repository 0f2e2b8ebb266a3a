//! The program `engine`: reads the command line, calls the library, prints, and says by its exit
//! code how it went.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program's output")]

mod cli;
mod output;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use solder_engine::curated::Curated;
use solder_engine::progress::NoProgress;
use solder_engine::{Crew, Error, Io, Pool, Stop, relationalize};

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

const EXIT_USAGE: u8 = 64;

fn run(cli: Cli) -> Result<(), Error> {
    match cli.command {
        Command::Relationalize(args) => {
            let settings = args.settings()?;
            let crew = crew(args.threads(), Arc::new(NoProgress))?;
            let report = relationalize(&settings, &crew)?;
            print!("{}", output::summary(&report, &settings.output));
            Ok(())
        }
        Command::Tables(args) => print_all(&args.run(&curated(&args.place)?)?),
        Command::Bookmark(args) => print_all(&args.run(&curated(args.place())?)?),
    }
}

fn curated(place: &str) -> Result<Curated, Error> {
    Curated::open(Arc::new(Io::start().map_err(no_threads)?), place)
}

/// Prints text whose reader may have seen enough before its end, as `head` has.
fn print_all(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Write { key: "standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn no_threads(source: std::io::Error) -> Error {
    Error::Read { object: "the system's threads".to_owned(), source }
}

fn crew(
    num_threads: usize,
    progress: Arc<dyn solder_engine::progress::Progress>,
) -> Result<Crew, Error> {
    let stop = Arc::new(Stop::default());
    for (signal, flag) in [
        (signal_hook::consts::SIGINT, &stop.interrupt),
        (signal_hook::consts::SIGTERM, &stop.terminate),
    ] {
        // A second signal of the same kind ends the program at once.
        let _ =
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone());
        let _ = signal_hook::flag::register(signal, flag.clone());
    }
    Ok(Crew {
        io: Arc::new(Io::start().map_err(no_threads)?),
        pool: Arc::new(Pool::start(num_threads).map_err(no_threads)?),
        progress,
        stop,
    })
}
