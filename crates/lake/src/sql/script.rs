//! The text of a query: where it stands, and its statements.

use datafusion::error::DataFusionError;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::error::Error;

pub(super) use datafusion::sql::parser::Statement;

/// The most levels that expressions may be nested.
const MAX_DEPTH: usize = 50;

/// One or more statements, divided by semicolons.
#[derive(Clone, Debug)]
pub struct Script {
    name: String,
    text: String,
}

impl Script {
    /// A text, and the name that messages call it by: its file, or the option that gave it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Script {
        Script { name: name.into(), text: text.into() }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The statements.
    ///
    /// # Errors
    ///
    /// The text is no SQL, or has no statement.
    pub(super) fn statements(&self) -> Result<Vec<Statement>, Error> {
        let parser = DFParserBuilder::new(self.text.as_str())
            .with_dialect(&GenericDialect {})
            .with_recursion_limit(MAX_DEPTH)
            .build();
        let statements = parser.and_then(|mut parser| parser.parse_statements());
        let statements = statements.map_err(|error| self.mistake(error))?;
        match statements.is_empty() {
            true => Err(Error::NoStatement { script: self.name.clone() }),
            false => Ok(statements.into()),
        }
    }

    /// The tables that the statements name, without schemas and versions; those that they make are among them.
    ///
    /// # Errors
    ///
    /// The text is no SQL, or has no statement.
    pub fn tables(&self) -> Result<Vec<String>, Error> {
        let mut tables = Vec::new();
        for statement in self.statements()? {
            let named = resolve_table_references(&statement, true);
            let (named, _) = named.map_err(|error| self.mistake(error))?;
            for table in named {
                let name = table.table().split('@').next().unwrap_or_default().to_owned();
                if !tables.contains(&name) {
                    tables.push(name);
                }
            }
        }
        Ok(tables)
    }

    /// A mistake in the text, at the place that the error tells.
    pub(super) fn mistake(&self, error: DataFusionError) -> Error {
        super::mistake::told(self, error)
    }

    /// A mistake at a line and a column, both from 1.
    pub(super) fn mistake_at(&self, at: Option<(u64, u64)>, text: String) -> Error {
        let place = match at {
            Some((line, column)) => format!("{}:{line}:{column}", self.name),
            None => self.name.clone(),
        };
        Error::Sql { place, mistake: text }
    }

    /// A mistake in a statement that is part of another one, so that a place in it means nothing.
    pub(crate) fn mistake_in_all(&self, error: DataFusionError) -> Error {
        self.as_a_whole(self.mistake(error))
    }

    /// A mistake at the script, wherever in it.
    pub(crate) fn as_a_whole(&self, error: Error) -> Error {
        match error {
            Error::Sql { mistake, .. } => Error::Sql { place: self.name.clone(), mistake },
            other => other,
        }
    }

    /// A statement that was right, and failed over the rows.
    pub(crate) fn failed(&self, error: DataFusionError) -> Error {
        Error::Query { script: self.name.clone(), source: Box::new(error) }
    }
}
