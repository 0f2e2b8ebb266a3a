//! The report as a page for people: one file with all that it needs, light and dark, for phones and desks.
//!
//! It is made of the report as JSON, so that it shows what programs get; and of the records that were set aside, whose
//! values are in no report.

use std::fmt::Write;

use serde_json::{Value as Json, json};
use solder_relationalize::readable::{count, size, thousands};

use super::set_aside::{Record, SetAside};
use super::stages;
use super::tally::{self, items};

const STYLE: &str = include_str!("page.css");

/// The page of a job's report, or of one command's.
pub(crate) fn page(report: &Json, set_aside: &SetAside) -> String {
    let of_command;
    let job = match report["steps"].is_array() {
        true => report,
        false => {
            of_command = as_job(report);
            &of_command
        }
    };
    let title = job["job"].as_str().unwrap_or("Solder");
    let mut body = String::new();
    head(&mut body, job, title);
    let steps: Vec<&Json> = job["steps"].as_array().into_iter().flatten().collect();
    way(&mut body, &steps);
    failures(&mut body, &steps);
    timings(&mut body, &steps);
    for step in &steps {
        details(&mut body, step, set_aside);
    }
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n<main>\n{body}</main>\n</html>\n"
    )
}

/// The report of one command, as that of a job with one step.
fn as_job(report: &Json) -> Json {
    let has = |key: &str| !report[key].is_null();
    let name = match () {
        () if has("records_read") => "relationalize",
        () if has("entities") => "merge",
        () if has("num_statements") => "mart",
        () => "run",
    };
    let failed = has("error");
    let step = json!({
        "step": name,
        "outcome": if failed { "failed" } else { "done" },
        "exit_code": report["exit_code"].as_u64().unwrap_or(0),
        "duration_ms": report["duration_ms"].as_u64().unwrap_or(0),
        "started_ms": 0,
        "report": report,
    });
    json!({
        "job": format!("engine {}", if name == "mart" { "sql" } else { name }),
        "run_id": report["run_id"],
        "started_at": report["started_at"],
        "exit_code": report["exit_code"].as_u64().unwrap_or(0),
        "duration_ms": report["duration_ms"].as_u64().unwrap_or(0),
        "steps": [step],
    })
}

pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn text(value: &Json) -> String {
    escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn number(value: &Json) -> String {
    value.as_u64().map_or_else(|| "–".to_owned(), thousands)
}

fn seconds(value: &Json) -> String {
    format!("{:.1} s", value.as_u64().unwrap_or(0) as f64 / 1000.0)
}

/// A name as the target of links on the page.
fn anchor(step: &Json) -> String {
    text(&step["step"]).replace(['.', ' '], "-")
}

fn badge(outcome: &str) -> String {
    format!("<span class=\"badge {outcome}\">{}</span>", outcome.replace('_', " "))
}

fn head(page: &mut String, job: &Json, title: &str) {
    let outcome = if job["exit_code"] == 0 { "done" } else { "failed" };
    let _ = writeln!(page, "<h1>{}</h1>\n<p>{} ", escaped(title), badge(outcome));
    let mut parts = vec![format!("in {}", seconds(&job["duration_ms"]))];
    if let Some(started) = job["started_at"].as_str() {
        let instant = started.split('.').next().unwrap_or(started);
        parts.push(format!("begun {}", escaped(&instant.replace('T', " "))));
    }
    if job["exit_code"] != 0 {
        parts.push(format!("exit code {}", number(&job["exit_code"])));
    }
    let _ = writeln!(page, "{}</p>", parts.join(", "));
    if let Some(run_id) = job["run_id"].as_str() {
        let _ = writeln!(page, "<p class=\"soft\">run <code>{}</code></p>", escaped(run_id));
    }
    if let Some(resume) = job["resume"].as_str() {
        let _ = writeln!(page, "<p>To go on with what is left:</p><pre>{}</pre>", escaped(resume));
    }
}

/// The way of the data, a card for each step.
fn way(page: &mut String, steps: &[&Json]) {
    page.push_str("<h2>The way of the data</h2>\n<ul class=\"way\">\n");
    for step in steps {
        let outcome = step["outcome"].as_str().unwrap_or_default();
        let findings = items(&step["report"]["findings"]).count();
        let colour = if outcome == "done" && findings > 0 { "warn" } else { outcome };
        let _ = writeln!(
            page,
            "<li class=\"{colour}\"><a href=\"#{}\">{}</a>",
            anchor(step),
            // Long names break where their words end.
            text(&step["step"]).replace('.', ".<wbr>").replace('_', "_<wbr>")
        );
        for line in counts(step) {
            let _ = writeln!(page, "<p>{}</p>", escaped(&line));
        }
        let after: Vec<_> = items(&step["after"]).map(text).collect();
        if !after.is_empty() {
            let _ = writeln!(page, "<p class=\"soft\">after {}</p>", after.join(", "));
        }
        let _ = match outcome {
            "not_begun" => writeln!(page, "<p class=\"soft\">not begun</p></li>"),
            _ => writeln!(page, "<p class=\"soft\">{}</p></li>", seconds(&step["duration_ms"])),
        };
    }
    page.push_str("</ul>\n");
}

/// What came in and out of a step, in words.
fn counts(step: &Json) -> Vec<String> {
    let report = &step["report"];
    let of = |key: &str| report[key].as_u64();
    let mut lines = Vec::new();
    if let Some(records) = of("records_read") {
        lines.push(count(records, "record"));
        lines.push(count(items(&report["tables"]).count() as u64, "table"));
        if let Some(bad @ 1..) = of("records_quarantined") {
            lines.push(format!("{} set aside", count(bad, "bad record")));
        }
    }
    if report["streams"].is_array() {
        lines.push(count(tally::landed(report), "record"));
        lines.push(count(items(&report["streams"]).count() as u64, "stream"));
    }
    if report["entities"].is_array() {
        for (what, sum) in ["inserted", "updated", "deleted"].into_iter().zip(tally::merged(report))
        {
            if sum > 0 || what == "inserted" {
                lines.push(format!("{} {what}", thousands(sum)));
            }
        }
    }
    if let Some(checks) = of("num_checks") {
        lines.push(count(checks, "check"));
        let found = items(&report["findings"]).count() as u64;
        if found > 0 {
            lines.push(count(found, "finding"));
        }
    }
    if let (Some(_), Some(rows)) = (of("num_statements"), of("num_rows")) {
        lines.push(count(rows, "row"));
    }
    lines
}

/// What failed, and what can be done about it.
fn failures(page: &mut String, steps: &[&Json]) {
    let failed: Vec<_> = steps.iter().filter(|step| step["outcome"] == "failed").collect();
    if failed.is_empty() {
        return;
    }
    page.push_str("<h2>What failed</h2>\n");
    for step in failed {
        let report = &step["report"];
        let code = number(&step["exit_code"]);
        let _ = writeln!(
            page,
            "<h3>{} <span class=\"badge failed\">exit code {code}</span></h3>",
            text(&step["step"])
        );
        let error = report["error"].as_str().or(step["error"].as_str());
        if let Some(error) = error {
            let _ = writeln!(page, "<p>{}</p>", escaped(error));
        }
        for cause in items(&report["causes"]) {
            let _ = writeln!(page, "<p class=\"soft\">because {}</p>", text(cause));
        }
        if let Some(help) = report["help"].as_str() {
            let _ = writeln!(page, "<p>{}</p>", escaped(help));
        }
        if let Some(command) = step["command"].as_str() {
            let _ = writeln!(page, "<pre>{}</pre>", escaped(command));
        }
    }
}

/// When each step ran.
fn timings(page: &mut String, steps: &[&Json]) {
    let of = |step: &Json, key: &str| step[key].as_u64().unwrap_or(0);
    let end = steps.iter().map(|step| of(step, "started_ms") + of(step, "duration_ms")).max();
    let Some(end @ 1..) = end.filter(|_| steps.len() > 1) else { return };
    page.push_str("<h2>Timings</h2>\n<div class=\"scroll\"><table>\n<tr><th>step<th class=\"num\">time<th>from start to end</tr>\n");
    for step in steps.iter().filter(|step| step["outcome"] != "not_begun") {
        let percent = |part: u64| part as f64 * 100.0 / end as f64;
        let _ = writeln!(
            page,
            "<tr><td>{}<td class=\"num\">{}<td><div class=\"track\"><i style=\"left:{:.2}%;width:{:.2}%\"></i></div></tr>",
            text(&step["step"]),
            seconds(&step["duration_ms"]),
            percent(of(step, "started_ms")),
            percent(of(step, "duration_ms")),
        );
    }
    page.push_str("</table></div>\n");
}

/// All that a step tells.
fn details(page: &mut String, step: &Json, set_aside: &SetAside) {
    let report = &step["report"];
    let outcome = step["outcome"].as_str().unwrap_or_default();
    let _ = writeln!(
        page,
        "<h2 id=\"{}\">{} {}</h2>",
        anchor(step),
        text(&step["step"]),
        badge(outcome)
    );
    if let Some(command) = step["command"].as_str() {
        let _ = writeln!(
            page,
            "<details><summary>the command</summary><pre>{}</pre></details>",
            escaped(command)
        );
    }
    stages::bars(page, report);
    streams(page, report);
    if report["records_read"].is_u64() {
        tables(page, report);
        changes(page, report);
        quarantine(page, report, set_aside);
    }
    merged(page, report);
    findings(page, report);
}

fn table(page: &mut String, titles: &[&str], rows: impl Iterator<Item = String>) {
    page.push_str("<div class=\"scroll\"><table>\n<tr>");
    for (at, title) in titles.iter().enumerate() {
        page.push_str(if at == 0 { "<th>" } else { "<th class=\"num\">" });
        page.push_str(title);
    }
    page.push_str("</tr>\n");
    for row in rows {
        page.push_str(&row);
        page.push('\n');
    }
    page.push_str("</table></div>\n");
}

fn cells(numbers: &[String]) -> String {
    numbers.iter().map(|number| format!("<td class=\"num\">{number}")).collect()
}

fn streams(page: &mut String, report: &Json) {
    if !report["streams"].is_array() {
        return;
    }
    let titles = ["stream", "records", "pages", "requests", "retries", "outcome"];
    table(
        page,
        &titles,
        items(&report["streams"]).map(|stream| {
            let counts = ["num_records", "num_pages", "num_requests", "num_retries"]
                .map(|key| number(&stream[key]));
            format!(
                "<tr><td>{}{}<td class=\"num\">{}</tr>",
                text(&stream["stream"]),
                cells(&counts),
                text(&stream["outcome"])
            )
        }),
    );
    for stream in items(&report["streams"]) {
        if let Some(error) = stream["error"].as_str() {
            let _ = writeln!(page, "<p class=\"failed\">{}</p>", escaped(error));
        }
    }
}

/// The tables as a tree: children stand below their parents.
fn tables(page: &mut String, report: &Json) {
    let all: Vec<&Json> = items(&report["tables"]).collect();
    if all.is_empty() {
        page.push_str("<p class=\"soft\">Nothing new.</p>\n");
        return;
    }
    let names = |table: &'_ &Json| table["name"].as_str().unwrap_or_default().to_owned();
    let parents = |table: &'_ &Json| table["parent"].as_str().map(str::to_owned);
    let rows = super::tree(&all, names, parents).into_iter().map(|(depth, table)| {
        let branch = if depth > 0 { "<span class=\"branch\">└</span>" } else { "" };
        let counts = ["rows", "rows_written", "columns", "files"].map(|key| number(&table[key]));
        format!(
            "<tr><td class=\"tree\" style=\"--depth:{depth}\">{branch}{}{}<td class=\"num\">{}</tr>",
            text(&table["name"]),
            cells(&counts),
            size(table["bytes"].as_u64().unwrap_or(0))
        )
    });
    page.push_str("<h3>Tables</h3>\n");
    table(page, &["table", "rows", "of this run", "columns", "files", "size"], rows);
}

/// What changed in the shape, and what was kept how.
fn changes(page: &mut String, report: &Json) {
    let lines: Vec<String> = items(&report["changes"])
        .map(|change| {
            let of = |key: &str| text(&change[key]);
            match change["change"].as_str() {
                Some("new_table") => {
                    format!("new table <b>{}</b> from <code>{}</code>", of("table"), of("path"))
                }
                Some("new_column") => {
                    format!(
                        "new column <b>{}.{}</b>, {}, from <code>{}</code>",
                        of("table"),
                        of("column"),
                        of("to"),
                        of("path")
                    )
                }
                _ => format!(
                    "<b>{}.{}</b> was {}, is {} now",
                    of("table"),
                    of("column"),
                    of("from"),
                    of("to")
                ),
            }
        })
        .collect();
    listed(page, "What changed in the schema", lines);
    let joined =
        |value: &Json, between: &str| items(value).map(text).collect::<Vec<_>>().join(between);
    let choices = items(&report["choices"]).map(|choice| {
        format!(
            "<code>{} {}</code> holds {}, kept as {}",
            text(&choice["entity"]),
            text(&choice["path"]),
            joined(&choice["kinds"], " and "),
            joined(&choice["kept_as"], ", ")
        )
    });
    listed(page, "Values of several kinds", choices.collect());
    let words = [
        ("duplicate_keys", "duplicate keys: the last value of each is kept"),
        ("replaced_surrogates", "lone surrogates, replaced by U+FFFD"),
        ("rounded_numbers", "decimals rounded to float64"),
        ("cast_nulls", "values null now, since a cast could not convert them"),
        ("projected_away", "values left out, being of another type"),
    ];
    let counted = words.iter().filter_map(|(key, words)| {
        let number = report["counts"][key].as_u64().filter(|number| *number > 0)?;
        Some(format!("{} {words}", thousands(number)))
    });
    listed(page, "Changed on the way", counted.collect());
}

fn listed(page: &mut String, title: &str, lines: Vec<String>) {
    const OPEN: usize = 12;
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(page, "<h3>{title}</h3>");
    let (first, rest) = lines.split_at(lines.len().min(OPEN));
    let list = |lines: &[String]| {
        let lines: String = lines.iter().map(|line| format!("<li>{line}\n")).collect();
        format!("<ul class=\"lines\">{lines}</ul>\n")
    };
    page.push_str(&list(first));
    if !rest.is_empty() {
        let _ = writeln!(
            page,
            "<details><summary>{} more</summary>{}</details>",
            rest.len(),
            list(rest)
        );
    }
}

fn quarantine(page: &mut String, report: &Json, set_aside: &SetAside) {
    let num = report["records_quarantined"].as_u64().unwrap_or(0);
    if num == 0 {
        return;
    }
    let mut lines: Vec<String> = set_aside.of(report).map(record).collect();
    if lines.is_empty() {
        let places = items(&report["quarantined"]);
        lines = places.map(|line| format!("<code>{}</code>", text(line))).collect();
    }
    let title = format!("Set aside: {}", count(num, "bad record"));
    listed(page, &title, lines);
    page.push_str("<p class=\"soft\">All of them are in <code>_quarantine/</code>.</p>\n");
}

/// A record that was set aside, to be opened.
fn record(record: &Record) -> String {
    let Record { place, reason, text } = record;
    format!(
        "<details><summary><code>{}</code> {}</summary><pre>{}</pre></details>",
        escaped(place),
        escaped(reason),
        escaped(text)
    )
}

fn merged(page: &mut String, report: &Json) {
    if !report["entities"].is_array() {
        return;
    }
    let tables: Vec<&Json> =
        items(&report["entities"]).flat_map(|entity| items(&entity["tables"])).collect();
    let titles = ["table", "inserted", "updated", "deleted", "files in", "files out", "version"];
    table(
        page,
        &titles,
        tables.into_iter().map(|table| {
            let of = |key: &str| number(&table[format!("num_target_{key}").as_str()]);
            let counts =
                ["rows_inserted", "rows_updated", "rows_deleted", "files_added", "files_removed"]
                    .map(of);
            format!(
                "<tr><td>{}{}<td class=\"num\">{}</tr>",
                text(&table["name"]),
                cells(&counts),
                number(&table["version"])
            )
        }),
    );
}

fn findings(page: &mut String, report: &Json) {
    for finding in items(&report["findings"]) {
        let class = if finding["level"] == "warn" { "warn" } else { "failed" };
        let _ = writeln!(
            page,
            "<h3><span class=\"badge {class}\">{}</span> {}: {}</h3>\n<p>{}</p>",
            text(&finding["level"]),
            text(&finding["table"]),
            text(&finding["check"]),
            text(&finding["text"])
        );
        if let Some(rows) = finding["rows"].as_str() {
            let _ = writeln!(
                page,
                "<details><summary>the statement that gives these rows</summary><pre>{}</pre></details>",
                escaped(rows)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_no_markup() {
        let report = json!({
            "records_read": 1, "records_quarantined": 1, "run_id": "<i>",
            "quarantined": ["<script>alert(1)</script>:1: bad"],
            "tables": [{ "name": "a\"<b", "rows": 1, "parent": null }],
        });
        let page = page(&report, &SetAside::default());
        assert!(!page.contains("<script") && !page.contains("<i>") && !page.contains("\"<b"));
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_failed_command_is_a_page_as_well() {
        let report = json!({ "error": "no input", "exit_code": 66, "causes": ["x"] });
        let page = page(&report, &SetAside::default());
        assert!(page.contains("exit code 66") && page.contains("no input"));
    }
}
