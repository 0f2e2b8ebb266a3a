//! What the program prints.

use std::error::Error as StdError;
use std::fmt::Write;

use solder_engine::readable::{size, thousands};
use solder_engine::report::Report;

/// An error and its causes in one line each, without repeating what a cause says already.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            let _ = write!(text, "\n  because {message}");
        }
        source = cause.source();
    }
    text
}

/// The small table of what a run made.
pub(crate) fn summary(report: &Report, output: &str) -> String {
    let mut rows = vec![["table", "rows", "columns", "files", "size"].map(str::to_owned)];
    for table in &report.tables {
        rows.push([
            table.name.clone(),
            thousands(table.rows),
            table.columns.to_string(),
            table.files.to_string(),
            size(table.bytes),
        ]);
    }
    let mut text = aligned(&rows);
    let seconds = report.duration_ms as f64 / 1000.0;
    let _ = writeln!(
        text,
        "\n{} records from {} objects ({}) in {seconds:.2} s, run {}",
        thousands(report.records_read),
        thousands(report.objects_read),
        size(report.bytes_read),
        report.run_id,
    );
    if report.records_quarantined > 0 {
        let _ = writeln!(
            text,
            "{} bad records set aside in {}/_quarantine/, the first: {}",
            thousands(report.records_quarantined),
            output.trim_end_matches('/'),
            report.first_quarantined.as_deref().unwrap_or_default(),
        );
    }
    for map in report.maps.iter().filter(|map| map.kept_as_table) {
        let _ = writeln!(
            text,
            "{} {} holds ever new keys and became a table (--map)",
            map.entity, map.path
        );
    }
    for change in &report.changes {
        let _ = writeln!(text, "{change}");
    }
    text
}

/// Columns in line, the first to the left and numbers to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (width, cell)) in widths.iter().zip(row).enumerate() {
            let _ = match at {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
