//! What becomes of the records of a batch: which is the newest of its key, which row it meets.
//!
//! ```text
//!   staged root ──▶ newest (M3) ──┐
//!   target ──▶ Scan (M9) ─────────┴──▶ fates: insert, update, delete, mark, late, absent (M4, M5)
//!                                        └──▶ versions, where history is kept (M2)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use datafusion::arrow::util::display::array_value_to_string;
use serde::{Deserialize, Serialize};

use crate::delta::Table;
use crate::error::Error;
use crate::files::Source;

use super::history;
use super::keys::KeyValues;
use super::scan::Scan;
use super::session::{self, Session, quoted};
use super::settings::Mode;

/// How records of an entity are told apart, and what a deletion is. A root keeps it while it is being merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// How rows come in.
    pub mode: Mode,
    /// The root's columns of the key.
    pub key: Vec<String>,
    /// The root's columns that tell which record is newer.
    pub order_by: Vec<String>,
    /// The root's columns that child rows are linked to: those of the staging area.
    #[serde(skip)]
    pub identity: Vec<String>,
    /// Which staged records are deletions, as SQL.
    pub delete_when: Option<String>,
    /// The column that marks deleted records.
    pub soft_delete: Option<String>,
}

/// The newest record of every key of a batch, in the session's table `newest`.
pub struct Newest {
    /// How many.
    pub num_records: u64,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// What becomes of them, in the session's table `fates`.
pub struct Fates {
    /// How many records became what.
    pub counts: BTreeMap<String, u64>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Matching {
    /// The columns of which no two records of a batch share the values: the key, and where versions are kept
    /// what orders them.
    fn version(&self) -> Vec<String> {
        let order: &[String] = if self.mode == Mode::Scd2 { &self.order_by } else { &[] };
        [&self.key, order].concat()
    }

    /// The names of these columns in statements.
    fn version_names(&self) -> Vec<String> {
        let key = (1..=self.key.len()).map(|part| format!("key_{part}"));
        let order = (self.mode == Mode::Scd2).then(|| "order_1".to_owned());
        key.chain(order).collect()
    }

    /// The staged columns under the names that statements use.
    fn aliases(&self) -> Vec<(String, String)> {
        let named = |columns: &[String], name: &'static str| {
            let alias = move |(at, column): (usize, &String)| {
                (column.clone(), format!("{name}_{}", at + 1))
            };
            columns.iter().enumerate().map(alias).collect::<Vec<_>>()
        };
        [named(&self.key, "key"), named(&self.order_by, "order"), named(&self.identity, "link")]
            .concat()
    }

