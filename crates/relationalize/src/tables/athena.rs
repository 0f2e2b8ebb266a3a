//! `CREATE EXTERNAL TABLE` for AWS Athena, in Hive's dialect.

use std::fmt::Write;

use crate::relation::{Column, Role};
use crate::shape::ColumnType;

use super::{Catalog, CatalogTable};

/// Characters of a column's comment that the catalog of AWS Glue takes.
const MAX_COMMENT: usize = 255;

/// A statement for each table over the folder of its files; every column's comment is its JSON path.
///
/// Athena reads all files of a folder. Between a run's first file and its manifest it sees files that
/// are not committed yet.
pub fn athena_ddl(catalog: &Catalog) -> String {
    let statements: Vec<String> = catalog.tables.iter().map(statement).collect();
    statements.join("\n")
}

fn statement(table: &CatalogTable) -> String {
    let mut text = String::new();
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_plain(&table.name) || !table.columns.iter().all(|column| is_plain(&column.name)) {
        text.push_str(
            "-- Athena knows no names like these; --naming sql makes names that it knows.\n",
        );
    }
    let _ = writeln!(text, "CREATE EXTERNAL TABLE IF NOT EXISTS {} (", name(&table.name));
    for (number, column) in table.columns.iter().enumerate() {
        let comma = if number + 1 < table.columns.len() { "," } else { "" };
        let comment: String = column.path.chars().take(MAX_COMMENT).collect();
        let _ = writeln!(
            text,
            "  {} {} COMMENT {}{comma}",
            name(&column.name),
            hive_type(&column.column),
            quoted(&comment),
        );
    }
    let _ = writeln!(
        text,
        ")\nCOMMENT {}\nSTORED AS PARQUET\nLOCATION {};",
        quoted(&format!("{} of {}", table.path, table.root)),
        quoted(&format!("{}/", table.location)),
    );
    text
}

/// The type of a column as Hive and Athena write it.
pub fn hive_type(column: &Column) -> String {
    match column.role {
        Role::List => format!("array<{}>", scalar(column.column_type)),
        Role::Struct => {
            let field = |kind: &crate::relation::ScalarKind| {
                format!("{}:{}", kind.name(), scalar(kind.column_type()))
            };
            let fields: Vec<String> = column.fields.iter().map(field).collect();
            format!("struct<{}>", fields.join(","))
        }
        _ => scalar(column.column_type),
    }
}

fn scalar(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Int32 => "int",
        ColumnType::Int64 => "bigint",
        ColumnType::Decimal { precision, scale } => {
            return format!("decimal({precision},{scale})");
        }
        ColumnType::Float64 => "double",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Date => "date",
        ColumnType::String | ColumnType::Number | ColumnType::Mixed | ColumnType::Json => "string",
    }
    .to_owned()
}

fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal of Hive, where a backslash escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
