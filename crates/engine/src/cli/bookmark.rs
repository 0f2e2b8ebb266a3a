//! `engine bookmark`.

use clap::{Args, Subcommand, ValueEnum};
use solder_relationalize::Error;
use solder_relationalize::curated::Curated;
use solder_relationalize::curated::bookmark::{Stamp, change_text, reset, rewind, show, show_text};

/// Show what has been read, forget it, or go back to an earlier run
#[derive(Debug, Args)]
pub(crate) struct Bookmark {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the runs, and the objects that every table has read
    Show(Target),
    /// Forget what was read: the next run reads everything and replaces the tables
    Reset(Target),
    /// Take back the runs after one: their rows leave the tables, and the next `--bookmark` run reads
    /// their objects again
    Rewind {
        #[command(flatten)]
        target: Target,

        /// The run to go back to: its id or its number, as `engine bookmark show` lists them
        #[arg(long, value_name = "RUN")]
        to: String,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// Folder or URL of the tables
    place: String,

    /// Only this root table
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Bookmark {
    /// The curated place.
    pub(crate) fn place(&self) -> &str {
        &self.target().place
    }

    fn target(&self) -> &Target {
        match &self.command {
            Command::Show(target) | Command::Reset(target) => target,
            Command::Rewind { target, .. } => target,
        }
    }

    /// Does it; returns what to print.
    pub(crate) fn run(&self, curated: &Curated) -> Result<String, Error> {
        let Target { table, format, .. } = self.target();
        let table = table.as_deref();
        let change = match &self.command {
            Command::Show(_) => {
                let bookmarks = show(curated, table)?;
                return match format {
                    Format::Text => Ok(show_text(&bookmarks)),
                    Format::Json => super::json(&bookmarks),
                };
            }
            Command::Reset(_) => reset(curated, table, &Stamp::now())?,
            Command::Rewind { to, .. } => rewind(curated, table, to, &Stamp::now())?,
        };
        match format {
            Format::Text => Ok(change_text(&change)),
            Format::Json => super::json(&change),
        }
    }
}
