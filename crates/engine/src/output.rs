//! What goes to stdout: the table of what a run made, or its report as JSON.

mod landed;
mod merged;
mod page;
mod registered;
mod set_aside;
mod stages;
pub(crate) mod tally;

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};
use solder_lake::Error;
use solder_lake::expect::Level;
use solder_lake::maintain::Finding;
use solder_relationalize::readable::{count, size, thousands};
use solder_relationalize::report::{Choice, LandingReport, MapReport, Report, TableReport};
use solder_relationalize::{PlanReport, ShardReport};

pub(crate) use landed::landed;
pub(crate) use merged::merged;
pub(crate) use page::page;
pub(crate) use registered::registered;
pub(crate) use set_aside::SetAside;

/// An error for machines: `error`, `exit_code`, `retryable`, `causes`, `help`.
pub(crate) fn failure(error: &Error) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("error".to_owned(), json!(error.to_string()));
    object.insert("exit_code".to_owned(), json!(error.exit_code()));
    object.insert("retryable".to_owned(), json!(error.exit_code() == EXIT_RETRYABLE));
    object.insert("causes".to_owned(), json!(solder_landing::causes(error)));
    if let Some(help) = error.help() {
        object.insert("help".to_owned(), json!(help));
    }
    object
}

/// An error for people: its causes and what can be done about it, a line each.
pub(crate) fn told(error: &Error) -> String {
    let mut text = format!("{error}\n");
    for cause in solder_landing::causes(error) {
        let _ = writeln!(text, "  because {cause}");
    }
    if let Some(help) = error.help() {
        let _ = writeln!(text, "  help: {help}");
    }
    text
}

/// A check that does not hold, and how its rows can be looked at.
pub(crate) fn finding(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Warn => "warning: ",
        Level::Fail => "",
    };
    let Finding { table, check, text, .. } = finding;
    let mut line = format!("{table}: {level}{check}: {text}\n");
    if let Some(rows) = &finding.rows {
        let _ = writeln!(line, "  look at them: {rows}");
    }
    line
}

const EXIT_RETRYABLE: u8 = 75;