    /// Whether a staged row has all that places it, as SQL: its key, and its time where versions are kept.
    pub fn has_key(&self) -> String {
        let parts = self.version();
        let parts = parts.iter().map(|column| format!("{} IS NOT NULL", quoted(column)));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// Whether a staged row is a deletion, as SQL.
    pub fn is_deleted(&self) -> String {
        match &self.delete_when {
            Some(condition) => format!("coalesce(({condition}), false)"),
            None => "false".to_owned(),
        }
    }

    /// Finds the newest records of the staged root rows.
    ///
    /// # Errors
    ///
    /// The statement fails.
    pub async fn newest(&self, session: &Session) -> Result<Newest, Error> {
        if let Some(condition) = &self.delete_when {
            session.check("--delete-when", condition, &self.is_deleted()).await?;
        }
        let aliases = self.aliases();
        let names: Vec<&str> = aliases.iter().map(|(_, alias)| alias.as_str()).collect();
        let values = aliases.iter().map(|(column, alias)| format!("{} AS {alias}", quoted(column)));
        let newest_first = self
            .order_by
            .iter()
            .map(|column| format!("{} DESC NULLS LAST", quoted(column)))
            .chain(["_seq DESC".to_owned()]);
        let key: Vec<String> = self.version().iter().map(|column| quoted(column)).collect();
        let (schema, batches) = session
            .collect(
                session::NEWEST,
                &[
                    ("names", &names.join(", ")),
                    ("values", &values.collect::<Vec<_>>().join(",\n        ")),
                    ("is_deleted", &self.is_deleted()),
                    ("key", &key.join(", ")),
                    ("newest_first", &newest_first.collect::<Vec<_>>().join(", ")),
                    ("has_key", &self.has_key()),
                ],
            )
            .await?;
        let num_records = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        session.add_batches("newest", Arc::clone(&schema), batches.clone())?;
        Ok(Newest { num_records, schema, batches })
    }

    /// Finds the rows of the target that the newest records meet.
    ///
    /// # Errors
    ///
    /// The target cannot be read, has a key twice, or lacks a key column.
    pub async fn fates(
        &self,
        session: &Session,
        newest: &Newest,
        target: Option<&Table>,
        threads: usize,
    ) -> Result<(Fates, Option<Scan>), Error> {
        let scan = match target {
            Some(table) => Some(self.scan(newest, table, threads, session).await?),
            None => None,
        };
        let here = |column: &str| {
            target.is_some_and(|table| table.schema().field_with_name(column).is_ok())
        };
        let there = |column: &str| match here(column) {
            true => format!("target.{}", quoted(column)),
            false => "NULL".to_owned(),
        };
        if target.is_none() {
            session.add_batches("target", self.no_target(newest), Vec::new())?;
        }
        let columns = self.aliases().into_iter().map(|(column, alias)| {
            match alias.starts_with("link_") && here(&column) {
                true => format!("coalesce({}, newest.{alias}) AS {alias}", there(&column)),
                false => format!("newest.{alias}"),
            }
        });
        let same_key = self.key.iter().enumerate().map(|(at, column)| match here(column) {
            true => format!("newest.key_{} = {}", at + 1, there(column)),
            false => "false".to_owned(),
        });
        let is_version = format!("newest.order_1 = target.{}", history::VALID_FROM);
        let same_key = same_key.chain((self.mode == Mode::Scd2).then_some(is_version));
        let soft = self.soft_delete.is_some();
        let (schema, batches) = session
            .collect(
                session::FATES,
                &[
                    ("columns", &columns.collect::<Vec<_>>().join(",\n    ")),
                    ("is_late", &self.is_late(&there)),
                    ("absent", if soft { "insert" } else { "absent" }),
                    ("deleted", if soft { "mark" } else { "delete" }),
                    ("met", if self.mode == Mode::InsertOnly { "skip" } else { "update" }),
                    ("same_key", &same_key.collect::<Vec<_>>().join(" AND ")),
                ],
            )
            .await?;
        session.add_batches("fates", Arc::clone(&schema), batches.clone())?;
        let fates = Fates { counts: counts(session).await?, schema, batches };
        if let Some(table) = target {
            self.refuse_duplicates(session, table, &fates, newest).await?;
        }
        Ok((fates, scan))
    }

    /// Makes the rows of the target that may hold a staged key the session's table `target`.
    async fn scan(
        &self,
        newest: &Newest,
        table: &Table,
        threads: usize,
        session: &Session,
    ) -> Result<Scan, Error> {
        let missing = |column: &&String| table.schema().field_with_name(column).is_err();
        if let Some(column) = self.key.iter().find(missing)
            && table.version() > 0
        {
            return Err(Error::NoColumn {
                option: "--key",
                table: table.name().to_owned(),
                column: column.clone(),
                hint: String::new(),
            });
        }
        let bounds: Vec<(String, KeyValues)> = self
            .key
            .iter()
            .enumerate()
            .map(|(at, column)| (column.clone(), newest.values(&format!("key_{}", at + 1))))
            .collect();
        let scan = Scan::find(table, &bounds).await?;
        let mut columns: Vec<String> = Vec::new();
        let validity: &[String] = match self.mode {
            Mode::Scd2 => &[history::VALID_FROM, history::VALID_TO].map(str::to_owned),
            _ => &[],
        };
        let wanted = self.key.iter().chain(&self.order_by).chain(&self.identity).chain(validity);
        for column in wanted {
            if !columns.contains(column) && table.schema().field_with_name(column).is_ok() {
                columns.push(column.clone());
            }
        }
        let provider = scan.provider(table, &columns, threads)?;
        session.add_table("target", provider)?;
        Ok(scan)
    }

    /// Whether the target's row is newer than the record (M4); a row without a time is the oldest.
    fn is_late(&self, there: &impl Fn(&str) -> String) -> String {
        // A late version has its place among the others.
        let order: &[String] = if self.mode == Mode::Scd2 { &[] } else { &self.order_by };
        let parts = order.iter().enumerate().rev();
        parts.fold("false".to_owned(), |rest, (at, column)| {
            let (target, newest) = (there(column), format!("newest.order_{}", at + 1));
            format!(
                "coalesce({target} > {newest}, ({target} IS NOT NULL) AND ({newest} IS NULL)) OR (({target} IS NOT DISTINCT FROM {newest}) AND ({rest}))"
            )
        })
    }

    /// Puts the versions of the batch and those of the target, where it is there, in order (M2): the session's
    /// table `versions`. Returns the target's rows whose validity changes, by file and row.
    ///
    /// # Errors
    ///
    /// The statement fails.
    pub async fn versions(&self, session: &Session) -> Result<Vec<(u32, i64)>, Error> {
        let names: Vec<String> = (1..=self.key.len()).map(|part| format!("key_{part}")).collect();
        let pairs = || self.key.iter().zip(&names);
        let target_key =
            pairs().map(|(column, name)| format!("target.{} AS {name}", quoted(column)));
        let same_key =
            pairs().map(|(column, name)| format!("target.{} = coming.{name}", quoted(column)));
        let (schema, batches) = session
            .collect(
                session::VERSIONS,
                &[
                    ("key", &names.join(", ")),
                    ("target_key", &target_key.collect::<Vec<_>>().join(", ")),
                    ("same_key", &same_key.collect::<Vec<_>>().join(" AND ")),
                ],
            )
            .await?;
        let places = |batch: &RecordBatch| {
            let is_moved = batch.column_by_name("is_moved")?.as_boolean().clone();
            let files =
                batch.column_by_name(super::scan::FILE)?.as_primitive::<UInt32Type>().clone();
            let rows = batch.column_by_name(super::scan::ROW)?.as_primitive::<Int64Type>().clone();
            let moved = (0..batch.num_rows()).filter(move |at| is_moved.value(*at));
            Some(moved.map(move |at| (files.value(at), rows.value(at))))
        };
        let moved = batches.iter().filter_map(places).flatten().collect();
        session.add_batches("versions", schema, batches)?;
        Ok(moved)
    }

    /// A target without files, with the columns that statements ask for by name.
    fn no_target(&self, newest: &Newest) -> SchemaRef {
        use arrow_schema::{DataType, Field, Schema};
        let mut fields = vec![
            Field::new(super::scan::FILE, DataType::UInt32, true),
            Field::new(super::scan::ROW, DataType::Int64, true),
        ];
        if self.mode == Mode::Scd2 {
            let columns = self.key.iter().map(String::as_str).zip(1..);
            let columns = columns.map(|(column, part)| (column, format!("key_{part}")));
            let validity = [history::VALID_FROM, history::VALID_TO];
            let validity = validity.map(|column| (column, "order_1".to_owned()));
            for (column, name) in columns.chain(validity) {
                let known = newest.schema.field_with_name(&name).ok();
                fields.extend(known.map(|known| known.clone().with_name(column)));
            }
        }
        Arc::new(Schema::new(fields))
    }

    async fn refuse_duplicates(
        &self,
        session: &Session,
        table: &Table,
        fates: &Fates,
        newest: &Newest,
    ) -> Result<(), Error> {
        let num_fates: u64 = fates.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if num_fates == newest.num_records {
            return Ok(());
        }
        let names = self.version_names();
        let (_, found) =
            session.collect(session::DUPLICATES, &[("names", &names.join(", "))]).await?;
        let num_keys = found.iter().map(RecordBatch::num_rows).sum();
        let text = |(column, array): (&String, &Arc<dyn Array>)| {
            let value = array_value_to_string(array, 0).unwrap_or_default();
            format!("{column} = {value}")
        };
        let example =
            found.iter().find(|batch| batch.num_rows() > 0).map_or_else(String::new, |batch| {
                self.version().iter().zip(batch.columns()).map(text).collect::<Vec<_>>().join(", ")
            });
        Err(Error::DuplicateKeys { table: table.folder.address.clone(), num_keys, example })
    }
}

async fn counts(session: &Session) -> Result<BTreeMap<String, u64>, Error> {
    let (_, batches) = session.collect(session::COUNTS, &[]).await?;
    let mut counts = BTreeMap::new();
    for batch in &batches {
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let fate = array_value_to_string(batch.column(0), row).unwrap_or_default();
            counts.insert(fate, u64::try_from(numbers.value(row)).unwrap_or(0));
        }
    }
    Ok(counts)
}

impl Newest {
    fn values(&self, column: &str) -> KeyValues {
        values(&self.schema, &self.batches, column)
    }
}

impl Fates {
    /// How many records have a fate.
    pub fn count(&self, fate: &str) -> u64 {
        self.counts.get(fate).copied().unwrap_or(0)
    }

