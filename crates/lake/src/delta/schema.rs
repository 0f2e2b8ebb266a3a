//! What the columns of a Delta table are, and what they become when staging brings new or wider ones (M7).
//!
//! The log keeps with every column what relationalize knew of it (`solder.column` in the column's
//! metadata), so that texts which stand for numbers, or for values of several types, are still known as
//! such; and the JSON path as the column's comment, for people.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::{
    MetadataExt as _, MetadataValue, StructField, StructType, new_metadata,
};
use solder_relationalize::relation::{Column, Role, arrow_field};
use solder_relationalize::shape::ColumnType;

use crate::error::Error;

use super::table::Table;

/// The column's metadata key for what relationalize knows of it.
const COLUMN: &str = "solder.column";
/// The table property that names the root table of the entity.
pub const ROOT: &str = "solder.root";
/// The table property that names the table above.
pub const PARENT: &str = "solder.parent";
/// The table property that names the JSON path of the table's rows.
pub const PATH: &str = "solder.path";
/// The root's property that names the columns of its key.
pub const KEY: &str = "solder.key";
/// The root's property that names the column by which it keeps history.
pub const HISTORY: &str = "solder.history";
/// The root's property that names the run that is being merged.
pub const MERGING: &str = "solder.merging";

/// The columns of a table after a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct Evolution {
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// Names of those that are new.
    pub added: Vec<String>,
    /// Those whose type changes, which rewrites the table's files.
    pub widened: Vec<Widening>,
}

/// A column that gets a wider type.
#[derive(Clone, Debug, PartialEq)]
pub struct Widening {
    /// As it is in the table's files.
    pub from: Column,
    /// As it will be.
    pub to: Column,
}

impl Evolution {
    /// Whether the log must say something new of the columns.
    pub fn changes(&self) -> bool {
        !self.added.is_empty() || !self.widened.is_empty()
    }

    /// A table with these columns from the start.
    pub fn of_new(columns: Vec<Column>) -> Evolution {
        Evolution { columns, added: Vec::new(), widened: Vec::new() }
    }
}

/// The columns of a table, as relationalize would describe them.
///
/// # Errors
///
/// The table has a column of a type that relationalize has not.
pub fn columns(table: &Table) -> Result<Vec<Column>, Error> {
    table.state.schema().fields().map(|field| described(table, field)).collect()
}

fn described(table: &Table, field: &StructField) -> Result<Column, Error> {
    if let Some(MetadataValue::String(text)) = field.metadata().get(COLUMN)
        && let Ok(column) = serde_json::from_str::<Column>(text)
    {
        return Ok(column);
    }
    let arrow = table.schema().field_with_name(field.name()).ok();
    let column_type = arrow.and_then(|arrow| column_type(arrow.data_type()));
    let column_type = column_type.ok_or_else(|| Error::Target {
        table: table.folder.address.clone(),
        reason: format!(
            "its column `{}` is of type {}, which staging tables do not have",
            field.name(),
            field.data_type()
        ),
    })?;
    Ok(Column {
        name: field.name().clone(),
        path: format!("$.{}", field.name()).into(),
        role: Role::Value,
        column_type,
        fields: Vec::new(),
        is_open: false,
    })
}

fn column_type(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int32 => ColumnType::Int32,
        DataType::Int64 => ColumnType::Int64,
        DataType::Float64 => ColumnType::Float64,
        DataType::Decimal128(precision, scale) => {
            ColumnType::Decimal { precision: *precision, scale: *scale }
        }
        DataType::Utf8 => ColumnType::String,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ColumnType::Timestamp,
        _ => return None,
    })
}

/// The columns of `target` after rows with the columns of `staged` have come in.
///
/// # Errors
///
/// A type that neither column holds without loss (M7).
pub fn evolve(table: &str, target: &[Column], staged: &[Column]) -> Result<Evolution, Error> {
    let mut evolution = Evolution::of_new(target.to_vec());
    for column in staged {
        let Some(at) = target.iter().position(|known| known.name == column.name) else {
            evolution.columns.push(column.clone());
            evolution.added.push(column.name.clone());
            continue;
        };
        let known = &target[at];
        let wider = wider(known, column).ok_or_else(|| Error::Types {
            table: table.to_owned(),
            column: column.name.clone(),
            path: column.path.to_string(),
            target: type_name(known),
            staged: type_name(column),
        })?;
        if arrow_field(&wider).data_type() != arrow_field(known).data_type()
            || wider.column_type != known.column_type
        {
            evolution.widened.push(Widening { from: known.clone(), to: wider.clone() });
        }
        evolution.columns[at] = wider;
    }
    Ok(evolution)
}