/// The small table of what a run made, and what is to be known about it.
pub(crate) fn summary(report: &Report, output: &str, has_threshold: bool) -> String {
    if report.already_committed {
        return format!(
            "run {} was committed before, as number {}: nothing to do\n",
            report.run_id, report.sequence
        );
    }
    let mut text = String::new();
    if !report.tables.is_empty() {
        text.push_str(&tables(&report.tables));
        text.push('\n');
    }
    text.push_str(&read_line(report));
    if let Some(landing) = &report.landing {
        text.push_str(&landing_line(landing));
    }
    if let Some(requests) = &report.requests {
        let sent = requests.by_kind().into_iter().filter(|(_, number)| *number > 0);
        let sent: Vec<_> =
            sent.map(|(kind, number)| format!("{} {kind}", thousands(number))).collect();
        let _ = writeln!(text, "requests: {}", sent.join(", "));
    }
    text.push_str(&stages::line(&report.times));
    if report.records_quarantined > 0 {
        text.push_str(&quarantine_lines(report, output, has_threshold));
    }
    for line in remarks(report) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// What the shards of a run are, and what comes next.
pub(crate) fn planned(report: &PlanReport, output: &str) -> String {
    let PlanReport { run_id, shards, objects, bytes, bytes_of_largest, .. } = report;
    if report.already_committed {
        return format!("run {run_id} was committed before: its shards have nothing to do\n");
    }
    let Some(last) = shards.checked_sub(1) else {
        return format!("nothing new; run {run_id}\n");
    };
    let is_new = if report.already_planned { ", as planned before" } else { "" };
    format!(
        "{} of {} ({}), the largest {}{is_new}; run {run_id}\n\
         next: engine shard {output} --run-id {run_id} --number 0 (to {last}), anywhere and in any order,\n      \
         then: engine commit {output} --run-id {run_id}\n",
        count(*shards as u64, "shard"),
        count(*objects, "object"),
        size(*bytes),
        size(*bytes_of_largest),
    )
}

/// What a shard has read.
pub(crate) fn shard(report: &ShardReport) -> String {
    let ShardReport { run_id, shard, .. } = report;
    if report.already_done {
        return format!("shard {shard} of run {run_id} is done already: nothing to do\n");
    }
    let mut text = format!(
        "shard {shard} of {}: {} from {} ({}) in {:.2} s; run {run_id}\n",
        report.shards,
        count(report.records_read, "record"),
        count(report.objects_read, "object"),
        size(report.bytes_read),
        report.times.duration_ms as f64 / 1000.0,
    );
    if report.records_quarantined > 0 {
        let _ = writeln!(text, "{} set aside", count(report.records_quarantined, "bad record"));
    }
    text
}

/// What was read, in one line.
fn read_line(report: &Report) -> String {
    let mut text = if report.objects_read == 0 && report.sequence == 0 {
        "nothing new".to_owned()
    } else {
        let seconds = report.times.duration_ms as f64 / 1000.0;
        format!(
            "{} from {} ({}) in {seconds:.2} s",
            count(report.records_read, "record"),
            count(report.objects_read, "object"),
            size(report.bytes_read),
        )
    };
    if report.objects_skipped > 0 {
        let _ = write!(text, "; {} read before", count(report.objects_skipped, "object"));
    }
    let _ = writeln!(text, "; run {}", report.run_id);
    text
}

/// What the manifests of a landing zone said.
fn landing_line(landing: &LandingReport) -> String {
    let LandingReport { root, streams, parts, parts_left_out, .. } = landing;
    let mut text = format!(
        "by the manifests in {root}: {} of {}",
        count(*parts, "part"),
        count(*streams, "stream")
    );
    if *parts_left_out > 0 {
        let left_out = count(*parts_left_out, "part");
        let _ = write!(text, "; {left_out} left out, not committed or replaced since");
    }
    text.push('\n');
    text
}

fn quarantine_lines(report: &Report, output: &str, has_threshold: bool) -> String {
    let tolerated = if has_threshold { "" } else { ", any number being tolerated" };
    format!(
        "{} set aside in {}/_quarantine/{tolerated}; the first: {}\n",
        count(report.records_quarantined, "bad record"),
        output.trim_end_matches('/'),
        report.first_quarantined.as_deref().unwrap_or_default(),
    )
}

/// What a run did that is worth knowing, one line each.
fn remarks(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for option in &report.unused_options {
        lines.push(format!("{option} found nothing to act on"));
    }
    some_of(&mut lines, &report.maps, "maps", |MapReport { entity, path, kept_as_table }| {
        let became = match kept_as_table {
            true => "and became a table, as with --map",
            false => "but has columns already and keeps them",
        };
        format!("{entity} {path} holds ever new keys {became}")
    });
    some_of(&mut lines, &report.choices, "several kinds", |choice| {
        let Choice { entity, path, kinds, kept_as } = choice;
        format!("{entity} {path} holds {}, kept as {}", kinds.join(" and "), kept_as.join(", "))
    });
    some_of(&mut lines, &report.changes, "changes", ToString::to_string);
    let replaced = report.landing.iter().flat_map(|landing| &landing.replaced);
    lines.extend(replaced.map(|entity| {
        format!("{entity} was replaced in the input since the last run, and so were its tables")
    }));
    if !report.objects_changed.is_empty() {
        let changed = report.objects_changed.len() as u64;
        lines.push(format!(
            "{} changed since the last run and came in once more; rows of before stay",
            count(changed, "object")
        ));
    }
    let counts = &report.counts;
    let counted_things = [
        (counts.duplicate_keys, "duplicate key", "the last value of each is kept"),
        (counts.replaced_surrogates, "lone surrogate", "replaced by U+FFFD"),
        (counts.rounded_numbers, "decimal", "rounded to float64 (--exact-numbers keeps the text)"),
        (counts.cast_nulls, "value", "null now, since a cast could not convert them"),
        (counts.projected_away, "value", "left out, being of another type than --resolve keeps"),
    ];
    for (number, what, became) in counted_things {
        if number > 0 {
            lines.push(format!("{}: {became}", count(number, what)));
        }
    }
    if report.objects_ignored > 0 {
        let ignored = count(report.objects_ignored, "other file");
        lines.push(format!("{ignored} in the input left alone"));
    }
    lines
}

/// A line for each of the first `things`, and how many more there are.
fn some_of<T>(lines: &mut Vec<String>, things: &[T], what: &str, line: impl Fn(&T) -> String) {
    const MOST: usize = 20;
    lines.extend(things.iter().take(MOST).map(line));
    if things.len() > MOST {
        let more = thousands((things.len() - MOST) as u64);
        lines.push(format!("{what}: {more} more, which --report json names"));
    }
}

/// The tables, children indented below their parents.
fn tables(tables: &[TableReport]) -> String {
    let appended = tables.iter().any(|table| table.rows_written != table.rows);
    let mut rows = vec![row(["table", "rows", "new", "columns", "files", "size"], appended)];
    for (depth, table) in tree_of(tables) {
        let cells = [
            &format!("{}{}", "  ".repeat(depth), table.name),
            &thousands(table.rows),
            &thousands(table.rows_written),
            &thousands(table.columns as u64),
            &thousands(table.files as u64),
            &size(table.bytes),
        ];
        rows.push(row(cells.map(String::as_str), appended));
    }
    aligned(&rows)
}

/// A row of the table, with the column of new rows only where it says something.
fn row(cells: [&str; 6], appended: bool) -> Vec<String> {
    let cells = cells.into_iter().enumerate().filter(|(at, _)| appended || *at != 2);
    cells.map(|(_, cell)| cell.to_owned()).collect()
}

/// Every table with its depth, parents before their children; by its name, and that of its parent.
fn tree<T>(
    tables: &[T],
    name: impl Fn(&T) -> String,
    parent: impl Fn(&T) -> Option<String>,
) -> Vec<(usize, &T)> {
    let mut children: HashMap<Option<String>, Vec<&T>> = HashMap::new();
    for table in tables {
        children.entry(parent(table)).or_default().push(table);
    }
    let mut rows = Vec::new();
    let roots = children.get(&None).into_iter().flatten().rev();
    let mut waiting: Vec<(usize, &T)> = roots.map(|table| (0, *table)).collect();
    while let Some((depth, table)) = waiting.pop() {
        rows.push((depth, table));
        let below = children.get(&Some(name(table))).into_iter().flatten().rev();
        waiting.extend(below.map(|child| (depth + 1, *child)));
    }
    rows
}

/// The tables of a report as a tree.
fn tree_of(tables: &[TableReport]) -> Vec<(usize, &TableReport)> {
    tree(tables, |table| table.name.clone(), |table| table.parent.clone())
}

/// Columns in line, the first to the left and numbers to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, parent: Option<&str>) -> TableReport {
        let parent = parent.map(str::to_owned);
        TableReport { name: name.to_owned(), parent, ..TableReport::default() }
    }

    #[test]
    fn children_stand_below_their_parents() {
        let tables = [
            table("a", None),
            table("a__x", Some("a")),
            table("a__y", Some("a")),
            table("a__x__z", Some("a__x")),
            table("b", None),
        ];
        let rows: Vec<_> =
            tree_of(&tables).into_iter().map(|(d, t)| (d, t.name.as_str())).collect();
        assert_eq!(rows, [(0, "a"), (1, "a__x"), (2, "a__x__z"), (1, "a__y"), (0, "b")]);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(0, "record"), "0 records");
    }
}
