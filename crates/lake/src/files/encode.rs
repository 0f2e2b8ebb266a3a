//! Columns to Parquet column chunks, each by itself.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

/// Encodes columns of a table.
pub struct Encoder {
    schema: SchemaRef,
    parquet: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
}

/// A top-level column of a row group, encoded: a chunk for each of its leaves.
pub type EncodedColumn = Vec<ArrowColumnChunk>;

impl Encoder {
    /// An encoder for tables of a schema.
    ///
    /// # Errors
    ///
    /// The schema has a type that Parquet has not.
    pub fn new(schema: SchemaRef) -> Result<Arc<Encoder>> {
        let properties = Arc::new(
            WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_statistics_enabled(EnabledStatistics::Chunk)
                .set_offset_index_disabled(true)
                .set_created_by(concat!("solder ", env!("CARGO_PKG_VERSION")).to_owned())
                .build(),
        );
        let parquet = ArrowSchemaConverter::new().convert(&schema)?;
        let root = parquet.root_schema_ptr();
        let writer = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&properties))?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
        Ok(Arc::new(Encoder { schema, parquet, properties, factory }))
    }

    /// The schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The same as Parquet has it.
    pub fn parquet(&self) -> &SchemaDescriptor {
        &self.parquet
    }

    pub(super) fn properties(&self) -> &WriterPropertiesPtr {
        &self.properties
    }

    /// Writers for the columns of one row group, the leaves of each top-level column together.
    ///
    /// # Errors
    ///
    /// The schema has a type that Parquet has not.
    pub fn column_writers(&self) -> Result<Vec<Vec<ArrowColumnWriter>>> {
        let mut columns: Vec<Vec<ArrowColumnWriter>> =
            self.schema.fields().iter().map(|_| Vec::new()).collect();
        for (leaf, writer) in self.factory.create_column_writers(0)?.into_iter().enumerate() {
            if let Some(column) = columns.get_mut(self.parquet.get_column_root_idx(leaf)) {
                column.push(writer);
            }
        }
        Ok(columns)
    }

    /// Encodes the values of the top-level column at `position`.
    ///
    /// # Errors
    ///
    /// The values do not fit the column.
    pub fn encode(
        &self,
        position: usize,
        mut writers: Vec<ArrowColumnWriter>,
        arrays: &[ArrayRef],
    ) -> Result<EncodedColumn> {
        for array in arrays {
            let leaves = compute_leaves(self.schema.field(position), array)?;
            for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                writer.write(leaf)?;
            }
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}
