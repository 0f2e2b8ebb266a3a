//! A data file that is read: its footer, and columns of its row groups.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use roaring::RoaringTreemap;

use crate::delta::{DataFile, Table, deletion_vector};
use crate::error::Error;

use super::ranges::Ranges;

/// Rows decoded at a time: the offsets of texts count to 2 GiB.
const BATCH_ROWS: usize = 64 << 10;

/// Bytes at the end of a file that hold its footer, mostly.
const FOOTER_BYTES: usize = 64 << 10;

/// The end of a file, for its footer.
struct Tail<'a> {
    store: &'a Arc<dyn ObjectStore>,
    path: &'a StorePath,
}

impl MetadataFetch for Tail<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.store.get_range(self.path, range).map_err(|error| error.into()).boxed()
    }
}

/// A data file with its footer.
#[derive(Clone)]
pub struct Source {
    /// The file.
    pub file: DataFile,
    address: String,
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    footer: ArrowReaderMetadata,
    /// Rows that are deleted already, by their number in the file.
    pub deleted: Arc<RoaringTreemap>,
}

impl Source {
    /// Reads the footer of a file, and which of its rows are deleted.
    ///
    /// # Errors
    ///
    /// The file is not there or is no Parquet.
    pub async fn open(table: &Table, file: DataFile) -> Result<Source, Error> {
        let folder = &table.folder;
        let path = folder.file(&file.path);
        let address = format!("{}/{}", folder.address, file.path);
        let failed = |source| Error::File { action: "reading", file: address.clone(), source };
        let metadata = ParquetMetaDataReader::new()
            .with_prefetch_hint(Some(FOOTER_BYTES))
            .load_and_finish(Tail { store: &folder.store, path: &path }, file.size_bytes)
            .await
            .map_err(failed)?;
        let footer = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new());
        let footer = footer.map_err(failed)?;
        let deleted = match &file.deletion_vector {
            Some(vector) => deletion_vector::read(folder, &table.log, vector).await?,
            None => RoaringTreemap::new(),
        };
        let (store, deleted) = (Arc::clone(&folder.store), Arc::new(deleted));
        Ok(Source { file, store, path, address, footer, deleted })
    }

    /// Its footer.
    pub fn footer(&self) -> &ArrowReaderMetadata {
        &self.footer
    }

    /// A row group's part of the footer.
    pub fn row_group(&self, row_group: usize) -> &RowGroupMetaData {
        self.footer.metadata().row_group(row_group)
    }

    /// How many row groups there are.
    pub fn num_row_groups(&self) -> usize {
        self.footer.metadata().num_row_groups()
    }

    /// Rows, deleted ones included.
    pub fn num_rows(&self) -> u64 {
        u64::try_from(self.footer.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Number of the first row of every row group in the file.
    pub fn first_rows(&self) -> Vec<u64> {
        let rows = self.footer.metadata().row_groups().iter();
        rows.scan(0, |next, group| {
            let first = *next;
            *next += u64::try_from(group.num_rows()).unwrap_or(0);
            Some(first)
        })
        .collect()
    }

    /// The position of a top-level column in the file.
    pub fn root(&self, name: &str) -> Option<usize> {
        self.footer.schema().fields().iter().position(|field| field.name() == name)
    }

    /// Positions of the leaf columns below a top-level one.
    pub fn leaves(&self, root: usize) -> Vec<usize> {
        let columns = self.footer.parquet_schema();
        (0..columns.num_columns())
            .filter(|leaf| columns.get_column_root_idx(*leaf) == root)
            .collect()
    }

    /// Fetches the bytes of some top-level columns of a row group; neighbours in one request.
    ///
    /// # Errors
    ///
    /// The store refuses.
    pub async fn fetch(&self, row_group: usize, roots: &[usize]) -> Result<Ranges, Error> {
        let group = self.row_group(row_group);
        let mut ranges: Vec<Range<u64>> = roots
            .iter()
            .flat_map(|root| self.leaves(*root))
            .map(|leaf| {
                let (start, length) = group.column(leaf).byte_range();
                start..start + length
            })
            .collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        let bytes = self.store.get_ranges(&self.path, &ranges).await;
        let bytes = bytes.map_err(|source| Error::Fetch {
            file: self.address.clone(),
            source: Box::new(source),
        })?;
        let parts = ranges.iter().map(|range| range.start).zip(bytes).collect();
        Ok(Ranges::new(self.file.size_bytes, parts))
    }

    /// Decodes some top-level columns of a row group, batch by batch.
    ///
    /// # Errors
    ///
    /// The bytes are damaged.
    pub fn decode(
        &self,
        bytes: Ranges,
        row_group: usize,
        roots: &[usize],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
        let address = self.address.clone();
        let failed = move |source: ParquetError| Error::File {
            action: "reading",
            file: address.clone(),
            source,
        };
        let mask = ProjectionMask::roots(self.footer.parquet_schema(), roots.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, self.footer.clone())
            .with_row_groups(vec![row_group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(&failed)?;
        Ok(reader.map(move |batch| batch.map_err(|error| failed(error.into()))))
    }

    /// The rows of a row group that are not deleted, with all columns of the file.
    ///
    /// # Errors
    ///
    /// The bytes cannot be fetched or are damaged.
    pub async fn live_rows(&self, row_group: usize) -> Result<Vec<RecordBatch>, Error> {
        let roots: Vec<usize> = (0..self.footer.schema().fields().len()).collect();
        let bytes = self.fetch(row_group, &roots).await?;
        let mut row = self.first_rows().get(row_group).copied().unwrap_or(0);
        let mut live = Vec::new();
        for batch in self.decode(bytes, row_group, &roots)? {
            let batch = batch?;
            let rows = row..row + batch.num_rows() as u64;
            row = rows.end;
            live.push(match self.live(rows) {
                Some(kept) => filter_record_batch(&batch, &kept)
                    .map_err(|error| Error::Internal(Box::new(error)))?,
                None => batch,
            });
        }
        Ok(live)
    }

    /// Which of some rows are not deleted; `None` when none of them is.
    pub fn live(&self, rows: Range<u64>) -> Option<BooleanArray> {
        (self.deleted.range_cardinality(rows.clone()) > 0)
            .then(|| rows.map(|row| Some(!self.deleted.contains(row))).collect())
    }

    /// Decodes one top-level column of a row group.
    ///
    /// # Errors
    ///
    /// The bytes are damaged.
    pub fn decode_column(
        &self,
        bytes: Ranges,
        row_group: usize,
        root: usize,
    ) -> Result<Vec<ArrayRef>, Error> {
        let batches = self.decode(bytes, row_group, &[root])?;
        batches.map(|batch| batch.map(|batch| Arc::clone(batch.column(0)))).collect()
    }
}
