//! What a merge did, for people.

use std::fmt::Write;

use solder_lake::merge::{EntityReport, MergeReport, TableReport};
use solder_relationalize::readable::{count, thousands};

use super::aligned;

/// The table of what a merge did to the tables of a lake, and what is to be known about it.
pub(crate) fn merged(report: &MergeReport, lake: &str) -> String {
    let mut text = String::new();
    let done = |entity: &&EntityReport| !entity.already_merged;
    let tables: Vec<&TableReport> =
        report.entities.iter().filter(done).flat_map(|entity| &entity.tables).collect();
    if !tables.is_empty() {
        text.push_str(&rows(&tables));
        text.push('\n');
    }
    for entity in &report.entities {
        text.push_str(&about(entity));
    }
    for finding in &report.findings {
        text.push_str(&super::finding(finding));
    }
    let seconds = report.times.duration_ms as f64 / 1000.0;
    let _ = match report.dry_run {
        true => writeln!(text, "nothing was written to {lake}: a dry run of {seconds:.2} s"),
        false => writeln!(text, "in {lake} after {seconds:.2} s"),
    };
    text
}

fn rows(tables: &[&TableReport]) -> String {
    let titles = ["table", "inserted", "updated", "deleted", "files in", "files out", "version"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for table in tables {
        let metrics = &table.metrics;
        let version = table.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        rows.push(vec![
            table.name.clone(),
            thousands(metrics.num_target_rows_inserted),
            thousands(metrics.num_target_rows_updated),
            thousands(metrics.num_target_rows_deleted),
            thousands(metrics.num_target_files_added),
            thousands(metrics.num_target_files_removed),
            version,
        ]);
    }
    aligned(&rows)
}

/// What is worth knowing of an entity, a line each.
fn about(entity: &EntityReport) -> String {
    let mut text = String::new();
    let name = &entity.name;
    if entity.already_merged {
        let _ = writeln!(text, "{name}: nothing new since staged run {}", entity.sequence);
        return text;
    }
    let _ = write!(text, "{name}: {} ({})", count(entity.num_records, "record"), entity.mode);
    let set_aside = match entity.mode {
        "scd2" => "without a key or a time, set aside",
        _ => "without a key, set aside",
    };
    let remarks = [
        (entity.num_records_superseded, "superseded in the batch"),
        (entity.num_records_late, "older than the lake"),
        (entity.num_deletes_absent, "deleting what is not there"),
        (entity.num_records_quarantined, set_aside),
    ];
    for (number, remark) in remarks {
        if number > 0 {
            let _ = write!(text, ", {} {remark}", thousands(number));
        }
    }
    text.push('\n');
    if entity.resumed {
        let _ = writeln!(
            text,
            "{name}: this ended a merge that had broken off, with the runs and the settings that it had begun with"
        );
    }
    if entity.sequence < entity.sequence_staged {
        let (first, last) = (entity.sequence + 1, entity.sequence_staged);
        let _ = match first == last {
            true => write!(text, "{name}: staged run {last} comes"),
            false => write!(text, "{name}: staged runs {first} to {last} come"),
        };
        text.push_str(" after that, in a merge by itself\n");
    }
    if let Some(quarantine) = &entity.quarantine {
        let _ = writeln!(text, "{name}: what was set aside is in {quarantine}");
    }
    for table in &entity.tables {
        if table.version_before.is_some() && !table.columns_added.is_empty() {
            let columns = table.columns_added.join(", ");
            let _ = writeln!(text, "{}: new columns {columns}", table.name);
        }
        for widened in &table.columns_widened {
            let _ = writeln!(text, "{}: wider column {widened}", table.name);
        }
        if table.already_merged {
            let _ = writeln!(text, "{}: was merged before the merge broke off", table.name);
        }
    }
    text
}
