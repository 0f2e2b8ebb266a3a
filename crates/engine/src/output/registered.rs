//! What became of tables in a catalog, for people.

use std::fmt::Write;

use solder_operate::catalog::{CatalogReport, Outcome};
use solder_relationalize::readable::{count, thousands};

/// A line of counts, and one for each table that is worth a word. The error of a catalog is told elsewhere.
pub(crate) fn registered(report: Option<&CatalogReport>) -> String {
    let Some(report) = report else { return String::new() };
    let outcomes = [
        (Outcome::Created, "created"),
        (Outcome::Updated, "updated"),
        (Outcome::Unchanged, "unchanged"),
        (Outcome::Refused, "refused"),
    ];
    let counts = outcomes.map(|(outcome, word)| (report.num(outcome) as u64, word));
    let mut told = counts.into_iter().filter(|(number, _)| *number > 0);
    let mut text = format!("{}: ", report.catalog);
    match told.next() {
        Some((number, word)) => {
            let _ = write!(text, "{} {word}", count(number, "table"));
        }
        None => text.push_str("no table reached"),
    }
    for (number, word) in told {
        let _ = write!(text, ", {} {word}", thousands(number));
    }
    text.push('\n');
    for table in &report.tables {
        let changes = [
            (&table.columns_added, "new columns"),
            (&table.columns_changed, "other columns"),
            (&table.columns_removed, "columns gone"),
        ];
        for (columns, what) in changes {
            if !columns.is_empty() {
                let _ = writeln!(text, "  {}: {what} {}", table.table, columns.join(", "));
            }
        }
        if let Some(why) = &table.why {
            let _ = writeln!(text, "  {}: {why}", table.table);
        }
    }
    text
}
