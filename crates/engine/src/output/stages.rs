//! Where the time of a command went, for people (O9).

use std::fmt::Write;

use serde_json::Value as Json;
use solder_relationalize::clock::Times;

use super::page::escaped;
use super::tally::items;

/// Of a run that is shorter, nobody asks.
const MANY_MS: u64 = 1_000;
/// What is less than this is no tenth of a second.
const TENTH_MS: u64 = 50;

/// What threads did in a run, in one line; nothing of a short one.
pub(super) fn line(times: &Times) -> String {
    let works = times.busy_ms().into_iter().filter(|(_, busy_ms)| *busy_ms >= TENTH_MS);
    let works: Vec<String> = works
        .map(|(work, busy_ms)| format!("{} {:.1} s", work.name(), busy_ms as f64 / 1000.0))
        .collect();
    if times.duration_ms < MANY_MS || works.is_empty() {
        return String::new();
    }
    format!("time of all threads: {}\n", works.join(", "))
}

/// What was done under one name.
struct Row<'r> {
    name: &'r str,
    stages: Vec<&'r Json>,
    /// What threads did meanwhile, and how long.
    works: Vec<(&'r str, u64)>,
}

impl Row<'_> {
    fn wall_ms(&self) -> u64 {
        self.stages.iter().map(|stage| number(&stage["wall_ms"])).sum()
    }
}

/// The stages of a command as bars: each name once, where it was and how long, and below it the share that each work of
/// its threads has.
pub(super) fn bars(page: &mut String, report: &Json) {
    let rows = rows(report);
    let Some(duration_ms) = report["duration_ms"].as_u64().filter(|_| !rows.is_empty()) else {
        return;
    };
    page.push_str("<h3>Where the time went</h3>\n<div class=\"stages\">\n");
    for row in &rows {
        let bars: String = row.stages.iter().map(|stage| bar(stage, duration_ms)).collect();
        let (name, wall) = (escaped(row.name), took(row.wall_ms()));
        let _ = writeln!(
            page,
            "<b>{name}</b><div class=\"track\">{bars}</div><span class=\"num\">{wall}</span>"
        );
        let all: u64 = row.works.iter().map(|(_, busy_ms)| busy_ms).sum();
        for (work, busy_ms) in &row.works {
            let width = percent(*busy_ms, all);
            let _ = writeln!(
                page,
                "<span class=\"work\">{}</span><div class=\"share\"><i style=\"width:{width:.2}%\"></i></div><span class=\"num soft\">{}</span>",
                escaped(work),
                took(*busy_ms)
            );
        }
    }
    page.push_str("</div>\n");
    if rows.iter().any(|row| !row.works.is_empty()) {
        page.push_str("<p class=\"soft\">Thin bars: the time of all threads together.</p>\n");
    }
}

fn rows(report: &Json) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for stage in items(&report["stages"]) {
        let name = stage["name"].as_str().unwrap_or_default();
        let known = rows.iter().position(|row| row.name == name);
        let at = known.unwrap_or(rows.len());
        if known.is_none() {
            rows.push(Row { name, stages: Vec::new(), works: Vec::new() });
        }
        let row = &mut rows[at];
        row.stages.push(stage);
        for (work, busy_ms) in stage["busy_ms"].as_object().into_iter().flatten() {
            match row.works.iter_mut().find(|(known, _)| *known == work.as_str()) {
                Some((_, sum)) => *sum += number(busy_ms),
                None => row.works.push((work, number(busy_ms))),
            }
        }
    }
    rows
}

fn bar(stage: &Json, duration_ms: u64) -> String {
    let of = |key: &str| percent(number(&stage[key]), duration_ms);
    let table = stage["table"].as_str().map(|table| format!(" title=\"{}\"", escaped(table)));
    format!(
        "<i{} style=\"left:{:.2}%;width:{:.2}%\"></i>",
        table.unwrap_or_default(),
        of("started_ms"),
        of("wall_ms")
    )
}

fn number(value: &Json) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn took(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::json;
    use solder_relationalize::clock::{Phase, Stage, Work};

    use super::*;

    fn times(duration_ms: u64, busy: &[(Work, u64)]) -> Times {
        let stage = |busy_ms: BTreeMap<Work, u64>| Stage {
            name: Phase::Transform,
            table: None,
            started_ms: 0,
            wall_ms: duration_ms,
            busy_ms,
        };
        let halves = |(work, busy_ms): &(Work, u64)| (*work, busy_ms / 2);
        let half: BTreeMap<Work, u64> = busy.iter().map(halves).collect();
        let stages = vec![stage(half.clone()), stage(half)];
        Times { started_at: String::new(), duration_ms, stages }
    }

    #[rstest]
    #[case::long(2_000, "time of all threads: read 0.2 s, shred 3.1 s\n")]
    #[case::short(999, "")]
    fn o9_one_line_of_a_long_run(#[case] duration_ms: u64, #[case] expected: &str) {
        let busy = [(Work::Shred, 3_100), (Work::Read, 200), (Work::Write, 40)];
        assert_eq!(line(&times(duration_ms, &busy)), expected);
        assert_eq!(line(&times(duration_ms, &[])), "");
    }

    #[test]
    fn o9_stages_are_bars() {
        let report = json!({ "duration_ms": 2_000, "stages": [
            { "name": "join", "table": "a", "started_ms": 0, "wall_ms": 500 },
            { "name": "write", "table": "a", "started_ms": 500, "wall_ms": 100 },
            { "name": "join", "table": "<b>", "started_ms": 600, "wall_ms": 1_000,
              "busy_ms": { "read": 30, "shred": 90 } },
        ] });
        let mut page = String::new();
        bars(&mut page, &report);
        assert_eq!(page.matches("<b>join</b>").count(), 1, "{page}");
        for part in [
            "<i title=\"a\" style=\"left:0.00%;width:25.00%\"></i>\
             <i title=\"&lt;b&gt;\" style=\"left:30.00%;width:50.00%\"></i></div>\
             <span class=\"num\">1.5 s</span>",
            "<span class=\"num\">100 ms</span>",
            "<i style=\"width:75.00%\"></i></div><span class=\"num soft\">90 ms</span>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn o9_no_stages_are_no_heading() {
        let mut page = String::new();
        bars(&mut page, &json!({ "duration_ms": 5 }));
        assert_eq!(page, "");
    }
}
