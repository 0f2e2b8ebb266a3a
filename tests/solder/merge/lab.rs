//! A place to merge in: batches in, Delta tables out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_select::concat::concat_batches;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTable;
use futures::TryStreamExt;
use serde_json::Value;
use solder_lake::Error;
use solder_lake::merge::{EntityReport, MergeReport, MergeSettings, Rule, TableReport, merge};
use solder_relationalize::Settings;
use solder_relationalize::relation::{Role, Table};
use solder_relationalize::shape::ColumnType;
use tokio::runtime::Runtime;
use url::Url;

use crate::support::{CREW, Lab, chain, compare, files_below, key};

/// Where deltalake runs: not where the merge does.
static READERS: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A staging area and a lake. The entity is `orders`, its key `id` unless a batch says otherwise.
pub struct LakeLab {
    pub staging: Lab,
    num_batches: AtomicUsize,
}

/// A row as texts by column, without nulls. Numbers are spelled in one way, whatever their type.
pub type Row = BTreeMap<String, String>;

impl LakeLab {
    pub fn new() -> LakeLab {
        LakeLab { staging: Lab::new(), num_batches: AtomicUsize::new(0) }
    }

    /// A lab whose lake has these records.
    #[track_caller]
    pub fn of(lines: &str) -> LakeLab {
        let lab = LakeLab::new();
        lab.stage(lines);
        lab.merge(Rule::default());
        lab
    }

    pub fn lake(&self) -> PathBuf {
        self.staging.raw().with_file_name("lake")
    }

    pub fn folder(&self, table: &str) -> PathBuf {
        self.lake().join(table)
    }

    /// Stages a batch as one run.
    #[track_caller]
    pub fn stage(&self, lines: &str) {
        self.stage_with(lines, |settings| settings.keys = key("id"));
    }

    /// As [`LakeLab::stage`], without a key and with other settings.
    #[track_caller]
    pub fn stage_with(&self, lines: &str, change: impl FnOnce(&mut Settings)) {
        let number = self.num_batches.fetch_add(1, Ordering::Relaxed);
        self.staging.write(&format!("orders/{number:03}.ndjson"), lines);
        self.staging.run(|settings| {
            settings.bookmark = true;
            change(settings);
        });
    }

    pub fn try_merge(
        &self,
        rule: Rule,
        change: impl FnOnce(&mut MergeSettings),
    ) -> Result<MergeReport, Error> {
        let (staging, lake) = (self.staging.curated(), self.lake());
        let mut settings = MergeSettings::new(staging.to_str().unwrap(), lake.to_str().unwrap());
        settings.rules.push((None, rule));
        settings.threads = 2;
        settings.patience = std::time::Duration::ZERO;
        change(&mut settings);
        merge(&CREW.io, &settings)
    }

    /// A merge that must succeed; what became of `orders`.
    #[track_caller]
    pub fn merge(&self, rule: Rule) -> EntityReport {
        let report = self.try_merge(rule, |_| {});
        only(report.unwrap_or_else(|error| panic!("{}", chain(&error))))
    }

    /// What a merge would do.
    #[track_caller]
    pub fn rehearse(&self, rule: Rule) -> EntityReport {
        let report = self.try_merge(rule, |settings| settings.dry_run = true);
        only(report.unwrap_or_else(|error| panic!("{}", chain(&error))))
    }

    /// A merge that must fail; its exit code, and the error with its causes, without the lab's folder.
    #[track_caller]
    pub fn fail(&self, rule: Rule) -> (u8, String) {
        let error = self.try_merge(rule, |_| {}).expect_err("the merge should fail");
        let folder = self.lake().parent().unwrap().display().to_string();
        (error.exit_code(), chain(&error).replace(&folder, "LAB"))
    }

    /// Stages and merges a batch.
    #[track_caller]
    pub fn take(&self, lines: &str, rule: Rule) -> EntityReport {
        self.stage(lines);
        self.merge(rule)
    }

    /// The table as deltalake opens it.
    #[track_caller]
    pub fn open(&self, table: &str) -> DeltaTable {
        let url = Url::from_directory_path(self.folder(table)).unwrap();
        let opened = READERS.block_on(deltalake_core::open_table(url));
        opened.unwrap_or_else(|error| panic!("{table}: {}", chain(&error)))
    }

