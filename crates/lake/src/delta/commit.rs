//! One commit to one table: it lands as a whole, or another writer was first (M8).

use std::collections::HashMap;

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake_core::kernel::{Action, Add, Metadata, Protocol, Remove, Transaction, Version};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};
use solder_relationalize::relation::Column;

use crate::error::Error;
use crate::lake::TableFolder;

use super::schema;
use super::table::Table;

/// What a commit does to a table.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The columns, when they are new or change.
    pub columns: Option<Vec<Column>>,
    /// Properties of the table to set; needs `columns`.
    pub properties: Vec<(String, String)>,
    /// The protocol, when it changes.
    pub protocol: Option<Protocol>,
    /// New files.
    pub adds: Vec<Add>,
    /// Files that go.
    pub removes: Vec<Remove>,
    /// What marks the commit as done (M8): application ids and versions.
    pub transactions: Vec<(String, i64)>,
    /// Delta's word for what is done: `MERGE`, `WRITE`.
    pub operation: Operation,
    /// What readers of the history see: counts and origin.
    pub metrics: Value,
    /// Where the rows come from.
    pub origin: Value,
}

/// Delta's words for what is done to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// Rows are matched.
    #[default]
    Merge,
    /// Rows are added.
    Append,
    /// All rows are replaced.
    Overwrite,
    /// A merge of several tables says that it has begun.
    Begin,
    /// Files are written anew, with the same rows.
    Optimize,
}

/// What became of a commit.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// It is in the log, at this version.
    Committed(Version),
    /// Another commit is there, and this one is not: look at the table and decide again.
    Overtaken,
}

impl Operation {
    fn delta(self) -> DeltaOperation {
        match self {
            // Without a predicate, the commit counts as having read the whole table.
            Operation::Merge => DeltaOperation::Merge {
                predicate: None,
                merge_predicate: None,
                matched_predicates: Vec::new(),
                not_matched_predicates: Vec::new(),
                not_matched_by_source_predicates: Vec::new(),
            },
            Operation::Append => write(SaveMode::Append),
            Operation::Overwrite => write(SaveMode::Overwrite),
            Operation::Begin => DeltaOperation::SetTableProperties { properties: HashMap::new() },
            Operation::Optimize => DeltaOperation::Optimize { predicate: None, target_size: 0 },
        }
    }
}

fn write(mode: SaveMode) -> DeltaOperation {
    DeltaOperation::Write { mode, partition_by: None, predicate: None }
}

/// Commits a change to the table in `folder`, of which `table` is the version that was looked at; `None`
/// when there was none. Never retries by itself: who is overtaken looks again.
///
/// The answer to a commit can get lost, or be an error of what follows the commit. So after any error the
/// log is read: the change's transactions tell whether it landed.
///
/// # Errors
///
/// The store refuses, and the commit is not in the log.
pub async fn commit(
    folder: &TableFolder,
    table: Option<&Table>,
    change: Change,
) -> Result<Outcome, Error> {
    let mut actions = Vec::new();
    let protocol = match table {
        None => Some(change.protocol.unwrap_or(protocol(1, 2, &[])?)),
        Some(_) => change.protocol,
    };
    actions.extend(protocol.map(Action::Protocol));
    if let Some(columns) = &change.columns {
        let metadata: Metadata =
            schema::metadata(table, &folder.name, columns, &change.properties)?;
        actions.push(Action::Metadata(metadata));
    }
    actions.extend(change.removes.into_iter().map(Action::Remove));
    actions.extend(change.adds.into_iter().map(Action::Add));

    let transactions = change.transactions.iter();
    let transactions = transactions.map(|(app, version)| Transaction::new(app, *version));
    let info = HashMap::from([
        ("operationMetrics".to_owned(), change.metrics),
        ("solder".to_owned(), change.origin),
        ("engineInfo".to_owned(), json!(concat!("solder/", env!("CARGO_PKG_VERSION")))),
    ]);
    // Old entries are looked for when a checkpoint is written, not at every commit.
    let next = table.map_or(0, |table| table.version() + 1);
    let cleans = (next + 1).is_multiple_of(CHECKPOINT_INTERVAL).then_some(true);
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_application_transactions(transactions.collect())
        .with_metadata(info)
        .with_cleanup_expired_logs(Some(cleans.unwrap_or(false)));
    let log = table.map_or_else(|| folder.log(), |table| table.log.clone());
    let snapshot = table.map(|table| &table.state as &dyn TableReference);
    let commit = CommitBuilder::from(properties).with_actions(actions).build(
        snapshot,
        log,
        change.operation.delta(),
    );
    let error = match commit.await {
        Ok(committed) => return Ok(Outcome::Committed(committed.version)),
        Err(error) => error,
    };
    let failed = |source| Error::Delta {
        action: "committing to",
        table: folder.address.clone(),
        source: Box::new(source),
    };
    let Ok(Some(found)) = Table::open(folder.clone()).await else {
        return Err(failed(error));
    };
    if is_in(&found, &change.transactions).await? {
        return Ok(Outcome::Committed(found.version()));
    }
    match table.is_none_or(|table| found.version() > table.version()) {
        true => Ok(Outcome::Overtaken),
        false => Err(failed(error)),
    }
}

const CHECKPOINT_INTERVAL: u64 = 100;

async fn is_in(table: &Table, transactions: &[(String, i64)]) -> Result<bool, Error> {
    for (app_id, version) in transactions {
        if table.transaction(app_id).await?.is_none_or(|found| found < *version) {
            return Ok(false);
        }
    }
    Ok(!transactions.is_empty())
}

/// A protocol action.
///
/// # Errors
///
/// Never, unless deltalake changes how it spells one.
pub fn protocol(reader: u8, writer: u8, features: &[&str]) -> Result<Protocol, Error> {
    let mut action = json!({ "minReaderVersion": reader, "minWriterVersion": writer });
    if !features.is_empty() {
        action["readerFeatures"] = json!(features);
        action["writerFeatures"] = json!(features);
    }
    serde_json::from_value(action).map_err(|source| Error::Internal(Box::new(source)))
}
