//! The rows of a statement into a table of the lake: staged as one run of an entity without child tables,
//! and merged as every other (M2, M7, M8).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use solder_landing::Place;
use solder_relationalize::clock::{Clock, Phase};
use solder_relationalize::curated::DataFile;
use solder_relationalize::relation::{Column, Role, arrow_field};
use solder_relationalize::shape::ColumnType;

use crate::delta::schema;
use crate::error::Error;
use crate::lake::Lake;
use crate::merge::{
    Engine, EntityReport, MergeSettings, Rule, SEQUENCE, StagedEntity, StagedTable, Staging,
    Statement, merge_staged, quoted,
};
use crate::readable::choice;

use super::{Into, SqlSettings};

/// What a table that holds the rows of statements says of their origin (`solder.path`).
pub const ORIGIN: &str = "sql";
const FILE: &str = "rows.parquet";

const KEYS: Statement = Statement::new(
    "finding keys that stand twice",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/check/result_keys.sql")),
);

/// Runs a statement and brings its rows into the lake, in one commit.
///
/// # Errors
///
/// The statement fails, a column has no name or no type that Delta knows, a key is null or stands twice, or
/// the table holds what a merge of records brought.
pub async fn land(
    engine: &Engine,
    (lake, spill): (&Lake, &Path),
    into: &Into,
    rows: DataFrame,
    settings: &SqlSettings,
    clock: &Clock,
) -> Result<EntityReport, Error> {
    check_target(lake, into).await?;
    let columns = columns(rows.schema().as_arrow())?;
    check_key(into, &columns)?;

    let io = |source| Error::Spill { folder: spill.display().to_string(), source };
    let folder = tempfile::Builder::new().prefix("solder-sql-").tempdir_in(spill).map_err(io)?;
    let num_rows = stage(rows, &columns, &folder.path().join(FILE), into).await?;
    clock.lap(Phase::Query);

    let place = Place::parse(&folder.path().to_string_lossy())?;
    let mount = place.mount()?;
    let file = DataFile {
        key: FILE.to_owned(),
        num_rows,
        size_bytes: std::fs::metadata(folder.path().join(FILE)).map_err(io)?.len(),
        sequence: 0,
        entity: None,
    };
    let staging = staging(into, place, mount, columns, file);
    let engine = engine.with_mounts(&[&staging.mount, lake.mount()])?;
    check_rows(&engine, into, &staging).await?;
    clock.lap(Phase::Check);

    let mut merge = MergeSettings::new(&staging.place.to_string(), &into.lake);
    merge.memory_bytes = settings.memory_bytes;
    merge.threads = settings.threads;
    let rule = Rule { mode: Some(into.mode), key: into.key.clone(), ..Rule::default() };
    merge.rules = vec![(None, rule)];
    let merged = merge_staged(lake, &engine, &staging, &merge, clock).await;
    let mut reports = merged.map_err(of_result)?;
    let mut report = reports.pop().unwrap_or_default();
    report.num_records = num_rows;
    Ok(report)
}

/// A change of type that a merge refuses, in the words of a result.
fn of_result(error: Error) -> Error {
    match error {
        Error::Types { table, column, target, staged, .. } => {
            Error::ResultType { table, column, target, given: staged }
        }
        other => other,
    }
}

/// The rows as one staged run.
fn staging(
    into: &Into,
    place: Place,
    mount: solder_landing::Mount,
    columns: Vec<Column>,
    file: DataFile,
) -> Staging {
    // Without an id, every run is a new one, and newer than those before.
    let (id, sequence) = match &into.run_id {
        Some(run_id) => (format!("sql:{run_id}"), 1),
        None => {
            let now = jiff::Timestamp::now().as_microsecond();
            ("sql".to_owned(), u64::try_from(now).unwrap_or(1))
        }
    };
    let table = StagedTable {
        name: into.table.clone(),
        path: ORIGIN.to_owned(),
        parent: None,
        columns,
        files: vec![DataFile { sequence, ..file }],
    };
    let run_id = into.run_id.clone().unwrap_or_else(solder_relationalize::new_run_id);
    let key = into.key.clone();
    let entity = StagedEntity::of_one(into.table.clone(), sequence, run_id, key, table);
    Staging { id, place, mount, entities: vec![entity] }
}

/// Refuses tables whose rows are records: those have child tables, and their next merge counts on them.
async fn check_target(lake: &Lake, into: &Into) -> Result<(), Error> {
    lake.check_store().await?;
    let Some(table) = lake.table(&into.table).await? else { return Ok(()) };
    match table.property(schema::PATH) {
        None | Some(ORIGIN) => Ok(()),
        Some(_) => Err(Error::Target {
            table: lake.place().address(&into.table),
            reason:
                "it holds records that `engine merge` brings; give the result a table of its own"
                    .to_owned(),
        }),
    }
}

