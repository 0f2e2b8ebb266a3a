//! The program `engine`: reads the command line, calls the library, prints, and says by its exit
//! code how it went.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program's output")]

mod cli;
mod output;

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use solder_engine::progress::NoProgress;
use solder_engine::{Crew, Error, Io, Pool, Stop, nest, nest_to, relationalize};

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
        Command::Nest(args) => nest_command(&args),
    }
}

fn nest_command(args: &cli::Nest) -> Result<(), Error> {
    let crew = crew(1, Arc::new(NoProgress))?;
    if let Some(to) = &args.to {
        let num_records = nest_to(&args.curated, &args.table, &crew, to)?;
        println!("{} records in {to}", output::thousands(num_records));
        return Ok(());
    }
    match nest(&args.curated, &args.table, &crew, "standard output", &mut std::io::stdout()) {
        // Who reads has seen enough.
        Err(Error::Write { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map(drop),
    }
}

fn crew(
    num_threads: usize,
    progress: Arc<dyn solder_engine::progress::Progress>,
) -> Result<Crew, Error> {
    let no_threads = |source| Error::Read { object: "the system's threads".to_owned(), source };
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
