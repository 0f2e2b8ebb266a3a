//! What a report counts, whichever command made it, under one name for each thing.
//!
//! | report of | found by |
//! |---|---|
//! | `ingest run` | `streams` |
//! | `engine relationalize`, `plan`, `shard`, `commit` | `records_read`, `tables` |
//! | `engine merge`, `sql` | `entities`, `table` |
//! | `engine run` | `steps` |

use serde_json::Value;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

/// A number of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    /// What is counted, in one word for people: `Records`.
    pub(crate) name: &'static str,
    /// The same for programs: `records`.
    pub(crate) key: &'static str,
    pub(crate) unit: Unit,
    pub(crate) value: u64,
}

/// A table that a command wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Rows that came in, new and replaced ones.
    pub(crate) num_rows: u64,
    /// Its bytes, where the report tells.
    pub(crate) num_bytes: Option<u64>,
    /// What else is counted of it.
    pub(crate) measures: Vec<Measure>,
}

/// The counts of a report, those that are in it.
pub(crate) fn measures(report: &Value) -> Vec<Measure> {
    let streams = || each(&report["streams"]);
    let entities = || each(&report["entities"]).chain(Some(&report["table"]));
    let merged = || entities().flat_map(|entity| each(&entity["tables"]));
    let of_tables = |name| sum(each(&report["tables"]), name);
    let requests = report["requests"].as_object().map(|kinds| {
        let numbers = kinds.values().filter_map(Value::as_u64);
        numbers.sum()
    });
    let steps = each(&report["steps"]);
    let num_failed = steps.filter(|step| step["outcome"] == "failed").count() as u64;
    let num_failed = report["steps"].is_array().then_some(num_failed);
    let found = [
        ("Duration", "duration_ms", Unit::Milliseconds, report["duration_ms"].as_u64()),
        (
            "Records",
            "records",
            Unit::Count,
            first([
                report["records_read"].as_u64(),
                sum(streams(), "num_records"),
                sum(entities(), "num_records"),
            ]),
        ),
        (
            "Quarantined",
            "quarantined",
            Unit::Count,
            first([
                report["records_quarantined"].as_u64(),
                sum(entities(), "num_records_quarantined"),
            ]),
        ),
        (
            "Bytes",
            "bytes",
            Unit::Bytes,
            first([
                report["bytes_read"].as_u64(),
                sum(streams(), "num_body_bytes"),
                report["bytes"].as_u64(),
            ]),
        ),
        (
            "Rows",
            "rows",
            Unit::Count,
            first([of_tables("rows_written"), report["num_rows"].as_u64()]),
        ),
        ("Requests", "requests", Unit::Count, first([requests, sum(streams(), "num_requests")])),
        ("Retries", "retries", Unit::Count, sum(streams(), "num_retries")),
        ("Inserted", "inserted", Unit::Count, sum(merged(), "num_target_rows_inserted")),
        ("Updated", "updated", Unit::Count, sum(merged(), "num_target_rows_updated")),
        ("Deleted", "deleted", Unit::Count, sum(merged(), "num_target_rows_deleted")),
        ("FailedSteps", "failed_steps", Unit::Count, num_failed),
    ];
    let found = found.into_iter();
    found
        .filter_map(|(name, key, unit, value)| Some(Measure { name, key, unit, value: value? }))
        .collect()
}