/// The columns of a result as those of a table.
fn columns(schema: &Schema) -> Result<Vec<Column>, Error> {
    let mut columns: Vec<Column> = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let refused = |why: String| Error::Column { number: at + 1, name: name.clone(), why };
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(refused("give it a name of letters, digits and `_` with `as`".to_owned()));
        }
        if columns.iter().any(|known| known.name.eq_ignore_ascii_case(name)) || name == SEQUENCE {
            return Err(refused("the name is taken: give it another with `as`".to_owned()));
        }
        columns.push(column(field).ok_or_else(|| {
            refused(format!("Delta tables have no type for {}: cast it", field.data_type()))
        })?);
    }
    Ok(columns)
}

fn column(field: &Field) -> Option<Column> {
    let (role, column_type, is_open) = match field.data_type() {
        DataType::Null => (Role::Value, ColumnType::String, true),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            (Role::List, column_type(item.data_type())?, false)
        }
        scalar => (Role::Value, column_type(scalar)?, false),
    };
    Some(Column {
        name: field.name().clone(),
        path: field.name().as_str().into(),
        role,
        column_type,
        fields: Vec::new(),
        is_open,
    })
}

fn column_type(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float64,
        integer if integer.is_integer() => ColumnType::Int64,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            ColumnType::Decimal { precision: *precision, scale: *scale }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::String,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(..) => ColumnType::Timestamp,
        DataType::Dictionary(_, values) => column_type(values)?,
        _ => return None,
    })
}

fn check_key(into: &Into, columns: &[Column]) -> Result<(), Error> {
    if into.key.is_empty() && into.mode.needs_key() {
        return Err(Error::Usage(format!(
            "--mode {} needs --key: the columns that identify a row of `{}`",
            into.mode.name(),
            into.table
        )));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    match into.key.iter().find(|column| !names.contains(column)) {
        None => Ok(()),
        Some(column) => Err(Error::NoColumn {
            option: "--key",
            table: into.table.clone(),
            column: column.clone(),
            hint: choice("the statement gives", &names),
        }),
    }
}

/// Writes the rows to a file, numbered; returns how many there are.
async fn stage(
    rows: DataFrame,
    columns: &[Column],
    path: &Path,
    into: &Into,
) -> Result<u64, Error> {
    let failed = |source| Error::Statement {
        doing: format!("running the statement for `{}`", into.table),
        source: Box::new(source),
    };
    let spilling = |source| Error::Spill { folder: path.display().to_string(), source };
    let encoding =
        |source| Error::File { action: "writing", file: path.display().to_string(), source };
    let schema = staged_schema(columns);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let file = File::create(path).map_err(spilling)?;
    let mut writer =
        ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(encoding)?;
    let mut stream = rows.execute_stream().await.map_err(failed)?;
    let mut num_rows = 0;
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        writer.write(&numbered(&batch, &schema, num_rows, into)?).map_err(encoding)?;
        num_rows += batch.num_rows() as i64;
    }
    writer.close().map_err(encoding)?;
    Ok(u64::try_from(num_rows).unwrap_or(0))
}

fn staged_schema(columns: &[Column]) -> SchemaRef {
    let mut fields: Vec<Field> = columns.iter().map(arrow_field).collect();
    fields.push(Field::new(SEQUENCE, DataType::Int64, true));
    Arc::new(Schema::new(fields))
}

fn numbered(
    batch: &RecordBatch,
    schema: &SchemaRef,
    first: i64,
    into: &Into,
) -> Result<RecordBatch, Error> {
    // A value that the type does not hold is an error, never a null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let cast = cast_with_options(array, field.data_type(), &options);
        arrays.push(cast.map_err(|source| Error::Value {
            table: into.table.clone(),
            column: field.name().clone(),
            to: field.data_type().to_string(),
            source,
        })?);
    }
    let numbers = first..first + batch.num_rows() as i64;
    arrays.push(Arc::new(Int64Array::from_iter_values(numbers)));
    RecordBatch::try_new(Arc::clone(schema), arrays)
        .map_err(|error| Error::Internal(Box::new(error)))
}

/// Refuses rows whose key is null or stands twice: which of them is right, nothing tells.
async fn check_rows(engine: &Engine, into: &Into, staging: &Staging) -> Result<(), Error> {
    let Some(table) = staging.entities.first().and_then(StagedEntity::root) else { return Ok(()) };
    if into.key.is_empty() {
        return Ok(());
    }
    let session = engine.session(&into.table);
    let files: Vec<&DataFile> = table.files.iter().collect();
    let schema = staged_schema(&table.columns);
    session.add_files("result", (&staging.place, &staging.mount), schema, &files).await?;
    let names: Vec<String> = into.key.iter().map(|column| quoted(column)).collect();
    let is_null: Vec<String> = names.iter().map(|name| format!("{name} IS NULL")).collect();
    let values = [("key", names.join(", ")), ("is_null", is_null.join(" OR "))];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (_, found) = session.collect(KEYS, &values).await?;
    match crate::maintain::first_row(&found, &into.key) {
        None => Ok(()),
        Some((num_keys, example)) => {
            Err(Error::ResultKeys { table: into.table.clone(), num_keys, example })
        }
    }
}
