//! Rows with the columns of staging, or of the table as it was, as rows of the table as it will be (M7).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::SchemaRef;
use solder_relationalize::relation::{Column, Role, arrow_field, type_names, widen};
use solder_relationalize::shape::ColumnType;

use crate::delta::schema::arrow_schema;
use crate::error::Error;

/// The way from some columns to those of a table.
#[derive(Clone, Debug)]
pub struct Alignment {
    table: String,
    to: Vec<Column>,
    from: Vec<Column>,
    schema: SchemaRef,
}

impl Alignment {
    /// From columns that come to those of `table`.
    pub fn new(table: &str, from: &[Column], to: &[Column]) -> Alignment {
        let schema = Arc::new(arrow_schema(to));
        Alignment { table: table.to_owned(), to: to.to_vec(), from: from.to_vec(), schema }
    }

    /// The columns of the table.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows with the table's columns; those that did not come are null.
    ///
    /// # Errors
    ///
    /// A value that the wider type does not hold.
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let column = |name: &str| batch.column_by_name(name);
        let columns = self.to.iter().map(|to| self.column(to, batch.num_rows(), &column));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::Internal(Box::new(error)))
    }

    /// The values of the column `to`, of which there are `num_rows`, out of those that came.
    fn column<'a>(
        &self,
        to: &Column,
        num_rows: usize,
        came: &impl Fn(&str) -> Option<&'a ArrayRef>,
    ) -> Result<ArrayRef, Error> {
        if let (Some(from), Some(values)) = (self.named(&to.name), came(&to.name)) {
            return widened(&self.table, values, from, to);
        }
        if let Some(values_of) = self.described_by(to)
            && let Some(values) = came(&values_of.name)
        {
            return Ok(type_names(values, values_of.column_type));
        }
        Ok(new_null_array(arrow_field(to).data_type(), num_rows))
    }

    /// The columns that come.
    pub fn from(&self) -> &[Column] {
        &self.from
    }

    /// What came of a name.
    pub fn named(&self, name: &str) -> Option<&Column> {
        self.from.iter().find(|column| column.name == name)
    }

    /// The column of values whose types the column `to` would name (R13), where it came alone.
    pub fn described_by(&self, to: &Column) -> Option<&Column> {
        let is_alone = to.role == Role::ValueType && self.named(&to.name).is_none();
        let of_values = |column: &&Column| column.role == Role::Value && column.path == to.path;
        self.from.iter().find(of_values).filter(|_| is_alone)
    }
}

/// Values of a column in the wider type that it gets.
///
/// # Errors
///
/// A value that the wider type does not hold: an integer of more than 53 bits as a float.
pub fn widened(
    table: &str,
    values: &ArrayRef,
    from: &Column,
    to: &Column,
) -> Result<ArrayRef, Error> {
    const EXACT: u64 = 1 << 53;
    if from.column_type == ColumnType::Int64 && to.column_type == ColumnType::Float64 {
        let lost = values
            .as_primitive_opt::<Int64Type>()
            .and_then(|values| values.iter().flatten().find(|value| value.unsigned_abs() > EXACT));
        if let Some(lost) = lost {
            return Err(Error::Widening {
                table: table.to_owned(),
                column: to.name.clone(),
                to: to.column_type.to_string(),
                value: lost.to_string(),
            });
        }
    }
    widen(values, from, to).map_err(|error| Error::Internal(Box::new(error)))
}
