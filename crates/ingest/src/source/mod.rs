//! 0 · YAML → plan: a source file that was checked as a whole (I1).
//!
//! ```text
//!   source.yaml ──▶ solder-yaml   located tree, held against the schema: every wrong key with its place
//!                 ▶ document.rs   as it is written          ──▶ JSON Schema, docs/sources.md
//!                 ▶ compile.rs    what belongs together     auth.rs · template.rs
//!                 ▶ plan.rs       cannot be wrong any more  ──▶ walk/
//! ```

mod auth;
pub(crate) mod compile;
pub mod document;
mod ordered;
pub mod plan;
mod reference;
pub(crate) mod template;

use std::path::{Path, PathBuf};

pub use document::Document;
pub use reference::reference;
pub use solder_yaml::Problem;

use plan::Source;

/// Why a source file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}", listed(file, problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// All that was found, in the order of the file.
        problems: Vec<Problem>,
    },
    /// It has no stream of that name.
    #[error("`{}` has no stream `{stream}`{suggestion}", file.display())]
    NoStream {
        /// The file.
        file: PathBuf,
        /// The name.
        stream: String,
        /// The nearest that it has.
        suggestion: String,
    },
}

fn listed(file: &Path, problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|one| format!("{}:{one}", file.display())).collect();
    lines.join("\n")
}

/// Reads a source file. `params` are the names and values of `--param`.
///
/// # Errors
///
/// The file cannot be read, or says something that cannot be: all of it is listed, with lines and columns.
pub fn read(file: &Path, params: &[(String, String)]) -> Result<Source, SourceError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| SourceError::Read { file: file.to_owned(), source })?;
    parse(&text, file, params)
}

/// As [`read`], of a text; the file only names it.
///
/// # Errors
///
/// As [`read`].
pub fn parse(text: &str, file: &Path, params: &[(String, String)]) -> Result<Source, SourceError> {
    let invalid = |problems| SourceError::Invalid { file: file.to_owned(), problems };
    let located = solder_yaml::read::<Document>(text).map_err(invalid)?;
    let file_name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let placed = |fault: compile::Fault| {
        let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
        let at = Some(located.tree.locate(&path));
        Problem { at, path: fault.path.join("."), message: fault.message }
    };
    let compiled = compile::compile(&located.value, file_name, params);
    let (mut source, warnings) = compiled.map_err(|fault| invalid(vec![placed(fault)]))?;
    let warnings = warnings.into_iter().map(placed);
    source.warnings = warnings.map(|problem| format!("{}:{problem}", file.display())).collect();
    Ok(source)
}

/// The JSON Schema of source files, for editors.
pub fn schema() -> serde_json::Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<Document>().to_value()
}

/// The streams of a source that were asked for by name; all without names.
///
/// # Errors
///
/// There is no such stream.
pub fn select(source: &Source, file: &Path, names: &[String]) -> Result<Vec<usize>, SourceError> {
    if names.is_empty() {
        return Ok((0..source.streams.len()).collect());
    }
    let known = || source.streams.iter().map(|stream| stream.name.stream());
    let mut selected = Vec::new();
    for name in names {
        let position =
            known().position(|known| known == name).ok_or_else(|| SourceError::NoStream {
                file: file.to_owned(),
                stream: name.clone(),
                suggestion: compile::did_you_mean(name, known()),
            })?;
        if !selected.contains(&position) {
            selected.push(position);
        }
    }
    Ok(selected)
}
