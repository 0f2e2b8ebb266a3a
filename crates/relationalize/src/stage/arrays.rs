//! A column of a chunk as an Arrow array of the type that its table has by now.

use std::sync::Arc;

use arrow_array::builder::Decimal128Builder;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Field};

use crate::relation::{Column, Role, ScalarKind, arrow_field, scalar_type};
use crate::shape::{ColumnType, Kinds, PathId};
use crate::shred::{
    ColumnData, Lengths, Scalar, ScalarColumn, TableChunk, Texts, Validity, Values,
    number::MAX_EXACT_INTEGER, parse_date, parse_decimal, parse_timestamp, write_scalar,
};

/// The values of `column`, whose path is `path`, for the rows of `chunk`: of columns that hold values of
/// the records.
///
/// # Errors
///
/// The column is one that the engine counts itself, or a value is not of its type: a fault of the engine.
pub fn chunk_array(
    column: &Column,
    path: PathId,
    chunk: &TableChunk,
) -> Result<ArrayRef, ArrowError> {
    let rows = chunk.num_rows;
    let nulls = || new_null_array(arrow_field(column).data_type(), rows as usize);
    Ok(match column.role {
        Role::Value | Role::ValueType | Role::ValueOf(_) | Role::Struct => {
            let scalars = chunk.at(path).find_map(|column| match &column.data {
                ColumnData::Scalars(scalars) => Some(scalars),
                _ => None,
            });
            let Some(scalars) = scalars else { return Ok(nulls()) };
            match column.role {
                Role::Value => scalar_array(scalars, rows, column.column_type)?,
                Role::ValueType => type_array(scalars, rows),
                Role::ValueOf(kind) => {
                    scalar_array(&scalars_of(scalars, kind), rows, kind.column_type())?
                }
                _ => struct_array(scalars, rows, &column.fields)?,
            }
        }
        Role::List => {
            let lists = chunk.at(path).find_map(|column| match &column.data {
                ColumnData::Lists { lengths, elements } => Some((lengths, elements)),
                _ => None,
            });
            let Some((lengths, elements)) = lists else { return Ok(nulls()) };
            list_array(lengths, elements, rows, column.column_type)?
        }
        Role::RootKey(part) => match chunk.keys.columns.get(part) {
            Some((_, keys)) => {
                let records = chunk.keys.num_records(keys);
                let keys = scalar_array(keys, records, column.column_type)?;
                let picks = arrow_array::UInt32Array::from(chunk.records.clone());
                arrow_select::take::take(&keys, &picks, None)?
            }
            None => nulls(),
        },
        _ => {
            let message = format!("`{}` holds no values of the records", column.name);
            return Err(ArrowError::InvalidArgumentError(message));
        }
    })
}

/// Which rows are null; `None` when none is.
fn null_buffer(validity: &Validity, rows: u32) -> Option<NullBuffer> {
    if validity.all_valid(rows) {
        return None;
    }
    let bits = BooleanBuffer::collect_bool(rows as usize, |row| validity.is_valid(row as u32));
    Some(NullBuffer::new(bits))
}

/// One value per row from one per valid row.
fn expand<T: Default + Clone>(
    validity: &Validity,
    rows: u32,
    values: impl Iterator<Item = T>,
) -> Vec<T> {
    if validity.all_valid(rows) {
        return values.collect();
    }
    let mut expanded = vec![T::default(); rows as usize];
    for (row, value) in validity.valid_rows().zip(values) {
        if let Some(slot) = expanded.get_mut(row as usize) {
            *slot = value;
        }
    }
    expanded
}

