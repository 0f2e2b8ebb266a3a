//! What was committed to a table.

use deltalake_core::kernel::CommitInfo;
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::lake::Lake;

use super::{delta_table, failed};

/// One commit.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// The version that it made.
    pub version: u64,
    /// When, RFC 3339; absent when the log does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Delta's word for what was done.
    pub operation: String,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The staged run that it merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Counts.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
}

/// The commits of a table, newest first.
///
/// # Errors
///
/// There is no such table, or its log cannot be read.
pub async fn history(
    lake: &Lake,
    table: &str,
    limit: Option<usize>,
) -> Result<Vec<HistoryEntry>, Error> {
    let table = lake.existing(table).await?;
    let delta = delta_table(&table).await?;
    let commits: Vec<CommitInfo> =
        delta.history(limit).try_collect().await.map_err(failed("reading", &table))?;
    // The log tells no versions, but leaves none out.
    let versions = (0..=table.version()).rev();
    Ok(versions.zip(commits).map(|(version, commit)| entry(version, commit)).collect())
}

fn entry(version: u64, mut commit: CommitInfo) -> HistoryEntry {
    let timestamp = commit
        .timestamp
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map(|timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    let run = commit.info.get("solder").and_then(|origin| origin.get("run")?.as_str());
    HistoryEntry {
        version,
        timestamp,
        operation: commit.operation.unwrap_or_else(|| "unknown".to_owned()),
        run: run.map(str::to_owned),
        engine: commit.engine_info,
        metrics: commit.info.remove("operationMetrics").unwrap_or_default(),
    }
}
