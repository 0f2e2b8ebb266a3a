//! Values of a column as those of the wider one that it became (R13).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, Field};

use crate::shape::ColumnType;
use crate::shred::number::write_number;
use crate::shred::{parse_timestamp, write_decimal, write_timestamp};

use super::arrow::{arrow_field, scalar_type};
use super::layout::{Column, Role};

/// The JSON type of values that all had one.
pub fn type_names(array: &ArrayRef, column_type: ColumnType) -> ArrayRef {
    let name = match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::String | ColumnType::Timestamp | ColumnType::Date => "string",
        _ => "number",
    };
    let names = (0..array.len()).map(|row| array.is_valid(row).then_some(name));
    Arc::new(names.collect::<StringArray>())
}

/// The values of a column as those of the wider column that it became (R13).
///
/// # Errors
///
/// `to` is not wider than `from`.
pub fn widen(array: &ArrayRef, from: &Column, to: &Column) -> Result<ArrayRef, ArrowError> {
    let target = arrow_field(to);
    if array.data_type() == target.data_type() {
        return Ok(array.clone());
    }
    if array.null_count() == array.len() {
        return Ok(new_null_array(target.data_type(), array.len()));
    }
    match to.role {
        Role::Struct => widen_struct(array, to),
        Role::List => {
            let lists = array.as_list::<i32>();
            let elements = match lists.values() {
                // Without an element, the type of elements was still open.
                values if values.null_count() == values.len() => {
                    new_null_array(&scalar_type(to.column_type), values.len())
                }
                values => widen_scalars(values, from.column_type, to.column_type)?,
            };
            let field = Arc::new(Field::new("element", scalar_type(to.column_type), true));
            Ok(Arc::new(arrow_array::ListArray::try_new(
                field,
                lists.offsets().clone(),
                elements,
                lists.nulls().cloned(),
            )?))
        }
        _ => widen_scalars(array, from.column_type, to.column_type),
    }
}

fn widen_struct(array: &ArrayRef, to: &Column) -> Result<ArrayRef, ArrowError> {
    let narrow = array.as_struct();
    let (fields, arrays): (Vec<_>, Vec<_>) = to
        .fields
        .iter()
        .map(|kind| {
            let data_type = scalar_type(kind.column_type());
            let field = narrow.column_by_name(kind.name()).cloned();
            let values = field.unwrap_or_else(|| new_null_array(&data_type, array.len()));
            (Arc::new(Field::new(kind.name(), data_type, true)), values)
        })
        .unzip();
    Ok(Arc::new(StructArray::try_new(fields.into(), arrays, narrow.nulls().cloned())?))
}

/// Scalars of one type as the wider one (R13).
fn widen_scalars(
    array: &ArrayRef,
    from: ColumnType,
    to: ColumnType,
) -> Result<ArrayRef, ArrowError> {
    use ColumnType as T;
    Ok(match (from, to) {
        (from, to) if scalar_type(from) == scalar_type(to) => array.clone(),
        (T::Int64, T::Float64) => {
            let values = array.as_primitive::<Int64Type>();
            Arc::new(values.iter().map(|v| v.map(|v| v as f64)).collect::<Float64Array>())
        }
        (T::Int64, T::Decimal { precision, scale }) => {
            let factor = 10i128.pow(u32::try_from(scale).unwrap_or(0));
            let values = array.as_primitive::<Int64Type>();
            let values = values.iter().map(|v| v.map(|v| i128::from(v) * factor));
            let decimals = values.collect::<Decimal128Array>();
            Arc::new(decimals.with_precision_and_scale(precision, scale)?)
        }
        (T::String, T::Timestamp) => {
            let values = array.as_string::<i32>().iter();
            let values = values.map(|v| v.and_then(|v| parse_timestamp(v.as_bytes())));
            Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        (_, T::String | T::Number | T::Mixed | T::Json) => text_array(array, from)?,
        (from, to) => {
            return Err(ArrowError::CastError(format!("{from} does not widen to {to}")));
        }
    })
}

/// Scalars as the text that a column of mixed types holds for them.
fn text_array(array: &ArrayRef, from: ColumnType) -> Result<ArrayRef, ArrowError> {
    let mut text = Vec::new();
    let mut texts = arrow_array::builder::StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        write_text(array, row, from, &mut text)?;
        texts.append_value(std::str::from_utf8(&text)?);
    }
    Ok(Arc::new(texts.finish()))
}

/// Appends the text of one value of a column of scalars: strings as they are, else JSON.
pub fn write_text(
    array: &ArrayRef,
    row: usize,
    column_type: ColumnType,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    match column_type {
        ColumnType::Boolean => {
            let value = array.as_any().downcast_ref::<BooleanArray>().is_some_and(|a| a.value(row));
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        ColumnType::Int32 => {
            let value = array.as_primitive::<arrow_array::types::Int32Type>().value(row);
            out.extend_from_slice(value.to_string().as_bytes());
        }
        ColumnType::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            out.extend_from_slice(value.to_string().as_bytes());
        }
        ColumnType::Float64 => write_number(array.as_primitive::<Float64Type>().value(row), out),
        ColumnType::Decimal { scale, .. } => {
            write_decimal(array.as_primitive::<Decimal128Type>().value(row), scale, out);
        }
        ColumnType::Timestamp => {
            write_timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
        ColumnType::Date => {
            let days = array.as_primitive::<arrow_array::types::Date32Type>().value(row);
            crate::shred::write_date(days, out);
        }
        ColumnType::String | ColumnType::Number | ColumnType::Mixed | ColumnType::Json => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
        }
    }
    Ok(())
}
