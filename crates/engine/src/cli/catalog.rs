//! Where committed tables are registered: an option of every command that commits some.

use clap::Args;
use solder_operate::catalog::Database;
use solder_relationalize::Error;

/// The option.
#[derive(Debug, Args)]
pub(crate) struct CatalogArg {
    /// Register the tables in this database of the Glue Data Catalog, so that Athena knows them
    ///
    /// After the commit, with the JSON paths as comments of the columns. The tables must be in S3, and the database must
    /// be there. A table that Solder did not make is left as it is, and told.
    #[arg(long, value_name = "glue://DATABASE", help_heading = "Catalog")]
    pub(crate) catalog: Option<String>,
}

impl CatalogArg {
    /// The database for the tables of a place, if one was said.
    ///
    /// # Errors
    ///
    /// The text names none, or the place is not in S3 (G1).
    pub(crate) fn database(&self, place: &str) -> Result<Option<Database>, Error> {
        database(self.catalog.as_deref(), place)
    }
}

/// As [`CatalogArg::database`], for a text of another origin.
pub(crate) fn database(text: Option<&str>, place: &str) -> Result<Option<Database>, Error> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.parse::<Database>().and_then(|database| {
        database.check_place(place)?;
        Ok(database)
    });
    parsed.map(Some).map_err(|source| Error::Option {
        option: "--catalog",
        value: text.to_owned(),
        source: Box::new(source),
    })
}
