//! The Arrow schema of a table: the same for all its files (R19).

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::shape::ColumnType;

use super::layout::{Column, Role, Table};

/// The Arrow schema of a table.
pub fn arrow_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().map(arrow_field).collect::<Vec<_>>()))
}

/// The Arrow field of a column. Every column may hold nulls, so that it can be left out of a batch.
pub fn arrow_field(column: &Column) -> Field {
    let data_type = match column.role {
        Role::List => {
            DataType::List(Arc::new(Field::new("element", scalar_type(column.column_type), true)))
        }
        Role::Struct => DataType::Struct(
            column
                .fields
                .iter()
                .map(|kind| Field::new(kind.name(), scalar_type(kind.column_type()), true))
                .collect::<Fields>(),
        ),
        _ => scalar_type(column.column_type),
    };
    Field::new(&column.name, data_type, true)
}

/// The Arrow type of a column of scalars (R12).
pub fn scalar_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Date => DataType::Date32,
        ColumnType::String | ColumnType::Number | ColumnType::Mixed | ColumnType::Json => {
            DataType::Utf8
        }
    }
}
