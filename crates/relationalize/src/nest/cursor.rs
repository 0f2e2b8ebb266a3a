//! One table, row by row, over all of its files.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Fields};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;
use solder_landing::Place;

use crate::curated::DataFile;
use crate::error::Error;
use crate::io::Io;
use crate::relation::{Table, arrow_field};
use crate::stage::read_columns;

use super::tree::Slot;

/// The rows of a table in order, a batch of them in memory.
pub(super) struct Cursor {
    io: Arc<Io>,
    place: Place,
    /// Positions of the columns that are read,
    columns: Vec<usize>,
    /// and what they are to be.
    fields: Fields,
    /// Keys and numbers of rows.
    files: VecDeque<(String, u64)>,
    open: Option<(String, ParquetRecordBatchReader)>,
    batch: Vec<ArrayRef>,
    num_rows: usize,
    current: usize,
    next: usize,
}

impl Cursor {
    /// Before the first row. Files are opened when they are needed.
    pub fn new(
        io: Arc<Io>,
        place: Place,
        table: &Table,
        columns: &[usize],
        files: &[DataFile],
    ) -> Cursor {
        let fields: Fields =
            columns.iter().filter_map(|at| table.columns.get(*at)).map(arrow_field).collect();
        let files = files.iter().filter(|file| file.num_rows > 0);
        Cursor {
            io,
            place,
            columns: columns.to_vec(),
            fields,
            files: files.map(|file| (file.key.clone(), file.num_rows)).collect(),
            open: None,
            batch: Vec::new(),
            num_rows: 0,
            current: 0,
            next: 0,
        }
    }

    /// Sees to it that the next row is in memory; `false` when there is none. The current row may
    /// be gone afterwards.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is none of this table.
    pub fn has_next(&mut self) -> Result<bool, Error> {
        while self.next >= self.num_rows {
            let Some((key, reader)) = &mut self.open else {
                let Some((key, num_rows)) = self.files.pop_front() else { return Ok(false) };
                if self.columns.is_empty() {
                    // Parquet without columns does not know how many rows it has.
                    self.num_rows = usize::try_from(num_rows).unwrap_or(usize::MAX);
                    self.next = 0;
                    continue;
                }
                let reader = read_columns(&self.io, &self.place, &key, &self.columns)?;
                self.open = Some((key, reader));
                continue;
            };
            let Some(batch) = reader.next() else {
                self.open = None;
                continue;
            };
            let batch = batch
                .map_err(ParquetError::from)
                .and_then(|batch| checked(batch, &self.fields))
                .map_err(|source| Error::Decode { key: self.place.address(key), source })?;
            self.num_rows = batch.num_rows();
            self.batch = batch.columns().to_vec();
            self.next = 0;
        }
        Ok(true)
    }

    /// Goes to the row that [`Cursor::has_next`] found.
    pub fn take_next(&mut self) {
        self.current = self.next;
        self.next += 1;
    }

    /// A column and the current row in it; `None` where it holds null.
    pub fn value(&self, slot: Slot) -> Option<(&ArrayRef, usize)> {
        self.at(slot, self.current)
    }

    /// The current row's value of an int32 or int64 column.
    pub fn integer(&self, slot: Slot) -> Option<i64> {
        integer(self.at(slot, self.current)?)
    }

    /// The same of the next row.
    pub fn next_integer(&self, slot: Slot) -> Option<i64> {
        integer(self.at(slot, self.next)?)
    }

    fn at(&self, slot: Slot, row: usize) -> Option<(&ArrayRef, usize)> {
        self.batch
            .get(slot)
            .filter(|array| row < array.len() && array.is_valid(row))
            .map(|a| (a, row))
    }
}

fn integer((array, row): (&ArrayRef, usize)) -> Option<i64> {
    match array.as_primitive_opt::<Int64Type>() {
        Some(array) => Some(array.value(row)),
        None => array.as_primitive_opt::<Int32Type>().map(|array| i64::from(array.value(row))),
    }
}

/// The batch, if its columns are those of the table.
fn checked(batch: RecordBatch, fields: &Fields) -> Result<RecordBatch, ParquetError> {
    let same = |found: &Field, wanted: &Field| {
        found.name() == wanted.name() && found.data_type() == wanted.data_type()
    };
    let schema = batch.schema();
    let found = schema.fields();
    if found.len() == fields.len() && found.iter().zip(fields).all(|(f, w)| same(f, w)) {
        return Ok(batch);
    }
    Err(ParquetError::General("its columns are not those of its table".to_owned()))
}
