//! YAML → serde's types, and of all that is wrong where it stands.
//!
//! Serde alone stops at the first fault, and knows no place inside of tagged enums. So the file becomes a tree
//! with locations first, which is held against the schema of the types; then serde reads it.

mod check;
mod tree;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_saphyr::Error;

pub use check::{Problem, check};
pub use tree::{Key, Node, Value};

/// What was read, and where it stands (for what is only found wrong later).
#[derive(Debug)]
pub struct Located<T> {
    /// What was read.
    pub value: T,
    /// The same with locations.
    pub tree: Node,
}

/// Reads `text`.
///
/// # Errors
///
/// All that is wrong, in the order of the file.
pub fn read<T>(text: &str) -> Result<Located<T>, Vec<Problem>>
where
    T: DeserializeOwned + JsonSchema,
{
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let tree = tree(text)?;
    check(&tree, schema.as_value())?;
    Ok(Located { value: parse(text)?, tree })
}

/// Reads `text` as a tree, whatever it says.
///
/// # Errors
///
/// It is no YAML.
pub fn tree(text: &str) -> Result<Node, Vec<Problem>> {
    parse(text)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location();
        let message = match error.without_snippet() {
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("key `{key}` is set twice")
            }
            // The tree takes any value, so this can only be a key, as in `value: {{ token }}`.
            Error::Unexpected { expected: "string scalar", .. } => {
                "a key must be text (a value that begins with a brace needs quotes)".to_owned()
            }
            other => {
                let message = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
                let end = at.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
                let short = end.and_then(|end| message.strip_suffix(&end).map(str::to_owned));
                short.unwrap_or(message)
            }
        };
        vec![Problem { at, path: String::new(), message }]
    })
}