    /// The tables in the lake, sorted.
    pub fn tables(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.lake()).into_iter().flatten();
        let folders = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut tables: Vec<String> = folders.filter(|name| !name.starts_with('_')).collect();
        tables.sort();
        tables
    }

    /// All rows of a table, as deltalake reads them.
    #[track_caller]
    pub fn read(&self, table: &str) -> RecordBatch {
        let opened = self.open(table);
        READERS.block_on(async {
            let mut config = SessionConfig::new();
            config.options_mut().execution.parquet.schema_force_view_types = false;
            let session = SessionContext::new_with_config(config);
            let provider = opened.table_provider().build().await.unwrap();
            let rows = session.read_table(std::sync::Arc::new(provider)).unwrap();
            let schema = std::sync::Arc::new(rows.schema().as_arrow().clone());
            let batches = rows.collect().await.unwrap_or_else(|error| panic!("{table}: {error}"));
            concat_batches(&schema, &batches).unwrap()
        })
    }

    /// Compares the columns that the header of `expected` names; rows are sorted by their texts.
    #[track_caller]
    pub fn shows(&self, table: &str, expected: &str) {
        let batch = self.read(table);
        let header = expected.trim_start().lines().next().unwrap();
        let names: Vec<&str> = header.split('|').map(str::trim).filter(|n| !n.is_empty()).collect();
        let mut order: Vec<(Vec<String>, u32)> = (0..u32::try_from(batch.num_rows()).unwrap())
            .map(|row| {
                let cell = |name: &&str| {
                    let values = batch.column_by_name(name).unwrap_or_else(|| {
                        panic!("{table} has no column {name}: {:?}", batch.schema())
                    });
                    text(values.as_ref(), row as usize).unwrap_or_default()
                };
                (names.iter().map(cell).collect(), row)
            })
            .collect();
        order.sort();
        let order = arrow_array::UInt32Array::from_iter_values(order.into_iter().map(|(_, at)| at));
        compare(&arrow_select::take::take_record_batch(&batch, &order).unwrap(), expected);
    }

    /// The newest action of a kind in a table's log: `metaData`, `protocol`, `commitInfo`.
    #[track_caller]
    pub fn action(&self, table: &str, kind: &str) -> Value {
        let found =
            self.log(table).into_iter().rev().find_map(|(_, action)| {
                action.get(kind).filter(|action| !action.is_null()).cloned()
            });
        found.unwrap_or_else(|| panic!("{table} has no {kind}"))
    }

    /// All actions of a table's log, each with its version.
    pub fn log(&self, table: &str) -> Vec<(u64, Value)> {
        let commits = files_below(&self.folder(table).join("_delta_log"));
        let commits = commits.iter().filter(|path| path.extension().is_some_and(|e| e == "json"));
        let mut actions = Vec::new();
        for path in commits {
            let version = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().map(|line| (version, serde_json::from_str(line).unwrap()));
            actions.extend(lines);
        }
        actions
    }

    /// The operations of a table's history, newest first, as deltalake tells them.
    pub fn operations(&self, table: &str) -> Vec<String> {
        let opened = self.open(table);
        let history: Vec<_> = READERS.block_on(opened.history(None).try_collect()).unwrap();
        history.into_iter().map(|commit| commit.operation.unwrap_or_default()).collect()
    }

    /// All files of the lake with their bytes.
    pub fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = files_below(&self.lake()).into_iter();
        files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// The rows of a table, sorted.
    #[track_caller]
    pub fn rows(&self, table: &str) -> Vec<Row> {
        rows(&self.read(table))
    }

    /// Checks that the lake is what relationalizing `records` alone gives.
    #[track_caller]
    pub fn is_like(&self, records: &[String]) {
        if let Err(difference) = self.compare_with(records) {
            panic!("{difference}");
        }
    }

    /// As [`LakeLab::is_like`]; what differs, in words.
    pub fn compare_with(&self, records: &[String]) -> Result<(), String> {
        let fresh = Lab::of(&records.iter().map(|line| format!("{line}\n")).collect::<String>());
        let mut expected = BTreeMap::new();
        if !records.is_empty() {
            fresh.run(|settings| settings.keys = key("id"));
            for table in fresh.shape("orders").layout.tables {
                let batch = fresh.table(&table.name);
                expected.insert(table.name.clone(), (plain_types(&table), batch));
            }
        }
        let mut found: BTreeMap<String, Vec<Row>> =
            self.tables().into_iter().map(|table| (table.clone(), self.rows(&table))).collect();
        self.check_lengths(&found)?;
        for (table, (types, batch)) in &expected {
            let mut wanted = rows(batch);
            let Some(found) = found.remove(table).or_else(|| wanted.is_empty().then(Vec::new))
            else {
                return Err(format!("the lake has no table {table}, which has {wanted:#?}"));
            };
            // Where values of several types met on the way, their names stand beside them.
            let has_types: Vec<&String> = found.iter().flat_map(Row::keys).collect();
            for row in &mut wanted {
                row.remove("_seq");
                for (column, type_name) in types {
                    let name = format!("_{column}__type");
                    if row.contains_key(column) && has_types.contains(&&name) {
                        row.entry(name).or_insert_with(|| (*type_name).to_owned());
                    }
                }
            }
            wanted.sort();
            if wanted != found {
                return Err(format!("{table} has {found:#?}, and should have {wanted:#?}"));
            }
        }
        match found.into_iter().find(|(_, rows)| !rows.is_empty()) {
            Some((table, rows)) => Err(format!("{table} has {rows:#?}, and should be empty")),
            None => Ok(()),
        }
    }

    /// R9: for every array there are as many child rows as its length says, and no others.
    fn check_lengths(&self, found: &BTreeMap<String, Vec<Row>>) -> Result<(), String> {
        let layout = self.staging.shape("orders").layout;
        for child in &layout.tables {
            let Some(parent) = child.parent.map(|at| &layout.tables[at]) else { continue };
            let path = child.path.strip_suffix("[*]").unwrap_or(&child.path);
            let is_length = |role: &Role, at: &str| matches!(role, Role::ArrayLength) && at == path;
            let length = parent.columns.iter().find(|c| is_length(&c.role, &c.path));
            let length = length.ok_or_else(|| format!("{} has no length", child.name))?;
            let mut wanted: BTreeMap<Vec<String>, usize> = BTreeMap::new();
            for row in found.get(&parent.name).into_iter().flatten() {
                let num_rows = row.get(&length.name).map_or(0, |text| text.parse().unwrap());
                if num_rows > 0 {
                    wanted.insert(place(parent, row), num_rows);
                }
            }
            let mut counted: BTreeMap<Vec<String>, usize> = BTreeMap::new();
            for row in found.get(&child.name).into_iter().flatten() {
                let mut place = place(child, row);
                place.pop();
                *counted.entry(place).or_default() += 1;
            }
            if wanted != counted {
                let (parent, child) = (&parent.name, &child.name);
                return Err(format!(
                    "{parent} says {wanted:?} of {child}, which has {counted:?} rows"
                ));
            }
        }
        Ok(())
    }
}

