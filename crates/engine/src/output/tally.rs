//! Sums over the reports of commands, as JSON has them.

use serde_json::Value as Json;

/// The items of a list; none where there is no list.
pub(crate) fn items(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

/// Records that a run of `ingest` has landed.
pub(crate) fn landed(report: &Json) -> u64 {
    items(&report["streams"]).filter_map(|stream| stream["num_records"].as_u64()).sum()
}

/// Rows of root tables that a merge has inserted, updated and deleted; roots come last.
pub(crate) fn merged(report: &Json) -> [u64; 3] {
    ["inserted", "updated", "deleted"].map(|what| {
        let key = format!("num_target_rows_{what}");
        let roots =
            items(&report["entities"]).filter_map(|entity| entity["tables"].as_array()?.last());
        roots.filter_map(|root| root[key.as_str()].as_u64()).sum()
    })
}

/// Tables that are new or changed in the catalog.
pub(crate) fn registered(report: &Json) -> u64 {
    let outcomes = items(&report["catalog"]["tables"]).map(|table| table["outcome"].as_str());
    outcomes.filter(|outcome| matches!(outcome, Some("created" | "updated"))).count() as u64
}
