//! Expectations as they are written in a job file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Error;

use super::statement::text;
use super::{Expectation, Kind, Level};

/// One expectation: exactly one of the first nine says what must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSection {
    /// None of the columns is null.
    not_null: Option<Names>,
    /// No two rows have the same values in the columns; rows with a null there are left out.
    unique: Option<Names>,
    /// The column has one of the values, or null.
    accepted_values: Option<AcceptedValues>,
    /// The column lies between two values, or is null.
    range: Option<Range>,
    /// The column's text matches a regular expression, or is null.
    matches: Option<Matches>,
    /// The table has so many rows.
    row_count: Option<RowCount>,
    /// The newest value of the column is not older than this.
    fresh: Option<Fresh>,
    /// The values of the column stand in a column of another table, or are null.
    references: Option<References>,
    /// A statement that gives no rows.
    no_rows: Option<String>,
    /// What it means when it does not hold: `fail` (the default) or `warn`.
    level: Option<LevelName>,
    /// It must hold of the staged rows before they come into the lake.
    #[serde(default)]
    before_merge: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcceptedValues {
    column: String,
    values: Vec<Scalar>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    column: String,
    min: Option<Scalar>,
    max: Option<Scalar>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Matches {
    column: String,
    pattern: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RowCount {
    min: Option<u64>,
    max: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fresh {
    column: String,
    /// A time such as `36h`, `2d` or `PT36H`.
    within: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct References {
    column: String,
    table: String,
    to: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LevelName {
    Warn,
    Fail,
}

/// The expectations of a job file, tables in order.
///
/// # Errors
///
/// One says nothing, or more than one thing, or a time that is none.
pub fn expectations(
    file: &str,
    checks: &BTreeMap<String, Vec<CheckSection>>,
) -> Result<Vec<Expectation>, Error> {
    let mut expectations = Vec::new();
    for (table, sections) in checks {
        for (number, section) in sections.iter().enumerate() {
            let at = format!("{file}: checks.{table}[{number}]");
            let kind = kind(section).map_err(|why| Error::CheckSection { at: at.clone(), why })?;
            let level = match section.level {
                Some(LevelName::Warn) => Level::Warn,
                Some(LevelName::Fail) | None => Level::Fail,
            };
            let before_merge = section.before_merge;
            expectations.push(Expectation { table: table.clone(), kind, level, before_merge, at });
        }
    }
    Ok(expectations)
}

fn kind(section: &CheckSection) -> Result<Kind, String> {
    let section = section.clone();
    let said = [
        section.not_null.map(|names| Ok(Kind::NotNull(names.into()))),
        section.unique.map(|names| Ok(Kind::Unique(names.into()))),
        section.accepted_values.map(accepted),
        section.range.map(range),
        section.matches.map(|matches| Ok(Kind::Matches(matches.column, matches.pattern))),
        section.row_count.map(row_count),
        section.fresh.map(fresh),
        section.references.map(|to| Ok(Kind::References(to.column, to.table, to.to))),
        section.no_rows.map(|statement| Ok(Kind::None(unended(&statement)))),
    ];
    let mut said = said.into_iter().flatten();
    match (said.next(), said.next()) {
        (Some(kind), None) => kind,
        (None, _) => Err("it says nothing that must hold; there are not_null, unique, accepted_values, range, matches, row_count, fresh, references and no_rows".to_owned()),
        (Some(_), Some(_)) => Err("it says more than one thing that must hold; give each an entry of its own".to_owned()),
    }
}

fn accepted(accepted: AcceptedValues) -> Result<Kind, String> {
    match accepted.values.is_empty() {
        true => Err("accepted_values has no values".to_owned()),
        false => {
            let values = accepted.values.iter().map(Scalar::literal).collect();
            Ok(Kind::Accepted(accepted.column, values))
        }
    }
}

fn range(range: Range) -> Result<Kind, String> {
    if range.min.is_none() && range.max.is_none() {
        return Err("range needs min, max or both".to_owned());
    }
    let literal = |value: Option<Scalar>| value.map(|value| value.literal());
    Ok(Kind::Range(range.column, literal(range.min), literal(range.max)))
}

fn row_count(count: RowCount) -> Result<Kind, String> {
    match (count.min, count.max) {
        (None, None) => Err("row_count needs min, max or both".to_owned()),
        (min, max) => Ok(Kind::RowCount(min, max)),
    }
}

fn fresh(fresh: Fresh) -> Result<Kind, String> {
    let seconds = seconds(&fresh.within)
        .ok_or_else(|| format!("within: `{}` is no time such as 36h, 2d or PT36H", fresh.within))?;
    Ok(Kind::Fresh(fresh.column, seconds))
}

/// A time such as `36h`, `2d` or `PT36H`, in seconds; a day has 24 hours.
fn seconds(text: &str) -> Option<u64> {
    let span: jiff::SignedDuration = match text.parse::<jiff::Span>() {
        Ok(span) => span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?,
        Err(_) => return None,
    };
    u64::try_from(span.as_secs()).ok().filter(|seconds| *seconds > 0)
}

/// A statement without the semicolon at its end, so that it can stand in another one.
fn unended(statement: &str) -> String {
    statement.trim_end().trim_end_matches(';').to_owned()
}

impl Scalar {
    fn literal(&self) -> String {
        match self {
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => text(value),
        }
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Vec<String> {
        match names {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        }
    }
}
