//! One column of a row group on its way into Parquet pages.

use std::io;
use std::sync::Arc;

use arrow_array::new_null_array;
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::relation::{Column, arrow_field};
use crate::shape::{JsonPath, PathId, Plan};
use crate::shred::TableChunk;

use super::arrays::chunk_array;
use super::properties::column_properties;

/// Encodes the values of one column, chunk by chunk.
pub struct ColumnEncoder {
    column: Column,
    path: PathId,
    field: Field,
    /// One writer, or one per field of a struct.
    leaves: Vec<ArrowColumnWriter>,
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
            // Paths of a layout were written from registered ones.
            path: column
                .path
                .parse()
                .map_or(PathId::ROOT, |path: JsonPath| plan.registry.resolve(&path)),
            leaves: leaf_writers(column, &field)?,
            field,
        };
        encoder.write_nulls(num_rows)?;
        Ok(encoder)
    }

    fn write_nulls(&mut self, num_rows: u64) -> Result<(), ParquetError> {
        let mut rest = usize::try_from(num_rows).unwrap_or(usize::MAX);
        while rest > 0 {
            let rows = rest.min(NULL_ROWS);
            let nulls = new_null_array(self.field.data_type(), rows);
            for (leaf, values) in self.leaves.iter_mut().zip(compute_leaves(&self.field, &nulls)?) {
                leaf.write(&values)?;
            }
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
        let array = chunk_array(&self.column, self.path, chunk)?;
        for (leaf, values) in self.leaves.iter_mut().zip(compute_leaves(&self.field, &array)?) {
            leaf.write(&values)?;
        }
        Ok(())
    }

    /// The column that is encoded.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Bytes of memory that pages and dictionary take.
    pub fn memory_bytes(&self) -> usize {
        self.leaves.iter().map(ArrowColumnWriter::memory_size).sum()
    }

    /// The encoded pages.
    ///
    /// # Errors
    ///
    /// The last pages cannot be encoded.
    pub fn close(self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        self.leaves.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

/// Nulls that are written at one time.
const NULL_ROWS: usize = 1 << 16;

/// Writers for the leaves of one column, which belong to no file yet: a row group is begun before its
/// last column is known.
fn leaf_writers(column: &Column, field: &Field) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
    let properties = Arc::new(column_properties(column));
    let nowhere =
        SerializedFileWriter::new(io::sink(), parquet_schema.root_schema_ptr(), properties)?;
    ArrowRowGroupWriterFactory::new(&nowhere, schema).create_column_writers(0)
}
