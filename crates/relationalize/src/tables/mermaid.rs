//! An entity relationship diagram for Mermaid.
//!
//! Mermaid takes entity names in quotes, but attributes only as words: letters, digits and
//! underscores, a letter or an underscore first, and none of its own keywords. What does not fit is
//! replaced, and the comment says the name.

use std::fmt::Write;

use crate::relation::{Column, Role};
use crate::shape::ColumnType;

use super::{Catalog, CatalogColumn, CatalogTable};

/// Words that the diagram's grammar claims where an entity or a label may stand.
const KEYWORDS: [&str; 19] = [
    "acctitle",
    "accdescr",
    "class",
    "classdef",
    "direction",
    "end",
    "erdiagram",
    "many",
    "o",
    "one",
    "only",
    "optionally",
    "style",
    "subgraph",
    "title",
    "to",
    "u",
    "zero",
    "or",
];

/// One diagram of all tables: keys marked, and a line from every parent to its children.
pub fn mermaid(catalog: &Catalog) -> String {
    let mut text = "erDiagram\n".to_owned();
    for table in &catalog.tables {
        let _ = writeln!(text, "    {} {{", word_or_quoted(&table.name));
        for column in &table.columns {
            let _ = writeln!(text, "        {}", attribute(table, column));
        }
        text.push_str("    }\n");
    }
    for table in &catalog.tables {
        if let Some(parent) = table.parent.as_ref().filter(|parent| catalog.table(parent).is_some())
        {
            let _ = writeln!(
                text,
                "    {} ||--o{{ {} : {}",
                word_or_quoted(parent),
                word_or_quoted(&table.name),
                word_or_quoted(label(&table.path)),
            );
        }
    }
    text
}

fn attribute(table: &CatalogTable, column: &CatalogColumn) -> String {
    let name = attribute_name(&column.name);
    let mut comment = column.path.to_string();
    if name != column.name {
        comment = format!("{}: {comment}", column.name);
    }
    let is_foreign = table.join_parent.iter().any(|pair| pair.column == column.name);
    let keys = match (table.primary_key.contains(&column.name), is_foreign) {
        (true, true) => " PK, FK",
        (true, false) => " PK",
        (false, true) => " FK",
        (false, false) => "",
    };
    format!("{} {name}{keys} \"{}\"", type_word(&column.column), plain(&comment))
}

/// The type as one word.
fn type_word(column: &Column) -> String {
    match column.role {
        Role::List => format!("{}[]", scalar_word(column.column_type)),
        Role::Struct => "struct".to_owned(),
        _ => scalar_word(column.column_type),
    }
}

fn scalar_word(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Decimal { precision, scale } => format!("decimal_{precision}_{scale}"),
        ColumnType::Number => "number".to_owned(),
        ColumnType::Mixed => "mixed".to_owned(),
        ColumnType::Json => "json".to_owned(),
        other => other.to_string(),
    }
}

fn attribute_name(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut word: String = name.chars().map(word).collect();
    if word.is_empty() || word.starts_with(|first: char| first.is_ascii_digit()) {
        word.insert(0, '_');
    }
    if ["pk", "fk", "uk"].contains(&word.to_ascii_lowercase().as_str()) {
        word.push('_');
    }
    word
}

/// What an array or a map is called in its parent.
fn label(path: &str) -> &str {
    let name = path.trim_end_matches("[*]").trim_end_matches(".*");
    let name = name.rsplit(['.', '[']).next().unwrap_or(name);
    match name.trim_end_matches(']').trim_matches('\'') {
        "" | "$" | "*" => path,
        name => name,
    }
}

fn word_or_quoted(name: &str) -> String {
    let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_word && !KEYWORDS.contains(&name.to_ascii_lowercase().as_str()) {
        true => name.to_owned(),
        false => format!("\"{}\"", plain(name).replace(['%', '\\'], "_")),
    }
}

/// Text without what ends a quoted text, or means something in it.
fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        '~' => '-',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(plain).collect()
}