/// The scalars as an array of `column_type`, which holds all of them (R13).
pub fn scalar_array(
    scalars: &ScalarColumn,
    rows: u32,
    column_type: ColumnType,
) -> Result<ArrayRef, ArrowError> {
    let validity = &scalars.validity;
    let nulls = || null_buffer(validity, rows);
    Ok(match (column_type, &scalars.values) {
        (_, Values::None) => new_null_array(&scalar_type(column_type), rows as usize),
        (ColumnType::Boolean, Values::Boolean(values)) => {
            let values = expand(validity, rows, values.iter().copied());
            Arc::new(BooleanArray::new(values.into(), nulls()))
        }
        (ColumnType::Int64, Values::Integer(values)) => {
            let values = expand(validity, rows, values.iter().copied());
            Arc::new(Int64Array::new(values.into(), nulls()))
        }
        (ColumnType::Float64, Values::Float(values)) => {
            let values = expand(validity, rows, values.iter().copied());
            Arc::new(Float64Array::new(values.into(), nulls()))
        }
        (ColumnType::Float64, Values::Integer(values)) => {
            let values = expand(validity, rows, values.iter().map(|value| *value as f64));
            Arc::new(Float64Array::new(values.into(), nulls()))
        }
        (
            ColumnType::String | ColumnType::Mixed | ColumnType::Json,
            Values::String(texts) | Values::Mixed(_, texts),
        )
        | (ColumnType::Number, Values::Mixed(_, texts)) => string_array(texts, validity, rows)?,
        (
            ColumnType::String | ColumnType::Mixed | ColumnType::Json | ColumnType::Number,
            values,
        ) => {
            let mut texts = Texts::default();
            values.for_each(|value| texts.push_with(|out| write_scalar(value, out)));
            string_array(&texts, validity, rows)?
        }
        (ColumnType::Decimal { precision, scale }, values) => {
            let unscaled = convert(values, |value| decimal(value, precision, scale))?;
            let mut builder = Decimal128Builder::with_capacity(rows as usize)
                .with_precision_and_scale(precision, scale)?;
            for row in expand(validity, rows, unscaled.into_iter().map(Some)) {
                builder.append_option(row);
            }
            Arc::new(builder.finish())
        }
        (ColumnType::Timestamp, values) => {
            let values = convert(values, |value| text_of(value).and_then(parse_timestamp))?;
            let values = expand(validity, rows, values.into_iter());
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls()).with_timezone("UTC"))
        }
        (ColumnType::Date, values) => {
            let values = convert(values, |value| text_of(value).and_then(parse_date))?;
            let values = expand(validity, rows, values.into_iter());
            Arc::new(Date32Array::new(values.into(), nulls()))
        }
        (ColumnType::Boolean, values) => {
            let values = convert(values, |value| match value {
                Scalar::Boolean(value) => Some(value),
                Scalar::Number(Kinds::BOOLEAN, text) => Some(text == b"true"),
                _ => None,
            })?;
            let values = expand(validity, rows, values.into_iter());
            Arc::new(BooleanArray::new(values.into(), nulls()))
        }
        (ColumnType::Int32 | ColumnType::Int64, values) => {
            let values = convert(values, |value| {
                decimal(value, 38, 0).and_then(|value| i64::try_from(value).ok())
            })?;
            let values = expand(validity, rows, values.into_iter());
            Arc::new(Int64Array::new(values.into(), nulls()))
        }
        (ColumnType::Float64, values) => {
            let values = convert(values, |value| match value {
                Scalar::Integer(value) => Some(value as f64),
                Scalar::Float(value) => Some(value),
                Scalar::Number(_, text) => std::str::from_utf8(text).ok()?.parse().ok(),
                _ => None,
            })?;
            let values = expand(validity, rows, values.into_iter());
            Arc::new(Float64Array::new(values.into(), nulls()))
        }
    })
}

/// The values converted one by one. The column's type holds all of its values, so that a value
/// which does not convert is a fault of the engine, and is not passed over in silence.
fn convert<T>(
    values: &Values,
    mut to: impl FnMut(Scalar<'_>) -> Option<T>,
) -> Result<Vec<T>, ArrowError> {
    let mut converted = Vec::new();
    let mut failed = false;
    values.for_each(|value| match to(value) {
        Some(value) => converted.push(value),
        None => failed = true,
    });
    if failed {
        let message = "a value does not fit the type of its column";
        return Err(ArrowError::InvalidArgumentError(message.to_owned()));
    }
    Ok(converted)
}

fn text_of<'a>(value: Scalar<'a>) -> Option<&'a [u8]> {
    match value {
        Scalar::String(_, text) | Scalar::Number(_, text) => Some(text),
        _ => None,
    }
}

