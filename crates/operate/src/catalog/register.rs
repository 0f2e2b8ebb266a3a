//! Table by table into the catalog, whoever else is at it (G3, G4).

use serde_json::{Value, json};

use crate::aws::{self, Client, Fault, Service};

use super::database::Database;
use super::error::Error;
use super::report::{CatalogReport, Outcome, TableReport};
use super::table::Table;

/// How often a table is looked at anew since others changed it.
const MAX_ATTEMPTS: usize = 5;

/// Makes the tables of the database those that are committed: makes what is missing, updates what has
/// changed, leaves alone what is as it should be or somebody else's.
///
/// A table that is refused keeps none of the others out; a call that fails ends it. Said again, it goes on
/// from there. Cost: a call for the database, one for each table, one more for each that changes.
///
/// Needs a tokio runtime with time and input and output enabled.
pub async fn register(client: &Client, database: &Database, tables: &[Table]) -> CatalogReport {
    let mut reports = Vec::with_capacity(tables.len());
    let ended = register_all(client, database, tables, &mut reports).await.err();
    CatalogReport::new(database, reports, ended)
}

async fn register_all(
    client: &Client,
    database: &Database,
    tables: &[Table],
    reports: &mut Vec<TableReport>,
) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    find_database(client, database, tables.len()).await?;
    for table in tables {
        let name = table.catalog_name();
        let is_taken = reports.iter().any(|report| report.table == name);
        let fault = match is_taken {
            true => Some("another table has this name, but for upper and lower case".to_owned()),
            false => table.fault(),
        };
        let report = match fault {
            Some(why) => TableReport::refused(&name, why),
            None => {
                let registering = Registering { client, database, table, name };
                registering.run().await.map_err(|failure| {
                    let table = format!("{}.{}", database.name(), table.catalog_name());
                    match failure {
                        Failure::Contended => Error::Contended { table, attempts: MAX_ATTEMPTS },
                        Failure::Call(source) => Error::Call {
                            doing: format!("registering the table `{table}`"),
                            num_done: reports.len(),
                            num_tables: tables.len(),
                            source: Box::new(source),
                        },
                    }
                })?
            }
        };
        reports.push(report);
    }
    Ok(())
}

/// Sees that the database is there, since a table that is missing is told in the same words.
async fn find_database(
    client: &Client,
    database: &Database,
    num_tables: usize,
) -> Result<(), Error> {
    let asked = json!({ "Name": database.name() });
    match client.call(&Service::GLUE, "GetDatabase", &asked).await {
        Ok(_) => Ok(()),
        Err(error) if error.fault() == Fault::NotFound => Err(Error::NoDatabase {
            database: database.name().to_owned(),
            region: client.region().await.unwrap_or_default(),
        }),
        Err(source) => Err(Error::Call {
            doing: format!("looking up the database `{}`", database.name()),
            num_done: 0,
            num_tables,
            source: Box::new(source),
        }),
    }
}

/// A table on its way into the catalog.
struct Registering<'r> {
    client: &'r Client,
    database: &'r Database,
    table: &'r Table,
    name: String,
}

/// How a table does not get there.
enum Failure {
    Call(aws::Error),
    Contended,
}

impl Registering<'_> {
    async fn run(&self) -> Result<TableReport, Failure> {
        for attempt in 1..=MAX_ATTEMPTS {
            let done = match self.existing().await? {
                None => self.create().await,
                Some(existing) => match self.table.why_foreign(&existing) {
                    Some(why) => Ok(TableReport::refused(&self.name, why)),
                    None => self.update(&existing).await,
                },
            };
            match done {
                Ok(report) => return Ok(report),
                Err(error) if is_overtaken(&error) => self.client.pause(attempt).await,
                // That the catalog does not take this table says nothing of the others.
                Err(error) if error.code().is_some_and(is_not_taken) => {
                    return Ok(TableReport::refused(&self.name, error.to_string()));
                }
                Err(error) => return Err(Failure::Call(error)),
            }
        }
        Err(Failure::Contended)
    }

    /// The table that has the name; `None` when none has.
    async fn existing(&self) -> Result<Option<Value>, Failure> {
        let asked = json!({ "DatabaseName": self.database.name(), "Name": self.name });
        match self.client.call(&Service::GLUE, "GetTable", &asked).await {
            Ok(mut answer) => Ok(Some(answer["Table"].take())),
            Err(error) if error.fault() == Fault::NotFound => Ok(None),
            Err(error) => Err(Failure::Call(error)),
        }
    }

    async fn create(&self) -> Result<TableReport, aws::Error> {
        let wanted =
            json!({ "DatabaseName": self.database.name(), "TableInput": self.table.input() });
        self.client.call(&Service::GLUE, "CreateTable", &wanted).await?;
        Ok(TableReport::new(&self.name, Outcome::Created))
    }

    async fn update(&self, existing: &Value) -> Result<TableReport, aws::Error> {
        let Some((input, report)) = self.table.change(existing) else {
            return Ok(TableReport::new(&self.name, Outcome::Unchanged));
        };
        // Without an archived version: the log and the manifests are the history, and versions have a limit.
        let wanted = json!({
            "DatabaseName": self.database.name(),
            "TableInput": input,
            "SkipArchive": true,
        });
        self.client.call(&Service::GLUE, "UpdateTable", &wanted).await?;
        Ok(report)
    }
}

/// Whether somebody else made, changed or removed the table since it was looked at.
fn is_overtaken(error: &aws::Error) -> bool {
    let codes =
        ["AlreadyExistsException", "ConcurrentModificationException", "EntityNotFoundException"];
    error.code().is_some_and(|code| codes.contains(&code))
}

fn is_not_taken(code: &str) -> bool {
    matches!(code, "InvalidInputException" | "ValidationException")
}
