//! Whether the tables of an entity fit each other (M12): every length says how many child rows there are,
//! every child row has its parent, every key stands once, versions follow each other.
//!
//! The tables are read by deltalake's own provider, not by the reader that merges use.

use arrow_array::Array as _;
use datafusion::arrow::util::display::array_value_to_string;
use serde::Serialize;
use solder_landing::Mount;
use solder_relationalize::relation::{Column, Role};
use solder_relationalize::tables::join_columns;

use crate::delta::{Table, schema};
use crate::error::Error;
use crate::expect::Level;
use crate::lake::Lake;
use crate::merge::{Engine, Session, Statement, quoted};

use super::{all_names, delta_table};

const LENGTHS: Statement = Statement::new(
    "comparing lengths with child rows",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/check/lengths.sql")),
);
const ORPHANS: Statement = Statement::new(
    "finding child rows without a parent",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/check/orphans.sql")),
);
const KEYS: Statement = Statement::new(
    "finding keys that stand twice",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/check/keys.sql")),
);

const HISTORY: Statement = Statement::new(
    "comparing versions with the next ones",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/check/history.sql")),
);

/// What the checks came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Checks made.
    pub num_checks: usize,
    /// Tables read.
    pub num_tables: usize,
    /// Those that do not hold.
    pub findings: Vec<Finding>,
}

/// A check that does not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `length`, `reference`, `key`, `history`, `unfinished`; or the kind of an expectation.
    pub check: &'static str,
    /// The table.
    pub table: String,
    /// Rows that are wrong.
    pub num_rows: usize,
    /// In words; of what always must hold, with the first of those rows.
    pub text: String,
    /// What it means.
    pub level: Level,
    /// The statement that gives the rows, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

impl CheckReport {
    /// Adds what other checks came to.
    pub fn add(&mut self, other: CheckReport) {
        self.num_checks += other.num_checks;
        self.num_tables += other.num_tables;
        self.findings.extend(other.findings);
    }

    /// Whether all holds that must.
    ///
    /// # Errors
    ///
    /// Something does not: with the first of them.
    pub fn outcome(&self) -> Result<(), Error> {
        let mut failed = self.findings.iter().filter(|finding| finding.level == Level::Fail);
        match failed.next() {
            None => Ok(()),
            Some(first) => Err(Error::Check {
                num_failed: 1 + failed.count(),
                num_checked: self.num_checks,
                first: format!("{}: {}", first.table, first.text),
            }),
        }
    }
}

/// Checks the entities of some root tables, or of all.
///
/// # Errors
///
/// There is no such table, or a table cannot be read. What does not hold is in the report.
pub async fn check(
    lake: &Lake,
    wanted: &[String],
    memory_bytes: usize,
    threads: usize,
) -> Result<CheckReport, Error> {
    let engine = Engine::new(memory_bytes, threads, &[lake.mount() as &Mount])?;
    let mut tables = Vec::new();
    for name in all_names(lake).await? {
        tables.push(lake.existing(&name).await?);
    }
    for name in wanted {
        lake.existing(name).await?;
    }
    let is_wanted = |root: &str| wanted.is_empty() || wanted.iter().any(|name| name == root);
    let mut report = CheckReport::default();
    for root in tables.iter().filter(|table| table.property(schema::ROOT) == Some(table.name())) {
        if !is_wanted(root.name()) {
            continue;
        }
        report.num_tables += 1;
        check_root(&engine, root, &mut report).await?;
        let of_root = |table: &&Table| {
            table.property(schema::ROOT) == Some(root.name()) && table.name() != root.name()
        };
        for child in tables.iter().filter(of_root) {
            report.num_tables += 1;
            let above = child.property(schema::PARENT).unwrap_or(root.name());
            if let Some(parent) = tables.iter().find(|table| table.name() == above) {
                check_child(&engine, root, parent, child, &mut report).await?;
            }
        }
    }
    Ok(report)
}

async fn check_root(engine: &Engine, root: &Table, report: &mut CheckReport) -> Result<(), Error> {
    report.num_checks += 1;
    if root.property(schema::MERGING).is_some() {
        report.findings.push(Finding {
            check: "unfinished",
            table: root.name().to_owned(),
            num_rows: 0,
            text: "a merge has begun and not ended: run it again".to_owned(),
            level: Level::Fail,
            rows: None,
        });
    }
    let key = root_key(root);
    if key.is_empty() {
        return Ok(());
    }
    report.num_checks += 1;
    let session = engine.session(root.name());
    add(&session, "parent", root).await?;
    let names: Vec<String> = key.iter().map(|column| quoted(column)).collect();
    if let (Some(_), Some((_, record))) = (root.property(schema::HISTORY), names.split_last()) {
        report.num_checks += 1;
        let found = session.collect(HISTORY, &[("key", &record.join(", "))]).await?;
        let shown = ["_valid_from", "_valid_to", "_is_current", "next"].map(str::to_owned);
        let shown = [&key[..record.len()], &shown].concat();
        if let Some((num_rows, example)) = first(&found.1, &shown) {
            report.findings.push(Finding {
                check: "history",
                table: root.name().to_owned(),
                num_rows,
                text: format!(
                    "{num_rows} versions do not end where the next one begins, the first: {example}"
                ),
                level: Level::Fail,
                rows: None,
            });
        }
    }
    let found = session.collect(KEYS, &[("key", &names.join(", "))]).await?;
    if let Some((num_rows, example)) = first(&found.1, &key) {
        report.findings.push(Finding {
            check: "key",
            table: root.name().to_owned(),
            num_rows,
            text: format!("{num_rows} keys stand in more than one row, the first: {example}"),
            level: Level::Fail,
            rows: None,
        });
    }
    Ok(())
}

