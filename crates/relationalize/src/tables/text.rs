//! Tables for people: a tree of all, then each with its columns.

use std::fmt::Write;

use crate::readable::{Align, aligned, count, size, thousands};

use super::{Catalog, CatalogColumn, CatalogTable, ColumnRole, JoinColumn};

/// Columns of a terminal that text is made for.
const WIDTH: usize = 100;
/// Wider names and types than these push only their own line.
const MAX_NAME: usize = 40;
const MAX_TYPE: usize = 24;

/// The tables as a tree, and each with its keys, joins and columns.
pub fn text(catalog: &Catalog) -> String {
    let mut text = format!(
        "{}, commit {} ({}, {})\n\n",
        catalog.place, catalog.sequence, catalog.run_id, catalog.committed_at
    );
    text.push_str(&overview(catalog));
    if let Some(quarantine) = &catalog.quarantine {
        let place = catalog.place.trim_end_matches('/');
        let rows = count(quarantine.rows, "bad record");
        let _ = writeln!(text, "\n{rows} set aside in {place}/_quarantine/");
    }
    for table in &catalog.tables {
        text.push('\n');
        text.push_str(&table_text(table));
    }
    text
}

fn overview(catalog: &Catalog) -> String {
    let mut rows = vec![["table", "rows", "columns", "files", "size"].map(str::to_owned)];
    let roots = catalog.tables.iter().filter(|table| {
        // The table that was asked for stands at the top, too.
        table.parent.as_ref().is_none_or(|parent| catalog.table(parent).is_none())
    });
    for root in roots {
        branch(catalog, root, "", "", &mut rows);
    }
    use Align::{Left, Right};
    aligned("", [Left, Right, Right, Right, Right], &rows)
}

/// A table behind its part of the tree, and those below it.
fn branch(
    catalog: &Catalog,
    table: &CatalogTable,
    before: &str,
    below: &str,
    rows: &mut Vec<[String; 5]>,
) {
    rows.push([
        format!("{before}{}", table.name),
        thousands(table.rows),
        table.columns.len().to_string(),
        table.files.len().to_string(),
        size(table.size_bytes),
    ]);
    let children: Vec<_> =
        catalog.tables.iter().filter(|child| child.parent.as_ref() == Some(&table.name)).collect();
    for (at, child) in children.iter().enumerate() {
        let (fork, bar) =
            if at + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(catalog, child, &format!("{below}{fork}"), &format!("{below}{bar}"), rows);
    }
}

fn table_text(table: &CatalogTable) -> String {
    let mut text = format!("{}  {}, from {}\n", table.name, count(table.rows, "row"), table.path);
    if !table.primary_key.is_empty() {
        let _ = writeln!(text, "  key {}", table.primary_key.join(", "));
    }
    if let Some(parent) = &table.parent {
        push_join(&mut text, parent, &table.join_parent);
        if *parent != table.root {
            push_join(&mut text, &table.root, &table.join_root);
        }
    }
    push_columns(&mut text, &table.columns);
    text
}

fn push_join(text: &mut String, to: &str, columns: &[JoinColumn]) {
    if columns.is_empty() {
        return;
    }
    let pair = |pair: &JoinColumn| match pair.column == pair.references {
        true => pair.column.clone(),
        false => format!("{} = {}", pair.column, pair.references),
    };
    let pairs: Vec<String> = columns.iter().map(pair).collect();
    let _ = writeln!(text, "  joins {to} on {}", pairs.join(", "));
}

fn push_columns(text: &mut String, columns: &[CatalogColumn]) {
    let widest = |cell: fn(&CatalogColumn) -> &str, header: &str, most: usize| {
        let widths = columns.iter().map(|column| cell(column).chars().count());
        widths.filter(|width| *width <= most).max().unwrap_or(0).max(header.len())
    };
    let name_width = widest(|column| &column.name, "column", MAX_NAME);
    let type_width = widest(|column| &column.type_name, "type", MAX_TYPE);
    let mut line = |name: &str, type_name: &str, nulls: &str, role: &str, path: &str| {
        let mut line =
            format!("  {name:<name_width$}  {type_name:<type_width$}  {nulls:>6}  {role:<10}");
        // A path that does not fit has a line to itself: nothing is cut off.
        if line.chars().count() + 1 + path.chars().count() > WIDTH {
            line.truncate(line.trim_end().len());
            line.push_str("\n     ");
        }
        let _ = writeln!(text, "{line} {path}");
    };
    line("column", "type", "nulls", "role", "path");
    for column in columns {
        // Names of the Glue profile may hold line breaks.
        let name = column.name.replace(char::is_control, " ");
        let role = match column.role {
            ColumnRole::Key => "key",
            ColumnRole::Generated => "generated",
            ColumnRole::Value => "value",
        };
        line(&name, &column.type_name, &share(column), role, &column.path);
    }
}

/// The share of nulls; 0 % and 100 % only when there are none or nothing else.
fn share(column: &CatalogColumn) -> String {
    match (column.nulls, column.null_share) {
        (Some(0), Some(_)) => "0 %".to_owned(),
        (Some(_), Some(share)) if share >= 1.0 => "100 %".to_owned(),
        (Some(_), Some(share)) if share < 0.01 => "<1 %".to_owned(),
        (Some(_), Some(share)) if share > 0.99 => ">99 %".to_owned(),
        (Some(_), Some(share)) => format!("{:.0} %", share * 100.0),
        _ => "-".to_owned(),
    }
}
