//! What the rows of a statement became, for people.

use std::fmt::Write;

use solder_lake::sql::SqlReport;
use solder_relationalize::readable::{count, thousands};

/// A line on the table that took the rows, and its new columns.
pub(crate) fn landed(report: &SqlReport, lake: &str) -> String {
    let Some(entity) = &report.table else { return String::new() };
    let seconds = report.times.duration_ms as f64 / 1000.0;
    let name = &entity.name;
    if entity.already_merged {
        return format!("{name}: the rows of this run came into {lake} before: nothing to do\n");
    }
    let mut text = format!("{name}: {} ({})", count(report.num_rows, "row"), entity.mode);
    for table in &entity.tables {
        let metrics = &table.metrics;
        let changes = [
            (metrics.num_target_rows_inserted, "inserted"),
            (metrics.num_target_rows_updated, "updated"),
            (metrics.num_target_rows_deleted, "deleted"),
        ];
        for (number, what) in changes {
            if number > 0 {
                let _ = write!(text, ", {} {what}", thousands(number));
            }
        }
        if let Some(version) = table.version {
            let _ = write!(text, "; version {version}");
        }
        if table.version_before.is_some() && !table.columns_added.is_empty() {
            let _ = write!(text, "; new columns {}", table.columns_added.join(", "));
        }
    }
    let _ = writeln!(text, "\nin {lake} after {seconds:.2} s");
    text
}
