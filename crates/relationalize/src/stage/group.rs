//! The row group of a table that is being encoded.

use std::collections::HashMap;
use std::sync::Arc;

use crate::relation::{Role, Table};
use crate::shape::Plan;

use parquet::errors::ParquetError;

use super::encode::ColumnEncoder;

/// Rows on their way into one row group: each column in an encoder of its own.
pub struct RowGroup {
    /// The columns, as they are known by now.
    pub layout: Table,
    /// One per column, in the order of the layout.
    pub encoders: Vec<ColumnEncoder>,
    /// Rows so far.
    pub num_rows: u64,
    /// Their bytes before they were encoded.
    pub raw_bytes: usize,
    /// Bytes of memory that the encoders take.
    pub memory_bytes: usize,
}

impl RowGroup {
    /// A row group without rows.
    pub fn new(layout: &Table, plan: &Plan) -> Result<RowGroup, ParquetError> {
        let encoders = layout.columns.iter().map(|column| ColumnEncoder::new(column, plan, 0));
        Ok(RowGroup {
            layout: layout.clone(),
            encoders: encoders.collect::<Result<_, _>>()?,
            num_rows: 0,
            raw_bytes: 0,
            memory_bytes: 0,
        })
    }

    /// Whether `layout` only adds columns to what is here: those are null in the rows so far. Of a
    /// column that was null so far the type may be another one, too.
    pub fn can_become(&self, layout: &Table) -> bool {
        let mut columns = layout.columns.iter();
        self.layout.columns.iter().filter(|column| !column.is_open).all(|mine| {
            // Most often the columns come in the same order, so that each search is short.
            columns.by_ref().any(|column| column == mine) || layout.columns.contains(mine)
        })
    }

    /// Brings the row group to the columns of `layout`, which it [`can become`](RowGroup::can_become).
    pub fn become_table(&mut self, layout: &Table, plan: &Plan) -> Result<(), ParquetError> {
        let mut old: HashMap<(Role, Arc<str>), ColumnEncoder> = std::mem::take(&mut self.encoders)
            .into_iter()
            .map(|encoder| ((encoder.column().role, encoder.column().path.clone()), encoder))
            .collect();
        for column in &layout.columns {
            let known = old.remove(&(column.role, column.path.clone()));
            let encoder = match known.filter(|encoder| encoder.column() == column) {
                Some(encoder) => encoder,
                None => ColumnEncoder::new(column, plan, self.num_rows)?,
            };
            self.encoders.push(encoder);
        }
        self.layout = layout.clone();
        Ok(())
    }
}
