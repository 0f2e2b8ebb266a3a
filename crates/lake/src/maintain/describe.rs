//! What tables look like, for whoever keeps a catalog of them.

use solder_relationalize::relation::Column;

use crate::delta::schema;
use crate::error::Error;
use crate::lake::Lake;
use crate::sql::ORIGIN;

/// A Delta table as others are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its folder: place and name in one text.
    pub address: String,
    /// What its rows are, for people: `$.gifts[*] of donors`.
    pub description: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// Root tables at their latest versions, each with its child tables, in the order of their names.
///
/// # Errors
///
/// One of the roots is not there, a log cannot be read, or a column is of a type that staging does not have.
pub async fn describe(lake: &Lake, roots: &[String]) -> Result<Vec<Described>, Error> {
    let mut described = Vec::new();
    for root in roots {
        let mut tables = vec![lake.existing(root).await?];
        tables.extend(lake.children(root, |_| true).await?);
        for table in &tables {
            described.push(Described {
                name: table.name().to_owned(),
                address: lake.place().address(table.name()),
                description: match table.property(schema::PATH) {
                    Some(ORIGIN) => "the rows of a statement".to_owned(),
                    path => format!("{} of {root}", path.unwrap_or("$")),
                },
                columns: schema::columns(table)?,
            });
        }
    }
    Ok(described)
}
