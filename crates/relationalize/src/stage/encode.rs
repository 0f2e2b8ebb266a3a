//! One column of a row group on its way into Parquet pages.
//!
//! ```text
//!   chunk of a table ──┬─▶ packed values, one per valid row ──▶ flat pages    scalars
//!                      └─▶ Arrow array ──▶ the Parquet library's writers     lists, structs, decimals
//! ```

use std::io;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::relation::{Column, Role, arrow_field};
use crate::shape::{ColumnType, PathId, Plan};
use crate::shred::{self, ColumnData, Positions, ScalarColumn, TableChunk, Validity, Values};

use super::arrays::chunk_array;
use super::pages::{
    Booleans, EncodedPages, FlatColumn, Numbers, PageValues, Physical, RunTexts, Texts,
};
use super::properties::writer_properties;
use super::sink::Sink;

/// Encodes the values of one column, chunk by chunk.
pub struct ColumnEncoder {
    column: Column,
    path: PathId,
    field: Field,
    pages: Pages,
}

/// Where values become pages.
enum Pages {
    Flat(Box<FlatColumn>),
    /// One writer, or one per field of a struct.
    Library(Vec<ArrowColumnWriter>),
}

/// An encoded leaf column.
pub enum EncodedLeaf {
    /// Pages of this engine.
    Flat(EncodedPages),
    /// Pages of the library.
    Library(ArrowColumnChunk),
}

impl EncodedLeaf {
    /// Appends the leaf to a row group.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append_to(
        self,
        row_group: &mut SerializedRowGroupWriter<'_, Sink>,
    ) -> Result<(), ParquetError> {
        match self {
            EncodedLeaf::Flat(pages) => row_group.append_column(&pages.pages, pages.close),
            EncodedLeaf::Library(chunk) => chunk.append_to_row_group(row_group),
        }
    }
}

impl ColumnEncoder {
    /// An encoder for `column`, which is null in the `num_rows` rows of the row group so far.
    ///
    /// # Errors
    ///
    /// Parquet has no such column.
    pub fn new(column: &Column, plan: &Plan, num_rows: u64) -> Result<ColumnEncoder, ParquetError> {
        let field = arrow_field(column);
        let mut encoder = ColumnEncoder {
            column: column.clone(),
            path: plan.registry.resolve_text(&column.path),
            pages: pages(column, &field)?,
            field,
        };
        encoder.write_nulls(usize::try_from(num_rows).unwrap_or(usize::MAX))?;
        Ok(encoder)
    }

    fn write_nulls(&mut self, num_rows: usize) -> Result<(), ParquetError> {
        let leaves = match &mut self.pages {
            Pages::Flat(flat) => {
                flat.push_nulls(num_rows);
                return flat.end_chunk();
            }
            Pages::Library(leaves) => leaves,
        };
        let mut rest = num_rows;
        while rest > 0 {
            let rows = rest.min(NULL_ROWS);
            let nulls = new_null_array(self.field.data_type(), rows);
            write_array(leaves, &self.field, &nulls)?;
            rest -= rows;
        }
        Ok(())
    }

    /// Adds the rows of a chunk.
    ///
    /// # Errors
    ///
    /// A value is not of the column's type: a fault of the engine.
    pub fn write(&mut self, chunk: &TableChunk) -> Result<(), ParquetError> {
        match &mut self.pages {
            Pages::Flat(flat) => {
                if self.column.role == Role::Value
                    && let Some((validity, texts)) = large_texts(chunk, self.path)
                    && push_by_page(flat, validity, texts, chunk.num_rows)?
                {
                    return Ok(());
                }
                if !push_packed(flat, &self.column, self.path, chunk) {
                    push_array(flat, &chunk_array(&self.column, self.path, chunk)?)?;
                }
                flat.end_chunk()
            }
            Pages::Library(leaves) => {
                write_array(leaves, &self.field, &chunk_array(&self.column, self.path, chunk)?)
            }
        }
    }

