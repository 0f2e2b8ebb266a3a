//! The file of a table without rows, so that its columns can be read all the same (R11, R19).

use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use solder_landing::Place;

use crate::error::Error;
use crate::io::Io;
use crate::relation::{Table, arrow_schema};

use super::properties::writer_properties;
use super::sink::Sink;

/// Writes the file `key` with the columns of `table` and no rows; returns its bytes.
///
/// # Errors
///
/// The place refuses.
pub fn write_empty(io: &Arc<Io>, place: &Place, key: &str, table: &Table) -> Result<u64, Error> {
    let sink = Sink::create(io, place, key)?;
    let writer = ArrowWriter::try_new(sink, arrow_schema(table), Some(writer_properties()))
        .map_err(Error::encode)?;
    let sink = writer.into_inner().map_err(Error::encode)?;
    sink.complete().map_err(|source| Error::Write { key: key.to_owned(), source })
}