/// The tables that a command wrote, in the order of the report.
pub(crate) fn tables(report: &Value) -> Vec<Table> {
    let name = |table: &Value| table["name"].as_str().map(str::to_owned);
    let staged = each(&report["tables"]).filter_map(|table| {
        let num_rows = table["rows_written"].as_u64()?;
        let rows = Measure { name: "Rows", key: "rows", unit: Unit::Count, value: num_rows };
        let num_bytes = table["bytes"].as_u64();
        Some(Table { name: name(table)?, num_rows, num_bytes, measures: vec![rows] })
    });
    let entities = each(&report["entities"]).chain(Some(&report["table"]));
    let merged = entities.flat_map(|entity| each(&entity["tables"])).filter_map(|table| {
        let inserted = table["num_target_rows_inserted"].as_u64()?;
        let updated = table["num_target_rows_updated"].as_u64()?;
        let deleted = table["num_target_rows_deleted"].as_u64()?;
        let count = |name, key, value| Measure { name, key, unit: Unit::Count, value };
        let measures = vec![
            count("Inserted", "inserted", inserted),
            count("Updated", "updated", updated),
            count("Deleted", "deleted", deleted),
        ];
        Some(Table { name: name(table)?, num_rows: inserted + updated, num_bytes: None, measures })
    });
    staged.chain(merged).collect()
}

/// The streams that an ingest landed, in the order of the report.
pub(crate) fn streams(report: &Value) -> Vec<Table> {
    let streams = each(&report["streams"]).filter_map(|stream| {
        let num_rows = stream["num_records"].as_u64()?;
        let records =
            Measure { name: "Records", key: "records", unit: Unit::Count, value: num_rows };
        Some(Table {
            name: stream["stream"].as_str()?.to_owned(),
            num_rows,
            num_bytes: stream["num_file_bytes"].as_u64(),
            measures: vec![records],
        })
    });
    streams.collect()
}

/// The entities of a merge, by the name of their root table.
pub(crate) fn merged_entities(report: &Value) -> Vec<String> {
    let names = each(&report["entities"]).filter_map(|entity| entity["name"].as_str());
    names.map(str::to_owned).collect()
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn first<const N: usize>(known: [Option<u64>; N]) -> Option<u64> {
    known.into_iter().flatten().next()
}

/// The sum over those that have the number; `None` when none has it.
fn sum<'v>(objects: impl Iterator<Item = &'v Value>, name: &str) -> Option<u64> {
    objects
        .filter_map(|object| object[name].as_u64())
        .fold(None, |sum, number| Some(sum.unwrap_or(0) + number))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::ingest(
        json!({ "duration_ms": 7, "streams": [
            { "num_records": 3, "num_body_bytes": 90, "num_requests": 2, "num_retries": 1 },
            { "num_records": 4, "num_body_bytes": 10, "num_requests": 2, "num_retries": 0 },
        ] }),
        "duration_ms=7 records=7 bytes=100 requests=4 retries=1"
    )]
    #[case::relationalize(
        json!({
            "duration_ms": 7, "records_read": 5, "records_quarantined": 1, "bytes_read": 50,
            "requests": { "get": 2, "put": 3 },
            "tables": [{ "name": "a", "rows_written": 5 }, { "name": "a__b", "rows_written": 9 }],
        }),
        "duration_ms=7 records=5 quarantined=1 bytes=50 rows=14 requests=5"
    )]
    #[case::merge(
        json!({ "duration_ms": 7, "entities": [{ "num_records": 5, "num_records_quarantined": 2, "tables": [
            { "num_target_rows_inserted": 1, "num_target_rows_updated": 2, "num_target_rows_deleted": 3 },
            { "num_target_rows_inserted": 10, "num_target_rows_updated": 0, "num_target_rows_deleted": 0 },
        ] }] }),
        "duration_ms=7 records=5 quarantined=2 inserted=11 updated=2 deleted=3"
    )]
    #[case::job(
        json!({ "duration_ms": 7, "steps": [{ "outcome": "failed" }, { "outcome": "done" }] }),
        "duration_ms=7 failed_steps=1"
    )]
    #[case::nothing(json!(null), "")]
    fn o2_counts_of_reports(#[case] report: Value, #[case] expected: &str) {
        let found = measures(&report);
        let found: Vec<_> = found.iter().map(|m| format!("{}={}", m.key, m.value)).collect();
        assert_eq!(found.join(" "), expected);
    }
}