    /// The column that is encoded.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Bytes of memory that pages and dictionary take.
    pub fn memory_bytes(&self) -> usize {
        match &self.pages {
            Pages::Flat(flat) => flat.memory_bytes(),
            Pages::Library(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
        }
    }

    /// The encoded pages.
    ///
    /// # Errors
    ///
    /// The last pages cannot be encoded.
    pub fn close(self) -> Result<Vec<EncodedLeaf>, ParquetError> {
        match self.pages {
            Pages::Flat(flat) => Ok(vec![EncodedLeaf::Flat(flat.close()?)]),
            Pages::Library(leaves) => {
                let closed = leaves.into_iter().map(ArrowColumnWriter::close);
                closed.map(|leaf| leaf.map(EncodedLeaf::Library)).collect()
            }
        }
    }
}

/// Nulls that are written at one time.
const NULL_ROWS: usize = 1 << 16;

/// The pages of a column, which belong to no file yet: a row group is begun before its last column is
/// known.
fn pages(column: &Column, field: &Field) -> Result<Pages, ParquetError> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
    if let Some(values) = page_values(column) {
        return Ok(Pages::Flat(Box::new(FlatColumn::new(parquet_schema.column(0), values))));
    }
    let properties = Arc::new(writer_properties());
    let nowhere =
        SerializedFileWriter::new(io::sink(), parquet_schema.root_schema_ptr(), properties)?;
    let factory = ArrowRowGroupWriterFactory::new(&nowhere, schema);
    Ok(Pages::Library(factory.create_column_writers(0)?))
}

/// How the values of a column lie in pages; `None` for those that the library writes.
fn page_values(column: &Column) -> Option<PageValues> {
    if matches!(column.role, Role::List | Role::Struct) {
        return None;
    }
    // Numbers that the engine counts itself go in small steps: no dictionary is smaller than those.
    let is_counted = matches!(
        column.role,
        Role::Sequence | Role::Index(_) | Role::GlueId | Role::GlueIndex | Role::GlueJoin
    );
    Some(match column.column_type {
        ColumnType::Boolean => PageValues::Booleans(Booleans::default()),
        ColumnType::Int32 => PageValues::Numbers(Numbers::new(Physical::Int32, !is_counted)),
        ColumnType::Int64 => PageValues::Numbers(Numbers::new(Physical::Int64, !is_counted)),
        ColumnType::Timestamp => PageValues::Numbers(Numbers::new(Physical::Int64, true)),
        ColumnType::Float64 => PageValues::Numbers(Numbers::new(Physical::Double, true)),
        ColumnType::String | ColumnType::Number | ColumnType::Mixed | ColumnType::Json => {
            match column.role {
                Role::RootRowId | Role::RootKey(_) => PageValues::RunTexts(RunTexts::default()),
                _ => PageValues::Texts(Texts::new()),
            }
        }
        ColumnType::Decimal { .. } | ColumnType::Date => return None,
    })
}