fn decimal(value: Scalar<'_>, precision: u8, scale: i8) -> Option<i128> {
    match value {
        Scalar::Integer(value) if scale == 0 => Some(i128::from(value)),
        Scalar::Number(_, text) | Scalar::String(_, text) => parse_decimal(text, precision, scale),
        Scalar::Integer(value) => parse_decimal(value.to_string().as_bytes(), precision, scale),
        // An integer that lay beside floats in its block, until their record was set aside.
        Scalar::Float(value) if value.trunc() == value && value.abs() <= MAX_EXACT_INTEGER => {
            decimal(Scalar::Integer(value as i64), precision, scale)
        }
        Scalar::Float(_) | Scalar::Boolean(_) => None,
    }
}

fn string_array(texts: &Texts, validity: &Validity, rows: u32) -> Result<ArrayRef, ArrowError> {
    let ends = texts.ends().iter().map(|end| i32::try_from(*end).unwrap_or(i32::MAX));
    let mut offsets = Vec::with_capacity(rows as usize + 1);
    offsets.push(0);
    if validity.all_valid(rows) {
        offsets.extend(ends);
    } else {
        let mut last = 0;
        for (row, end) in validity.valid_rows().zip(ends) {
            offsets.resize(row as usize + 1, last);
            offsets.push(end);
            last = end;
        }
        offsets.resize(rows as usize + 1, last);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let bytes = Buffer::from(texts.bytes());
    // Blocks are checked to be UTF-8; checking a column as a whole again costs little.
    Ok(Arc::new(StringArray::try_new(offsets, bytes, null_buffer(validity, rows))?))
}

/// What the scalars are in JSON (R13).
fn type_array(scalars: &ScalarColumn, rows: u32) -> ArrayRef {
    let mut names = Vec::new();
    scalars.values.for_each(|value| names.push(type_name(value.kind())));
    let names = expand(&scalars.validity, rows, names.into_iter().map(Some));
    Arc::new(StringArray::from(names))
}

/// The name of a scalar's JSON type.
pub fn type_name(kind: Kinds) -> &'static str {
    if kind == Kinds::BOOLEAN {
        "boolean"
    } else if kind == Kinds::STRING || kind == Kinds::TIMESTAMP {
        "string"
    } else {
        "number"
    }
}

/// The scalars of one kind, the others left out.
fn scalars_of(scalars: &ScalarColumn, kind: ScalarKind) -> ScalarColumn {
    let mut rows = scalars.validity.valid_rows();
    let mut picked = ScalarColumn::default();
    scalars.values.for_each(|value| {
        if let Some(row) = rows.next()
            && ScalarKind::of(value.kind()) == Some(kind)
        {
            picked.push_mixed(row, value);
        }
    });
    picked
}

fn struct_array(
    scalars: &ScalarColumn,
    rows: u32,
    fields: &[ScalarKind],
) -> Result<ArrayRef, ArrowError> {
    let columns = fields
        .iter()
        .map(|kind| {
            let array = scalar_array(&scalars_of(scalars, *kind), rows, kind.column_type())?;
            let field = Field::new(kind.name(), scalar_type(kind.column_type()), true);
            Ok((Arc::new(field), array))
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let nulls = null_buffer(&scalars.validity, rows);
    Ok(Arc::new(StructArray::try_new(fields.into(), arrays, nulls)?))
}

fn list_array(
    lengths: &Lengths,
    elements: &ScalarColumn,
    rows: u32,
    element_type: ColumnType,
) -> Result<ArrayRef, ArrowError> {
    let num_elements: i64 = lengths.values.iter().map(|length| i64::from(*length)).sum();
    let elements =
        scalar_array(elements, u32::try_from(num_elements).unwrap_or(u32::MAX), element_type)?;
    let counts = expand(&lengths.validity, rows, lengths.values.iter().map(|l| *l as usize));
    let field = Field::new("element", scalar_type(element_type), true);
    Ok(Arc::new(ListArray::try_new(
        Arc::new(field),
        OffsetBuffer::from_lengths(counts),
        elements,
        null_buffer(&lengths.validity, rows),
    )?))
}