async fn check_child(
    engine: &Engine,
    root: &Table,
    parent: &Table,
    child: &Table,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let (above, below) = (schema::columns(parent)?, schema::columns(child)?);
    let key = root_key(root);
    let pairs = join_columns(&below, &above, |part, column| {
        // The key that rows are merged by may be another than the one that child rows carry.
        let is_key = |up: &&Column| up.role == Role::Value && up.path == column.path;
        above.iter().find(is_key).map(|up| &up.name).or_else(|| key.get(part))
    });
    if pairs.is_empty() {
        return Ok(());
    }
    let session = engine.session(child.name());
    add(&session, "parent", parent).await?;
    add(&session, "child", child).await?;
    let list = |columns: &mut dyn Iterator<Item = String>| columns.collect::<Vec<_>>().join(", ");
    let key = list(&mut pairs.iter().map(|pair| format!("parent.{}", quoted(&pair.references))));
    let child_key = list(&mut pairs.iter().map(|pair| quoted(&pair.column)));
    let same: Vec<String> = pairs
        .iter()
        .map(|pair| format!("parent.{} = child.{}", quoted(&pair.references), quoted(&pair.column)))
        .collect();
    let same = same.join(" AND ");
    let names: Vec<String> = pairs.iter().map(|pair| pair.references.clone()).collect();

    report.num_checks += 1;
    let values = [("child_key", child_key.as_str()), ("same", same.as_str())];
    let orphans = session.collect(ORPHANS, &values).await?;
    if let Some((num_rows, example)) = first(&orphans.1, &names) {
        report.findings.push(Finding {
            check: "reference",
            table: child.name().to_owned(),
            num_rows,
            text: format!(
                "{num_rows} rows have no parent in `{}`, the first: {example}",
                parent.name()
            ),
            level: Level::Fail,
            rows: None,
        });
    }
    let path = child.property(schema::PATH).unwrap_or_default();
    let is_length = |column: &&Column| {
        matches!(column.role, Role::ArrayLength | Role::MapLength)
            && [format!("{}[*]", column.path), format!("{}.*", column.path)]
                .contains(&path.to_owned())
    };
    if let Some(length) = above.iter().find(is_length) {
        report.num_checks += 1;
        let length_name = quoted(&length.name);
        let values = [
            ("key", key.as_str()),
            ("child_key", child_key.as_str()),
            ("same", same.as_str()),
            ("length", length_name.as_str()),
        ];
        let wrong = session.collect(LENGTHS, &values).await?;
        let names = [names, vec!["length".to_owned(), "child rows".to_owned()]].concat();
        if let Some((num_rows, example)) = first(&wrong.1, &names) {
            report.findings.push(Finding {
                check: "length",
                table: parent.name().to_owned(),
                num_rows,
                text: format!(
                    "`{}` of {num_rows} rows is not the number of rows in `{}`, the first: {example}",
                    length.name,
                    child.name()
                ),
                level: Level::Fail,
                rows: None,
            });
        }
    }
    Ok(())
}

fn root_key(root: &Table) -> Vec<String> {
    root.property(schema::KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

async fn add(session: &Session, name: &str, table: &Table) -> Result<(), Error> {
    let provider = delta_table(table).await?.table_provider().await;
    let provider = provider.map_err(|source| session.failed("opening it", source))?;
    session.add_table(name, provider)
}

/// How many rows there are, and the first in words.
pub(crate) fn first(
    batches: &[arrow_array::RecordBatch],
    names: &[String],
) -> Option<(usize, String)> {
    let num_rows = batches.iter().map(arrow_array::RecordBatch::num_rows).sum();
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let text = |(name, column): (&String, &arrow_array::ArrayRef)| {
        let value = array_value_to_string(column, 0).unwrap_or_default();
        format!("{name} = {}", if column.is_null(0) { "null" } else { &value })
    };
    let texts: Vec<String> = names.iter().zip(batch.columns()).map(text).collect();
    Some((num_rows, texts.join(", ")))
}
