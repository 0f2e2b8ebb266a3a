//! How tables cannot be registered, whose fault it is, and the exit code that says so.

use crate::aws;

/// Why tables are not in the catalog, or not all of them. What was committed is not touched by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text names no database.
    #[error(
        "`{text}` names no database: expected glue://DATABASE, with a name of lower-case letters, digits, `_`, `-` and `.`"
    )]
    NoDatabaseName {
        /// As given.
        text: String,
    },

    /// Tables that Athena could not read.
    #[error("the Glue Data Catalog holds tables in S3, and `{place}` is no s3:// place")]
    NotInS3 {
        /// The place.
        place: String,
    },

    /// The tables that are committed cannot be described.
    #[error("reading what the committed tables look like")]
    Describe {
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The exit code of that.
        exit_code: u8,
    },

    /// The database is not there. Databases are not made here: that takes a permission of its own.
    #[error(
        "there is no database `{database}` in the Glue Data Catalog of {region}; `aws glue create-database --region {region} --database-input Name={database}` makes it"
    )]
    NoDatabase {
        /// Its name.
        database: String,
        /// The region that was asked.
        region: String,
    },

    /// A call failed.
    #[error("{doing} in the Glue Data Catalog{}", progress(*.num_done, *.num_tables))]
    Call {
        /// `registering the table `crm.donors``.
        doing: String,
        /// Tables that are as they should be.
        num_done: usize,
        /// Tables in all.
        num_tables: usize,
        /// What AWS says.
        source: Box<aws::Error>,
    },

    /// Somebody else changed the table, again and again.
    #[error("others changed the table `{table}` {attempts} times while it was being registered")]
    Contended {
        /// Database and table.
        table: String,
        /// How often this was tried.
        attempts: usize,
    },

    /// Tables that are left as they are, or that the catalog cannot hold (G2, G3).
    #[error("`{table}` is not registered: {why}{}", more(*.num_more))]
    Refused {
        /// Database and table, of the first one.
        table: String,
        /// Why it is not.
        why: String,
        /// How many others.
        num_more: usize,
    },
}

impl Error {
    /// The exit code, after sysexits; 75 alone says that a retry can help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoDatabaseName { .. } | Self::NotInS3 { .. } => 64,
            Self::Describe { exit_code, .. } => *exit_code,
            Self::NoDatabase { .. } => 78,
            Self::Call { source, .. } => source.exit_code(),
            Self::Contended { .. } => 75,
            Self::Refused { .. } => 73,
        }
    }
}

fn progress(num_done: usize, num_tables: usize) -> String {
    match num_done {
        0 => String::new(),
        _ => format!(", when {num_done} of {num_tables} tables were done"),
    }
}

fn more(num_more: usize) -> String {
    match num_more {
        0 => String::new(),
        1 => " (and 1 more)".to_owned(),
        _ => format!(" (and {num_more} more)"),
    }
}