/// The column that holds the values of both without loss (R13).
fn wider(known: &Column, staged: &Column) -> Option<Column> {
    let is_scalar = |column: &Column| !matches!(column.role, Role::List | Role::Struct);
    if known.is_open != staged.is_open {
        return Some(if known.is_open { staged.clone() } else { known.clone() });
    }
    if arrow_field(known).data_type() == arrow_field(staged).data_type()
        && known.column_type == staged.column_type
    {
        return Some(known.clone());
    }
    if !is_scalar(known) || !is_scalar(staged) {
        return None;
    }
    let column_type = wider_type(known.column_type, staged.column_type)?;
    Some(Column { column_type, ..known.clone() })
}

/// The type that holds the values of both without loss; whether a float holds integers of more than 53
/// bits is seen when they are converted.
fn wider_type(one: ColumnType, other: ColumnType) -> Option<ColumnType> {
    use ColumnType as T;
    let is_number =
        |t: T| matches!(t, T::Int32 | T::Int64 | T::Float64 | T::Number | T::Decimal { .. });
    Some(match (one, other) {
        (one, other) if one == other => one,
        (T::Json, _) | (_, T::Json) => return None,
        (T::Mixed, _) | (_, T::Mixed) => T::Mixed,
        (T::Number, other) | (other, T::Number) if is_number(other) => T::Number,
        (T::Int32, other @ (T::Int64 | T::Float64))
        | (other @ (T::Int64 | T::Float64), T::Int32) => other,
        (T::Int64, T::Float64) | (T::Float64, T::Int64) => T::Float64,
        (T::Int64 | T::Int32, other @ T::Decimal { scale: 0, precision: 38 })
        | (other @ T::Decimal { scale: 0, precision: 38 }, T::Int64 | T::Int32) => other,
        (T::Timestamp | T::Date, T::String) | (T::String, T::Timestamp | T::Date) => T::String,
        _ => return None,
    })
}

fn type_name(column: &Column) -> String {
    match column.role {
        Role::List => format!("a list of {}", column.column_type),
        Role::Struct => "a struct".to_owned(),
        _ => column.column_type.to_string(),
    }
}

/// The Arrow schema of columns, without metadata.
pub fn arrow_schema(columns: &[Column]) -> Schema {
    Schema::new(columns.iter().map(arrow_field).collect::<Vec<_>>())
}

/// The metadata action of a table with these columns: the table's own, or that of a new one.
///
/// # Errors
///
/// A name or type that Delta does not know.
pub(super) fn metadata(
    table: Option<&Table>,
    name: &str,
    columns: &[Column],
    properties: &[(String, String)],
) -> Result<deltalake_core::kernel::Metadata, Error> {
    let internal = |source| Error::Internal(Box::new(source) as _);
    let fields: Vec<_> = columns.iter().map(field).collect();
    let kernel: Result<StructType, _> = (&Schema::new(fields)).try_into_kernel();
    let schema = kernel.map_err(|source| Error::Internal(Box::new(source)))?;
    match table {
        Some(table) => {
            let known = table.state.metadata().clone();
            let mut metadata = known.with_schema(&schema).map_err(internal)?;
            for (key, value) in properties {
                metadata = match value.as_str() {
                    "" => metadata.remove_config_key(key),
                    value => metadata.add_config_key(key.clone(), value.to_owned()),
                }
                .map_err(internal)?;
            }
            Ok(metadata)
        }
        None => {
            let none: [&str; 0] = [];
            let set = properties.iter().filter(|(_, value)| !value.is_empty());
            new_metadata(&schema, none, set.cloned())
                .and_then(|metadata| metadata.with_name(name.to_owned()))
                .map_err(internal)
        }
    }
}

fn field(column: &Column) -> Arc<Field> {
    let mut metadata = HashMap::from([("comment".to_owned(), column.path.to_string())]);
    if let Ok(text) = serde_json::to_string(column) {
        metadata.insert(COLUMN.to_owned(), text);
    }
    Arc::new(arrow_field(column).with_metadata(metadata))
}
