//! Columns to Parquet column chunks, each by itself.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

/// Values looked at to see whether they repeat.
const SAMPLE_ROWS: usize = 4096;

/// Encodes columns of a table.
pub struct Encoder {
    parquet: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    columns: Vec<ColumnEncoder>,
}

/// Encodes one top-level column.
struct ColumnEncoder {
    field: FieldRef,
    /// For values that repeat.
    dictionary: ArrowRowGroupWriterFactory,
    /// For values that do not: an attempt at a dictionary would cost more than all else.
    direct: ArrowRowGroupWriterFactory,
}

/// A top-level column of a row group, encoded: a chunk for each of its leaves.
pub type EncodedColumn = Vec<ArrowColumnChunk>;

impl Encoder {
    /// An encoder for tables of a schema.
    ///
    /// # Errors
    ///
    /// The schema has a type that Parquet has not.
    pub fn new(schema: &Schema) -> Result<Arc<Encoder>> {
        let parquet = ArrowSchemaConverter::new().convert(schema)?;
        let properties = Arc::new(properties().build());
        let columns = schema.fields().iter().map(|field| ColumnEncoder::new(field, &properties));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Encoder { parquet, properties, columns }))
    }

    /// How many top-level columns there are.
    pub fn num_columns(&self) -> usize {
        self.columns.len()
    }

    /// The schema as Parquet has it.
    pub fn parquet(&self) -> &SchemaDescriptor {
        &self.parquet
    }

    pub(super) fn properties(&self) -> &WriterPropertiesPtr {
        &self.properties
    }

    /// Encodes the values of the top-level column at `position`.
    ///
    /// # Errors
    ///
    /// There is no such column, or the values do not fit it.
    pub fn encode(&self, position: usize, arrays: &[ArrayRef]) -> Result<EncodedColumn> {
        match self.columns.get(position) {
            Some(column) => column.encode(arrays),
            None => Err(ParquetError::IndexOutOfBound(position, self.columns.len())),
        }
    }
}

impl ColumnEncoder {
    fn new(field: &FieldRef, properties_of_all: &WriterPropertiesPtr) -> Result<ColumnEncoder> {
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let mut direct = properties().set_dictionary_enabled(false);
        for leaf in parquet.columns() {
            if matches!(leaf.physical_type(), Type::INT32 | Type::INT64) {
                let path = leaf.path().clone();
                direct = direct.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let factory = |properties: &WriterPropertiesPtr| {
            let root = parquet.root_schema_ptr();
            let writer = SerializedFileWriter::new(Vec::new(), root, Arc::clone(properties))?;
            Ok::<_, ParquetError>(ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema)))
        };
        Ok(ColumnEncoder {
            field: Arc::clone(field),
            dictionary: factory(properties_of_all)?,
            direct: factory(&Arc::new(direct.build()))?,
        })
    }

    fn encode(&self, arrays: &[ArrayRef]) -> Result<EncodedColumn> {
        let factory = match arrays.first().is_some_and(repeats) {
            true => &self.dictionary,
            false => &self.direct,
        };
        let mut writers = factory.create_column_writers(0)?;
        for array in arrays {
            let leaves = compute_leaves(&self.field, array)?;
            for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                writer.write(leaf)?;
            }
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

/// What holds for all files and columns.
fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(concat!("solder ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// Whether values repeat, as far as the first ones show.
fn repeats(array: &ArrayRef) -> bool {
    let sample = array.slice(0, array.len().min(SAMPLE_ROWS));
    let num_values = sample.len() - sample.null_count();
    let num_distinct = match sample.data_type() {
        DataType::Int32 => distinct(sample.as_primitive::<Int32Type>().iter().flatten()),
        DataType::Int64 => distinct(sample.as_primitive::<Int64Type>().iter().flatten()),
        DataType::Date32 => distinct(sample.as_primitive::<Date32Type>().iter().flatten()),
        DataType::Timestamp(..) => {
            distinct(sample.as_primitive::<TimestampMicrosecondType>().iter().flatten())
        }
        DataType::Float64 => {
            let values = sample.as_primitive::<Float64Type>().iter().flatten();
            distinct(values.map(f64::to_bits))
        }
        DataType::Utf8 => distinct(sample.as_string::<i32>().iter().flatten()),
        _ => return true,
    };
    num_distinct * 2 <= num_values
}

fn distinct<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<T>>().len()
}