/// Where a row is: the key of its root, and its positions.
fn place(table: &Table, row: &Row) -> Vec<String> {
    let is_place = |role: &Role| matches!(role, Role::RootKey(_) | Role::Index(_));
    match table.parent {
        None => vec![row["id"].clone()],
        Some(_) => {
            let columns = table.columns.iter().filter(|column| is_place(&column.role));
            columns.map(|column| row[&column.name].clone()).collect()
        }
    }
}

/// The rows of a batch, sorted.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let mut rows: Vec<Row> = (0..batch.num_rows())
        .map(|row| {
            let cells = schema.fields().iter().zip(batch.columns());
            cells
                .filter_map(|(field, values)| Some((field.name().clone(), text(values, row)?)))
                .collect()
        })
        .collect();
    rows.sort();
    rows
}

/// A value as text; `None` for null.
fn text(values: &dyn Array, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options).unwrap();
    let text = formatter.value(row).to_string();
    // An integer may have become a float on the way, and its text then is that of a float.
    Some(match text.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{number}"),
        _ => text,
    })
}

/// The JSON types of a table's columns whose values all have one.
fn plain_types(table: &Table) -> Vec<(String, &'static str)> {
    let typed = table.columns.iter().map(|column| {
        let name = match column.column_type {
            ColumnType::Boolean => "boolean",
            ColumnType::String => "string",
            // Also those that are kept as text, since no type of number holds all of them.
            _ => "number",
        };
        (column.name.clone(), name)
    });
    typed.collect()
}

#[track_caller]
fn only(mut report: MergeReport) -> EntityReport {
    assert_eq!(report.entities.len(), 1, "{report:?}");
    report.entities.remove(0)
}

/// What became of a table.
#[track_caller]
pub fn table<'a>(report: &'a EntityReport, name: &str) -> &'a TableReport {
    let found = report.tables.iter().find(|table| table.name == name);
    found.unwrap_or_else(|| panic!("the report has no table {name}: {report:#?}"))
}

/// A rule with a deletion: `deleted = true`.
pub fn deleting() -> Rule {
    Rule { delete_when: Some("deleted".to_owned()), ..Rule::default() }
}

/// A rule with an order: `version`.
pub fn ordered() -> Rule {
    Rule { order_by: vec!["version".to_owned()], ..Rule::default() }
}