/// Adds the rows of a chunk straight from what it holds; false where its values are not of the column's
/// type, and have to be converted.
fn push_packed(flat: &mut FlatColumn, column: &Column, path: PathId, chunk: &TableChunk) -> bool {
    let rows = chunk.num_rows;
    let here = || chunk.at(path).map(|column| (&column.data, column.first_join));
    match column.role {
        Role::Value => {
            for (data, _) in here() {
                if let ColumnData::Scalars(scalars) = data {
                    return push_scalars(flat, scalars, rows);
                }
            }
            flat.push_nulls(rows as usize);
        }
        Role::ArrayLength | Role::MapLength | Role::GlueJoin => {
            let lengths = here().find_map(|(data, first_join)| match (column.role, data) {
                (Role::MapLength, ColumnData::MapLengths(lengths)) => Some((lengths, first_join)),
                (Role::MapLength, _) => None,
                (_, ColumnData::ArrayLengths(lengths)) => Some((lengths, first_join)),
                _ => None,
            });
            let Some((lengths, first_join)) = lengths else {
                flat.push_nulls(rows as usize);
                return true;
            };
            let PageValues::Numbers(numbers) = &mut flat.values else { return false };
            if column.role == Role::GlueJoin {
                let first = first_join as i64 + 1;
                numbers.push_integers((first..).take(lengths.values.len()));
            } else {
                numbers.push_integers(lengths.values.iter().map(|length| i64::from(*length)));
            }
            flat.push_rows(&lengths.validity, rows);
        }
        Role::GlueId => {
            let PageValues::Numbers(numbers) = &mut flat.values else { return false };
            let first = chunk.first_join as i64 + 1;
            numbers.push_integers(chunk.joins.iter().map(|join| first + i64::from(*join)));
            flat.push_valid_rows(rows as usize);
        }
        Role::Sequence => {
            let PageValues::Numbers(numbers) = &mut flat.values else { return false };
            let first = chunk.first_record as i64;
            if chunk.positions.is_empty() {
                numbers.push_integers(first..first + i64::from(rows));
            } else {
                numbers
                    .push_integers(chunk.records.iter().map(|record| first + i64::from(*record)));
            }
            flat.push_valid_rows(rows as usize);
        }
        Role::Index(_) | Role::Key(_) | Role::GlueIndex => {
            let positions = match column.role {
                Role::Index(level) | Role::Key(level) => {
                    level.checked_sub(1).and_then(|at| chunk.positions.get(at))
                }
                _ => chunk.positions.last(),
            };
            match (positions.map(|positions| &**positions), &mut flat.values) {
                (Some(Positions::Index(index)), PageValues::Numbers(numbers)) => {
                    numbers.push_integers(index.iter().map(|at| i64::from(*at)));
                    flat.push_valid_rows(rows as usize);
                }
                (Some(Positions::Key(keys)), PageValues::Texts(texts)) => {
                    keys.iter().for_each(|key| texts.push(key));
                    flat.push_valid_rows(rows as usize);
                }
                (Some(_), _) => return false,
                (None, _) => flat.push_nulls(rows as usize),
            }
        }
        Role::RowId => {
            let PageValues::Texts(texts) = &mut flat.values else { return false };
            chunk.keys.row_ids.iter().for_each(|id| texts.push(&hex(*id)));
            flat.push_valid_rows(rows as usize);
        }
        Role::RootRowId => {
            let PageValues::RunTexts(texts) = &mut flat.values else { return false };
            for run in chunk.records.chunk_by(|a, b| a == b) {
                let record = run.first().map_or(0, |record| *record as usize);
                let id = chunk.keys.row_ids.get(record).copied().unwrap_or_default();
                texts.push_run(&hex(id), run.len());
            }
            flat.push_valid_rows(rows as usize);
        }
        Role::RootKey(part) => {
            let Some((_, keys)) = chunk.keys.columns.get(part) else { return false };
            // Every record has its key, so that values and records are one to one.
            match (&mut flat.values, &keys.values) {
                (PageValues::RunTexts(texts), Values::String(keys) | Values::Mixed(_, keys)) => {
                    for run in chunk.records.chunk_by(|a, b| a == b) {
                        let record = run.first().map_or(0, |record| *record as usize);
                        texts.push_run(keys.get(record), run.len());
                    }
                }
                (PageValues::Numbers(numbers), Values::Integer(keys))
                    if numbers.physical() == Physical::Int64 =>
                {
                    let key = |record: &u32| keys.get(*record as usize).copied().unwrap_or(0);
                    numbers.push_integers(chunk.records.iter().map(key));
                }
                _ => return false,
            }
            flat.push_valid_rows(rows as usize);
        }
        _ => return false,
    }
    true
}

/// Texts of a chunk with more bytes are no longer taken as a whole, which costs their size three times.
const LARGE_BYTES: usize = 4 << 20;

/// The texts at a path, where they are large.
fn large_texts(chunk: &TableChunk, path: PathId) -> Option<(&Validity, &shred::Texts)> {
    chunk.at(path).find_map(|column| {
        let ColumnData::Scalars(scalars) = &column.data else { return None };
        let (Values::String(texts) | Values::Mixed(_, texts)) = &scalars.values else {
            return None;
        };
        (texts.bytes().len() > LARGE_BYTES).then_some((&scalars.validity, texts))
    })
}

