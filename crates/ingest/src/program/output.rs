//! What goes to stdout.

use std::fmt::Write;

use crate::Request;
use crate::probe::{Checked, Planned};
use crate::report::{Report, StreamOutcome};

/// The small table of how a run went.
pub(crate) fn summary(report: &Report, place: &str) -> String {
    let mut rows = vec![[
        "stream".to_owned(),
        "records".to_owned(),
        "pages".to_owned(),
        "requests".to_owned(),
        "files".to_owned(),
        "outcome".to_owned(),
    ]];
    for stream in &report.streams {
        let outcome = match stream.outcome {
            StreamOutcome::Committed => format!("committed as {}", stream.sequence),
            StreamOutcome::AlreadyCommitted => "committed before".to_owned(),
            StreamOutcome::Failed if stream.num_commits > 0 => {
                format!("failed; committed up to {}", stream.sequence)
            }
            StreamOutcome::Failed => "failed".to_owned(),
            StreamOutcome::Stopped if stream.num_commits > 0 => {
                format!("committed up to {}; more is left", stream.sequence)
            }
            StreamOutcome::Stopped => "stopped; more is left".to_owned(),
            StreamOutcome::NotBegun => "not begun".to_owned(),
        };
        rows.push([
            stream.stream.clone(),
            stream.num_records.to_string(),
            stream.num_pages.to_string(),
            stream.num_requests.to_string(),
            stream.num_files.to_string(),
            outcome,
        ]);
    }
    let mut text = table(&rows);
    let seconds = report.duration_ms as f64 / 1000.0;
    let _ = writeln!(text, "\nrun {} into {place} in {seconds:.1} s", report.run_id);
    if report.more {
        let id = &report.run_id;
        let _ =
            writeln!(text, "more is left: the same command with `--run-id {id}` goes on from here");
    }
    for stream in &report.streams {
        if let Some(error) = &stream.error {
            let _ = writeln!(text, "failed: {error}");
        }
        let mut remarks = Vec::new();
        for (number, words) in [
            (stream.num_repeated, "were landed already and are left out"),
            (stream.num_older, "are older than the last run's state and were left out"),
            (stream.num_redacted, "held a secret, which was blanked"),
        ] {
            if number > 0 {
                remarks.push(format!("{number} {words}"));
            }
        }
        if stream.num_cut_short > 0 {
            let _ = writeln!(
                text,
                "{}: partitions that a rule ended after their first page: {}; records of these pages that are not landed: {}",
                stream.stream, stream.num_cut_short, stream.num_dropped
            );
        }
        if !remarks.is_empty() {
            let _ = writeln!(text, "{}: of its records {}", stream.stream, remarks.join("; "));
        }
    }
    text
}

/// The result of `check`.
pub(crate) fn checked(streams: &[Checked]) -> String {
    let mut text = String::new();
    for stream in streams {
        if let Some(why) = &stream.not_asked {
            let at =
                if stream.url.is_empty() { String::new() } else { format!("  ({})", stream.url) };
            let _ = writeln!(text, "{}: not asked, {why}{at}", stream.stream);
            continue;
        }
        let more = if stream.has_more { ", more follow" } else { "" };
        let _ = writeln!(
            text,
            "{}: ok, {} records on the first page{more}  ({})",
            stream.stream, stream.num_records, stream.url
        );
        for warning in &stream.warnings {
            let _ = writeln!(text, "  look: {warning}");
        }
    }
    text
}

/// The result of `plan`.
pub(crate) fn planned(streams: &[Planned], auth: &str) -> String {
    let mut text = String::new();
    for stream in streams {
        let partitions = match stream.num_partitions {
            None => "for each parent".to_owned(),
            Some(1) => String::new(),
            Some(number) => format!("{number} partitions"),
        };
        let cursor = match &stream.cursor {
            None => String::new(),
            Some(cursor) => format!("read up to {cursor}"),
        };
        let notes: Vec<_> =
            [partitions, cursor].into_iter().filter(|note| !note.is_empty()).collect();
        let notes =
            if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        let _ = writeln!(text, "{}{notes}", stream.stream);
        request(&mut text, &stream.request, auth);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn request(text: &mut String, request: &Request, auth: &str) {
    let _ = writeln!(text, "  {} {}", request.method, readable(&request.url));
    if !auth.is_empty() {
        let _ = writeln!(text, "  {auth}");
    }
    for (name, value) in &request.headers {
        let value = if value.is_sensitive() { "***" } else { value.to_str().unwrap_or("…") };
        let _ = writeln!(text, "  {name}: {value}");
    }
    if let Some(body) = &request.body {
        let _ = writeln!(text, "\n  {}", String::from_utf8_lossy(body));
    }
}

/// A URL as people write it: what only looks bad escaped is not.
fn readable(url: &url::Url) -> String {
    let mut text = url.to_string();
    for (escaped, plain) in [
        ("%2A", "*"),
        ("%5B", "["),
        ("%5D", "]"),
        ("%3A", ":"),
        ("%2C", ","),
        ("%7B", "{"),
        ("%7D", "}"),
    ] {
        text = text.replace(escaped, plain);
    }
    text
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
                let is_number = rows.iter().skip(1).all(|row| {
                    !row[column].is_empty() && row[column].bytes().all(|b| b.is_ascii_digit())
                });
                if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
