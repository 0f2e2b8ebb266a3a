//! Views for DuckDB.

use std::fmt::Write;

use super::Catalog;

/// A view for each table over its committed files, in the order of their rows; comments hold the JSON
/// paths.
///
/// The files of a view are those of now: a later run that replaces or widens tables needs new views.
pub fn duckdb_ddl(catalog: &Catalog) -> String {
    let mut text = format!(
        "-- The files of commit {} ({}) of {}\n",
        catalog.sequence,
        catalog.run_id,
        // A line break would end the comment.
        catalog.place.replace(['\n', '\r'], " ")
    );
    for table in &catalog.tables {
        let name = name(&table.name);
        let files: Vec<String> = table.files.iter().map(|file| literal(&file.path)).collect();
        let _ = writeln!(
            text,
            "\nCREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([\n  {}\n]);",
            files.join(",\n  ")
        );
        let comment = literal(&format!("{} of {}", table.path, table.root));
        let _ = writeln!(text, "COMMENT ON VIEW {name} IS {comment};");
        // DuckDB has no way to write a name without characters, which the Glue profile keeps.
        for column in table.columns.iter().filter(|column| !column.name.is_empty()) {
            let _ = writeln!(
                text,
                "COMMENT ON COLUMN {name}.{} IS {};",
                self::name(&column.name),
                literal(&column.path)
            );
        }
    }
    text
}

fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