/// Adds texts and ends pages on the way; false where the column does not hold texts.
fn push_by_page(
    flat: &mut FlatColumn,
    validity: &Validity,
    texts: &shred::Texts,
    rows: u32,
) -> Result<bool, ParquetError> {
    let mut next = 0;
    for (row, text) in validity.valid_rows().zip(texts.iter()) {
        let PageValues::Texts(values) = &mut flat.values else { return Ok(false) };
        values.push(text);
        flat.push_nulls((row - next) as usize);
        flat.push_valid_rows(1);
        flat.end_chunk()?;
        next = row + 1;
    }
    flat.push_nulls((rows - next) as usize);
    Ok(true)
}

fn push_scalars(flat: &mut FlatColumn, scalars: &ScalarColumn, rows: u32) -> bool {
    match (&mut flat.values, &scalars.values) {
        (_, Values::None) => {
            flat.push_nulls(rows as usize);
            return true;
        }
        (PageValues::Texts(texts), Values::String(values) | Values::Mixed(_, values)) => {
            values.iter().for_each(|text| texts.push(text));
        }
        (PageValues::Numbers(numbers), Values::Integer(values)) => match numbers.physical() {
            Physical::Int64 => numbers.push_integers(values.iter().copied()),
            Physical::Double => numbers.push_floats(values.iter().map(|value| *value as f64)),
            Physical::Int32 => return false,
        },
        (PageValues::Numbers(numbers), Values::Float(values))
            if numbers.physical() == Physical::Double =>
        {
            numbers.push_floats(values.iter().copied());
        }
        (PageValues::Booleans(booleans), Values::Boolean(values)) => {
            booleans.push(values.iter().copied());
        }
        _ => return false,
    }
    flat.push_rows(&scalars.validity, rows);
    true
}

/// Adds the rows of an Arrow array of the column's type.
fn push_array(flat: &mut FlatColumn, array: &ArrayRef) -> Result<(), ParquetError> {
    let rows = array.len();
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let is_valid = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
    let valid = (0..rows).filter(is_valid);
    match &mut flat.values {
        PageValues::Texts(texts) => {
            let values = array.as_string::<i32>();
            valid.for_each(|row| texts.push(values.value(row).as_bytes()));
        }
        PageValues::RunTexts(texts) => {
            let values = array.as_string::<i32>();
            valid.for_each(|row| texts.push_run(values.value(row).as_bytes(), 1));
        }
        PageValues::Booleans(booleans) => {
            let values: &BooleanArray = array.as_boolean();
            booleans.push(valid.map(|row| values.value(row)));
        }
        PageValues::Numbers(numbers) => match numbers.physical() {
            Physical::Double => {
                let values = array.as_primitive::<Float64Type>().values();
                numbers.push_floats(valid.filter_map(|row| values.get(row).copied()));
            }
            Physical::Int32 => {
                let values = array.as_primitive::<arrow_array::types::Int32Type>().values();
                numbers
                    .push_integers(valid.filter_map(|row| values.get(row)).map(|v| i64::from(*v)));
            }
            Physical::Int64 => {
                let integers = array.as_primitive_opt::<Int64Type>().map(|array| array.values());
                let values = match integers {
                    Some(integers) => integers,
                    None => array.as_primitive::<TimestampMicrosecondType>().values(),
                };
                numbers.push_integers(valid.filter_map(|row| values.get(row).copied()));
            }
        },
    }
    match nulls {
        None => flat.push_valid_rows(rows),
        Some(nulls) => flat.push_rows(&validity(nulls), rows as u32),
    }
    Ok(())
}

fn validity(nulls: &NullBuffer) -> Validity {
    let mut validity = Validity::default();
    nulls.valid_indices().for_each(|row| validity.push(row as u32));
    validity
}

fn write_array(
    leaves: &mut [ArrowColumnWriter],
    field: &Field,
    array: &ArrayRef,
) -> Result<(), ParquetError> {
    for (leaf, values) in leaves.iter_mut().zip(compute_leaves(field, array)?) {
        leaf.write(&values)?;
    }
    Ok(())
}

/// The hexadecimal digits of `id`, the highest first.
fn hex(id: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_row_ids_are_lower_case_hexadecimal() {
        for id in [0, 1, 0x0123_4567_89ab_cdef_0011_2233_4455_6677, u128::MAX] {
            assert_eq!(hex(id).as_slice(), format!("{id:032x}").as_bytes());
        }
    }
}
