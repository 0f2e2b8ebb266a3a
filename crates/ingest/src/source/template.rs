//! Texts with placeholders (I1): `{cursor.start}`, `{partition.repo}`, `${secret:env:KEY}`. Never code.

use std::fmt;

use super::compile::nearest;
use crate::page::JsonPath;
use crate::secrets::SecretRef;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(crate) parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Literal(String),
    Placeholder(Placeholder),
    Secret(SecretRef),
}

/// What a request takes from where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Placeholder {
    /// `{partition.NAME}`: the partition's value.
    Partition(String),
    /// `{parent.FIELD}`: a field of the parent's record.
    Parent(JsonPath),
    /// `{cursor.start}`: where this run begins to read; has no value in a first run without `initial`.
    CursorStart,
    /// `{window.start}`: the window's first moment.
    WindowStart,
    /// `{window.end}`: the moment after the window's last.
    WindowEnd,
    /// `{job.id}`: the id of the job whose result is fetched.
    JobId,
    /// `{run.id}`: the run's id.
    RunId,
    /// `{run.started}`: when the run began (RFC 3339, UTC).
    RunStarted,
    /// `{run.date}`: the day on which the run began (UTC).
    RunDate,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that does not exist.
    #[error("unknown placeholder `{{{name}}}` (braces that are meant as such are doubled: `{{{{{name}}}}}`){}", meant(suggestion.as_deref()))]
    Unknown {
        /// What stands between the braces.
        name: String,
        /// The nearest that exists.
        suggestion: Option<String>,
    },
    /// A reference to a secret that cannot be read.
    #[error("`${{secret:{reference}}}`: {reason}")]
    Secret {
        /// What stands behind `secret:`.
        reference: String,
        /// What is wrong.
        reason: String,
    },
    /// A reference to a secret that does not end.
    #[error("`${{secret:` has no closing `}}`")]
    Unclosed,
    /// A secret where none may be: it would be written to logs of servers and proxies.
    #[error("a secret cannot stand here, only in auth, headers, params and bodies")]
    SecretNotAllowed,
    /// A parameter that the source does not declare.
    #[error("`{{param.{name}}}`: the source declares no parameter `{name}` under `parameters`")]
    UndeclaredParam {
        /// Its name.
        name: String,
    },
    /// A parameter without a value.
    #[error("parameter `{name}` has no default and was not given: `--param {name}=VALUE`")]
    MissingParam {
        /// Its name.
        name: String,
    },
    /// A field of the parent that is no path.
    #[error("`{{parent.{field}}}`: {reason}")]
    ParentField {
        /// The field.
        field: String,
        /// What is wrong.
        reason: String,
    },
}

fn meant(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{{{name}}}`?"))
}

/// The values of `{param.NAME}`: `None` for one that has neither default nor value.
pub(crate) type Params = Vec<(String, Option<String>)>;

const KNOWN: [&str; 9] = [
    "cursor.start",
    "window.start",
    "window.end",
    "job.id",
    "run.id",
    "run.started",
    "run.date",
    "partition.NAME",
    "parent.FIELD",
];

impl Template {
    /// The template that a text says, with the parameters put in.
    pub(crate) fn parse(text: &str, params: &Params) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '$']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix("${secret:") {
                let (reference, behind) = behind.split_once('}').ok_or(TemplateError::Unclosed)?;
                push_literal(&mut parts, &mut literal);
                parts.push(Part::Secret(secret(reference)?));
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("{{") {
                literal.push('{');
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("}}") {
                literal.push('}');
                rest = behind;
            } else if let Some((name, behind)) = placeholder_name(rest) {
                match name.strip_prefix("param.") {
                    Some(name) => literal.push_str(param(name, params)?),
                    None => {
                        push_literal(&mut parts, &mut literal);
                        parts.push(Part::Placeholder(placeholder(name)?));
                    }
                }
                rest = behind;
            } else {
                literal.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        push_literal(&mut parts, &mut literal);
        Ok(Self { parts })
    }

    /// The placeholders in it.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            _ => None,
        })
    }

    /// The secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(reference) => Some(reference),
            _ => None,
        })
    }

    /// Refuses secrets, where they would be seen.
    pub(crate) fn without_secrets(self) -> Result<Self, TemplateError> {
        let has_secret = self.secrets().next().is_some();
        if has_secret { Err(TemplateError::SecretNotAllowed) } else { Ok(self) }
    }
}

/// A name between braces, and what follows: `{word.word}`. Braces around anything else are text.
fn placeholder_name(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_name.then_some((name, behind))
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

fn param<'a>(name: &str, params: &'a Params) -> Result<&'a str, TemplateError> {
    match params.iter().find(|(candidate, _)| candidate == name) {
        None => Err(TemplateError::UndeclaredParam { name: name.to_owned() }),
        Some((_, None)) => Err(TemplateError::MissingParam { name: name.to_owned() }),
        Some((_, Some(value))) => Ok(value),
    }
}

fn secret(reference: &str) -> Result<SecretRef, TemplateError> {
    reference.parse().map_err(|error: crate::secrets::ReferenceError| TemplateError::Secret {
        reference: reference.to_owned(),
        reason: error.to_string(),
    })
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    Ok(match name {
        "cursor.start" => Placeholder::CursorStart,
        "window.start" => Placeholder::WindowStart,
        "window.end" => Placeholder::WindowEnd,
        "job.id" => Placeholder::JobId,
        "run.id" => Placeholder::RunId,
        "run.started" => Placeholder::RunStarted,
        "run.date" => Placeholder::RunDate,
        _ => match name.split_once('.') {
            Some(("partition", name)) => Placeholder::Partition(name.to_owned()),
            Some(("parent", field)) => {
                let path = field.parse().map_err(|error: crate::page::PathFault| {
                    TemplateError::ParentField {
                        field: field.to_owned(),
                        reason: error.to_string(),
                    }
                })?;
                Placeholder::Parent(path)
            }
            _ => {
                let suggestion = nearest(name, KNOWN.into_iter()).map(ToOwned::to_owned);
                return Err(TemplateError::Unknown { name: name.to_owned(), suggestion });
            }
        },
    })
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placeholder::Partition(name) => write!(f, "{{partition.{name}}}"),
            Placeholder::Parent(path) => {
                write!(f, "{{parent.{}}}", path.to_string().trim_start_matches("$."))
            }
            Placeholder::CursorStart => f.write_str("{cursor.start}"),
            Placeholder::WindowStart => f.write_str("{window.start}"),
            Placeholder::WindowEnd => f.write_str("{window.end}"),
            Placeholder::JobId => f.write_str("{job.id}"),
            Placeholder::RunId => f.write_str("{run.id}"),
            Placeholder::RunStarted => f.write_str("{run.started}"),
            Placeholder::RunDate => f.write_str("{run.date}"),
        }
    }
}
