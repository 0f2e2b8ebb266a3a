//! Mistakes in statements: where they stand, and what was meant perhaps.

use datafusion::common::{SchemaError, TableReference};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::Error;
use crate::readable::choice;

use super::catalog::{self, Tables};
use super::script::Script;

/// How alike two names must be for one to be taken for the other, from 0 to 1.
const ALIKE: f64 = 0.7;

/// Refuses a statement that names a table which is not there, before anything is opened.
///
/// # Errors
///
/// There is no such table: says which is nearest.
pub fn check_names(
    context: &SessionContext,
    tables: &Tables,
    script: &Script,
    statement: &Statement,
) -> Result<(), Error> {
    let references = context.state().resolve_table_references(statement);
    let made = table_made(statement);
    for reference in references.map_err(|error| script.mistake(error))? {
        let name = reference.table();
        if made.as_deref() == Some(name) {
            continue;
        }
        let is_ours = match &reference {
            TableReference::Bare { .. } => true,
            TableReference::Partial { schema, .. } => catalog::SCHEMAS.contains(&schema.as_ref()),
            // Others are the information schema, and what the statements before have made.
            TableReference::Full { .. } => false,
        };
        let is_made = context.table_exist(reference.clone()).unwrap_or(false);
        if !is_ours || is_made || tables.has(reference.schema(), name) {
            continue;
        }
        let names = tables.names(reference.schema());
        let text = match nearest(name, &names) {
            Some(nearest) => format!("there is no table `{name}`; is `{nearest}` meant?"),
            None if names.is_empty() => format!(
                "there is no table `{name}`, nor any other: name a place with --lake or --curated, or a file with --file"
            ),
            None => format!("there is no table `{name}`{}", choice("there are", &names)),
        };
        return Err(script.mistake_at(place_of(script.text(), name), text));
    }
    Ok(())
}

/// The table that a statement makes: its name is no reference.
fn table_made(statement: &Statement) -> Option<String> {
    let Statement::Statement(statement) = statement else { return None };
    let ast::Statement::CreateTable(table) = statement.as_ref() else { return None };
    let name = table.name.0.last()?.as_ident()?;
    // As the planner spells it.
    Some(if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() })
}

/// The error of a planner or parser as one about the script.
pub fn told(script: &Script, error: DataFusionError) -> Error {
    if let Some((place, text)) = of_parser(&error) {
        return script.mistake_at(place, text);
    }
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let mut place = span.map(|span| (span.start.line, span.start.column));
    let root = error.find_root();
    let text = match root {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                place = place.or_else(|| place_of(script.text(), &field.name));
                let names = valid_fields.iter().map(|field| field.name.clone());
                let mut names: Vec<String> = names.collect();
                names.sort();
                names.dedup();
                match nearest(&field.name, &names) {
                    Some(nearest) => {
                        format!("there is no column `{}`; is `{nearest}` meant?", field.flat_name())
                    }
                    None => format!(
                        "there is no column `{}`{}",
                        field.flat_name(),
                        choice("there are", &names)
                    ),
                }
            }
            SchemaError::AmbiguousReference { field } => {
                place = place.or_else(|| place_of(script.text(), &field.name));
                format!("`{}` is a column of several tables: say of which", field.flat_name())
            }
            other => other.to_string(),
        },
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            // A table that could not be opened is no mistake of the statement.
            Some(_) => return lake_error(error, script),
            None => inner.to_string(),
        },
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            return script.failed(error);
        }
        DataFusionError::Execution(text)
        | DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text) => text.clone(),
        other => other.strip_backtrace(),
    };
    script.mistake_at(place, text.replace('\n', " "))
}

/// An error of our own that came back through the planner.
fn lake_error(error: DataFusionError, script: &Script) -> Error {
    let mut error = error;
    loop {
        error = match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => *inner,
            DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(ours) => return *ours,
                Err(other) => return script.failed(DataFusionError::External(other)),
            },
            other => return script.failed(other),
        };
    }
}

type At = Option<(u64, u64)>;

/// What the parser says, with the place that it has at the end of its text.
fn of_parser(error: &DataFusionError) -> Option<(At, String)> {
    let DataFusionError::SQL(error, _) = error.find_root() else { return None };
    let text = error.to_string();
    let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
    let Some((what, place)) = text.rsplit_once(" at Line: ") else {
        return Some((None, text.to_owned()));
    };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        let digits = column.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((line.trim().parse().ok()?, digits.parse().ok()?))
    });
    Some((place, what.to_owned()))
}

/// Where a name stands in a text for the first time.
fn place_of(text: &str, name: &str) -> At {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().ok()?;
    tokens.into_iter().find_map(|token| match &token.token {
        Token::Word(word) if word.value.eq_ignore_ascii_case(name) => {
            Some((token.span.start.line, token.span.start.column))
        }
        _ => None,
    })
}

/// The name most like another, when it is alike enough.
pub fn nearest<'n>(name: &str, names: &'n [String]) -> Option<&'n String> {
    let alike = |known: &&String| strsim::jaro_winkler(name, known);
    let best = names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) >= ALIKE).then_some(best)
}