    /// The values of a link to the root, of all records.
    pub fn link(&self, part: usize) -> KeyValues {
        values(&self.schema, &self.batches, &format!("link_{part}"))
    }
}

fn values(schema: &SchemaRef, batches: &[RecordBatch], column: &str) -> KeyValues {
    match schema.index_of(column) {
        Ok(at) => KeyValues::of(batches.iter().map(move |batch| batch.column(at))),
        Err(_) => KeyValues::Other,
    }
}

/// A row of the target by file and number, and the record that meets it.
pub struct Met {
    /// The file, by its number in the scan.
    pub file: u32,
    /// The row, by its number in the file.
    pub row: i64,
    /// The record, by its number in the staging area; 0 where the statement does not say.
    pub record: i64,
}

/// The rows that a statement names by file and number.
///
/// # Errors
///
/// The statement fails.
pub async fn places(
    session: &Session,
    statement: session::Statement,
    parts: &[(&str, &str)],
) -> Result<Vec<Met>, Error> {
    let (_, batches) = session.collect(statement, parts).await?;
    let mut places = Vec::new();
    for batch in &batches {
        let files = batch.column(0).as_primitive::<UInt32Type>();
        let rows = batch.column(1).as_primitive::<Int64Type>();
        let records = batch.columns().get(2).map(|records| records.as_primitive::<Int64Type>());
        places.extend((0..batch.num_rows()).map(|at| Met {
            file: files.value(at),
            row: rows.value(at),
            record: records.map_or(0, |records| records.value(at)),
        }));
    }
    Ok(places)
}

/// The files of a scan, for tables that are not there.
pub fn sources(scan: Option<&Scan>) -> Arc<Vec<Source>> {
    scan.map_or_else(Arc::default, |scan| Arc::clone(&scan.sources))
}
