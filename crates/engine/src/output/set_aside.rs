//! Records that were set aside, as a page shows them: with their values, or masked.

use std::collections::HashMap;

use serde_json::Value as Json;
use solder_relationalize::readable::count;
use solder_relationalize::{Io, Quarantined, read_quarantine};

use super::tally::items;

/// So many records of a file are shown,
const MAX_RECORDS: usize = 20;
/// and so many characters of each.
const MAX_CHARACTERS: usize = 2_000;

/// The first records of quarantine files, by the files' addresses.
#[derive(Debug, Default)]
pub(crate) struct SetAside(HashMap<String, Vec<Record>>);

/// A record as it is shown.
#[derive(Debug)]
pub(crate) struct Record {
    /// Object and line.
    pub(crate) place: String,
    /// Why it was set aside.
    pub(crate) reason: String,
    /// The record, cut if it is long.
    pub(crate) text: String,
}

impl SetAside {
    /// Reads the files that a report names; one that cannot be read shows nothing, for the page is still worth
    /// having.
    pub(crate) fn read(io: &Io, report: &Json, masks: bool) -> SetAside {
        let steps = items(&report["steps"]).map(|step| &step["report"]);
        let reports = std::iter::once(report).chain(steps);
        let files = reports.flat_map(|report| items(&report["quarantine_files"]));
        let read = |file: &str| {
            let records = read_quarantine(io, file, MAX_RECORDS).unwrap_or_default();
            let records = records.iter().map(|record| shown(record, masks)).collect();
            (file.to_owned(), records)
        };
        SetAside(files.filter_map(Json::as_str).map(read).collect())
    }

    /// The records of the files that a report names.
    pub(crate) fn of<'a>(&'a self, report: &'a Json) -> impl Iterator<Item = &'a Record> {
        let files = items(&report["quarantine_files"]).filter_map(Json::as_str);
        files.filter_map(|file| self.0.get(file)).flatten()
    }
}

fn shown(record: &Quarantined, masks: bool) -> Record {
    let whole = match masks {
        true => masked(&record.raw),
        false => String::from_utf8_lossy(&record.raw).into_owned(),
    };
    let mut text: String = whole.chars().take(MAX_CHARACTERS).collect();
    let rest = whole.len() - text.len();
    if rest > 0 {
        text.push_str(&format!(" … {} more", count(rest as u64, "byte")));
    }
    let place = format!("{}:{}", record.object, record.line);
    Record { place, reason: record.reason.clone(), text }
}

/// The members of a record, and of each value only its kind; of what is no JSON, only how long it is.
fn masked(raw: &[u8]) -> String {
    match serde_json::from_slice::<Json>(raw) {
        Ok(value) => kinds(&value),
        Err(_) => count(raw.len() as u64, "byte"),
    }
}

fn kinds(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) => "boolean".to_owned(),
        Json::Number(_) => "number".to_owned(),
        Json::String(_) => "string".to_owned(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(kinds).collect();
            format!("[{}]", values.join(", "))
        }
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| {
                format!("{}: {}", Json::from(key.as_str()), kinds(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &[u8], masks: bool) -> String {
        let record = Quarantined {
            object: "a".to_owned(),
            line: 1,
            reason: "x".to_owned(),
            raw: raw.to_vec(),
        };
        shown(&record, masks).text
    }

    #[test]
    fn masked_records_keep_their_members_alone() {
        let raw = br#"{"id": 7, "who": {"name": "Ada", "ok": true}, "tags": ["x", null]}"#;
        let masked =
            r#"{"id": number, "who": {"name": string, "ok": boolean}, "tags": [string, null]}"#;
        assert_eq!(text(raw, true), masked);
        assert_eq!(text(raw, false).as_bytes(), raw);
        assert_eq!(text(b"{\"name\": \"Ada", true), "13 bytes");
    }

    #[test]
    fn long_records_are_cut() {
        let shown = text("ä".repeat(3_000).as_bytes(), false);
        assert!(shown.ends_with("ä … 2,000 bytes more"), "{}", &shown[shown.len() - 40..]);
    }
}
