//! How many values are null, from the footers of the Parquet files.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use solder_landing::Place;

use crate::curated::{Curated, DataFile, Manifest};
use crate::error::Error;
use crate::relation::Role;

use super::{CatalogColumn, CatalogTable};

/// Footers read at one time.
const MAX_REQUESTS: usize = 16;
/// Bytes at the end of a file that hold most footers as a whole.
const TAIL_BYTES: u64 = 64 << 10;

/// Fills in the nulls of every column of `tables`.
pub(super) fn count_nulls(
    curated: &Curated,
    manifest: &Manifest,
    tables: &mut [CatalogTable],
) -> Result<(), Error> {
    let mut requests = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let entity = manifest.entities.get(&table.root);
        let files = entity.and_then(|entity| entity.tables.get(&table.name));
        // A file without rows says nothing.
        for file in files.into_iter().flatten().filter(|file| file.num_rows > 0) {
            requests.push(async move {
                let footer = footer(curated.place(), file).await?;
                let nulls = table.columns.iter().map(|column| nulls(&footer, column));
                Ok::<_, Error>((at, nulls.collect::<Vec<_>>()))
            });
        }
    }
    let requests = stream::iter(requests).buffer_unordered(MAX_REQUESTS);
    let counts: Vec<(usize, Vec<Option<u64>>)> = curated.io().wait(requests.try_collect())?;
    for table in tables.iter_mut().filter(|table| table.rows > 0) {
        table.columns.iter_mut().for_each(|column| column.nulls = Some(0));
    }
    for (at, counts) in counts {
        let columns = tables.get_mut(at).map_or(&mut [][..], |table| &mut table.columns);
        for (column, count) in columns.iter_mut().zip(counts) {
            column.nulls = column.nulls.zip(count).map(|(sum, count)| sum + count);
        }
    }
    for table in tables {
        for column in &mut table.columns {
            column.null_share = column.nulls.map(|nulls| nulls as f64 / table.rows as f64);
        }
    }
    Ok(())
}

async fn footer(place: &Place, file: &DataFile) -> Result<ParquetMetaData, Error> {
    let damaged = |source| Error::Decode { key: place.address(&file.key), source };
    let mut num_bytes = TAIL_BYTES.min(file.size_bytes);
    loop {
        let range = file.size_bytes - num_bytes..file.size_bytes;
        let tail: Bytes = place.read_range(&file.key, range).await?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&tail, file.size_bytes) {
            Ok(()) => return reader.finish().map_err(damaged),
            Err(ParquetError::NeedMoreData(needed))
                if needed as u64 > num_bytes && needed as u64 <= file.size_bytes =>
            {
                num_bytes = needed as u64;
            }
            Err(source) => return Err(damaged(source)),
        }
    }
}

/// Rows of a file in which a column is null.
fn nulls(footer: &ParquetMetaData, column: &CatalogColumn) -> Option<u64> {
    let mut nulls = 0;
    for row_group in footer.row_groups() {
        let is_of_column = |chunk: &&ColumnChunkMetaData| {
            chunk.column_path().parts().first().is_some_and(|part| *part == column.name)
        };
        let chunk = row_group.columns().iter().find(is_of_column)?;
        let chunk_nulls = match column.column.role {
            // Nothing is defined, not even the list or the struct itself.
            Role::List | Role::Struct => {
                let levels = chunk.definition_level_histogram()?;
                u64::try_from(*levels.values().first()?).ok()?
            }
            _ => chunk.statistics()?.null_count_opt()?,
        };
        nulls += chunk_nulls;
    }
    Some(nulls)
}
