//! One record from a row of the root table and the rows below it.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use crate::error::Error;
use crate::relation::ScalarKind;
use crate::relation::write_text;
use crate::shape::ColumnType;

use super::cursor::Cursor;
use super::text::{write_on_one_line, write_string};
use super::tree::{Elements, Leaf, NodeIndex, Slot, Tree};

/// Rebuilds records, one after the other.
pub(super) struct Rebuilder<'a> {
    tree: &'a Tree,
    /// One per table of the tree.
    cursors: Vec<Cursor>,
    /// `_seq` of the record at hand; its position in the Glue profile.
    record: i64,
    num_records: i64,
    /// Where in the record's arrays and maps the writer is, outermost level first.
    positions: Vec<Position>,
    scratch: Vec<u8>,
}

/// Where a row stands in its array or map.
enum Position {
    Index(i64),
    Key(Vec<u8>),
}

impl<'a> Rebuilder<'a> {
    /// Before the first record.
    pub fn new(tree: &'a Tree, cursors: Vec<Cursor>) -> Rebuilder<'a> {
        let (positions, scratch) = (Vec::new(), Vec::new());
        Rebuilder { tree, cursors, record: 0, num_records: 0, positions, scratch }
    }

    /// Appends the next record to `out`; `false` when there is none.
    ///
    /// # Errors
    ///
    /// Files cannot be read, or tables do not fit each other.
    pub fn next_record(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        let (Some(root), Some(cursor)) = (self.tree.tables.first(), self.cursors.first_mut())
        else {
            return Ok(false);
        };
        if !cursor.has_next()? {
            return Ok(false);
        }
        cursor.take_next();
        self.record = match root.sequence {
            Some(slot) => cursor.integer(slot).unwrap_or(self.num_records),
            None => self.num_records,
        };
        self.num_records += 1;
        if !self.value(0, root.root, out)? {
            out.extend_from_slice(b"{}");
        }
        Ok(true)
    }

    /// Checks that every row of every child table was part of a record.
    ///
    /// # Errors
    ///
    /// There are rows left.
    pub fn check_ends(&mut self) -> Result<(), Error> {
        for table in 1..self.cursors.len() {
            if let Some(cursor) = self.cursors.get_mut(table)
                && cursor.has_next()?
            {
                let sequence = self.tree.tables.get(table).and_then(|table| table.sequence);
                let record = sequence.and_then(|slot| cursor.next_integer(slot));
                self.record = record.unwrap_or(self.record);
                return Err(self.misfit(table, "it has more rows than its parent has elements"));
            }
        }
        Ok(())
    }

    /// Appends what the current row of `table` holds at a node; `false`, and nothing appended, when
    /// that is nothing.
    ///
    /// Recursion is as deep as the record is nested.
    fn value(&mut self, table: usize, node: NodeIndex, out: &mut Vec<u8>) -> Result<bool, Error> {
        let tree = self.tree;
        let (Some(node), Some(cursor)) = (tree.node(node), self.cursors.get(table)) else {
            return Ok(false);
        };
        for leaf in &node.scalars {
            if write_leaf(cursor, leaf, &mut self.scratch, out)? {
                return Ok(true);
            }
        }
        if let Some((slot, column_type)) = node.list
            && let Some((array, row)) = cursor.value(slot)
        {
            write_list(array, row, column_type, &mut self.scratch, out)?;
            return Ok(true);
        }
        if let Some(array) = node.array
            && let Some(told) = cursor.integer(array.slot)
        {
            self.array(table, array, told, out)?;
            return Ok(true);
        }
        if let Some(map) = node.map
            && let Some(num_entries) = cursor.integer(map.slot)
        {
            self.map(table, map, num_entries, out)?;
            return Ok(true);
        }
        let mut is_empty = true;
        for (key, member) in &node.members {
            let start = out.len();
            out.push(if is_empty { b'{' } else { b',' });
            out.extend_from_slice(key);
            match self.value(table, *member, out)? {
                true => is_empty = false,
                false => out.truncate(start),
            }
        }
        if !is_empty {
            out.push(b'}');
        }
        Ok(!is_empty)
    }

    /// Appends an array, of which the parent tells the length, or the join key in the Glue profile.
    fn array(
        &mut self,
        parent: usize,
        array: Elements,
        told: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        out.push(b'[');
        let mut position = 0;
        while self.has_element(parent, array, told, position)? {
            if position > 0 {
                out.push(b',');
            }
            self.positions.push(Position::Index(position));
            self.element(array.table, out)?;
            self.positions.pop();
            position += 1;
        }
        out.push(b']');
        Ok(())
    }

    fn has_element(
        &mut self,
        parent: usize,
        array: Elements,
        told: i64,
        position: i64,
    ) -> Result<bool, Error> {
        if !array.is_join {
            return Ok(position < told);
        }
        let Some(table) = array.table else {
            return Err(self.misfit(parent, "the table of an array's elements is missing"));
        };
        let join = self.tree.tables.get(table).and_then(|table| table.join);
        let (Some(cursor), Some(join)) = (self.cursors.get_mut(table), join) else {
            return Err(self.misfit(table, "it has no join keys"));
        };
        if !cursor.has_next()? {
            return Ok(false);
        }
        match cursor.next_integer(join) {
            Some(found) if found == told => Ok(true),
            Some(found) if found > told => Ok(false),
            // Join keys ascend in both tables.
            _ => Err(self.misfit(table, "its next row belongs to an array that no parent has")),
        }
    }

    /// Appends an object whose members are rows.
    fn map(
        &mut self,
        parent: usize,
        map: Elements,
        num_entries: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Some(table) = map.table else {
            return Err(self.misfit(parent, "the table of a map's entries is missing"));
        };
        out.push(b'{');
        for number in 0..num_entries {
            if number > 0 {
                out.push(b',');
            }
            let level = self.tree.tables.get(table).and_then(|table| table.levels.last());
            self.next_row(table)?;
            let mut key = Vec::new();
            if let (Some(cursor), Some(&level)) = (self.cursors.get(table), level)
                && let Some((array, row)) = cursor.value(level)
            {
                write_text(array, row, ColumnType::String, &mut key).map_err(decoding)?;
            }
            write_string(&key, out);
            out.push(b':');
            self.positions.push(Position::Key(key));
            self.row(table, out)?;
            self.positions.pop();
        }
        out.push(b'}');
        Ok(())
    }

    /// Appends the next row of a table as an element of an array.
    fn element(&mut self, table: Option<usize>, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(table) = table else {
            return Err(self.misfit(0, "the table of an array's elements is missing"));
        };
        self.next_row(table)?;
        self.row(table, out)
    }

    fn next_row(&mut self, table: usize) -> Result<(), Error> {
        let has_next = match self.cursors.get_mut(table) {
            Some(cursor) => cursor.has_next()?,
            None => false,
        };
        if !has_next {
            return Err(self.misfit(table, "it has fewer rows than its parent has elements"));
        }
        if let Some(cursor) = self.cursors.get_mut(table) {
            cursor.take_next();
        }
        Ok(())
    }

    /// Appends the current row of a table, once it is where it says it is.
    fn row(&mut self, table: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let tree = self.tree;
        let Some(described) = tree.tables.get(table) else { return Ok(()) };
        if let (Some(slot), Some(cursor)) = (described.sequence, self.cursors.get(table))
            && cursor.integer(slot) != Some(self.record)
        {
            let found = cursor.integer(slot).map_or("null".to_owned(), |found| found.to_string());
            return Err(self.misfit(table, &format!("its next row is of record {found}")));
        }
        self.check_positions(table, &described.levels)?;
        if !self.value(table, described.root, out)? {
            out.extend_from_slice(b"null");
        }
        Ok(())
    }

    /// The Glue profile has the innermost position alone.
    fn check_positions(&mut self, table: usize, levels: &[Slot]) -> Result<(), Error> {
        let Some(cursor) = self.cursors.get(table) else { return Ok(()) };
        for (slot, position) in levels.iter().rev().zip(self.positions.iter().rev()) {
            let fits = match position {
                Position::Index(index) => cursor.integer(*slot) == Some(*index),
                Position::Key(key) => cursor.value(*slot).is_some_and(|(array, row)| {
                    array.as_string_opt::<i32>().is_some_and(|a| a.value(row).as_bytes() == key)
                }),
            };
            if !fits {
                return Err(self.misfit(table, "positions in its arrays are not in order"));
            }
        }
        Ok(())
    }

    fn misfit(&self, table: usize, problem: &str) -> Error {
        Error::Inconsistent {
            table: self.tree.tables.get(table).map_or_else(String::new, |t| t.name.clone()),
            record: self.record,
            problem: problem.to_owned(),
        }
    }
}

fn decoding(source: arrow_schema::ArrowError) -> Error {
    Error::Decode { key: "a text".to_owned(), source: source.into() }
}

/// Appends the scalar of a leaf; `false`, and nothing appended, where it has none.
fn write_leaf(
    cursor: &Cursor,
    leaf: &Leaf,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<bool, Error> {
    match leaf {
        Leaf::Plain(slot, column_type) => {
            let Some((array, row)) = cursor.value(*slot) else { return Ok(false) };
            write_scalar(array, row, *column_type, scratch, out)?;
        }
        Leaf::Mixed(slot, kind) => {
            let Some((array, row)) = cursor.value(*slot) else { return Ok(false) };
            let kind = kind.and_then(|slot| cursor.value(slot));
            let is_raw = kind.is_some_and(|(array, row)| {
                let names = array.as_string_opt::<i32>();
                names.is_some_and(|names| names.value(row) != "string")
            });
            let column_type = if is_raw { ColumnType::Number } else { ColumnType::String };
            write_scalar(array, row, column_type, scratch, out)?;
        }
        Leaf::Struct(slot, fields) => {
            let Some((array, row)) = cursor.value(*slot) else { return Ok(false) };
            return write_field(array, row, fields, scratch, out);
        }
    }
    Ok(true)
}

/// Appends the one field of a struct that holds something.
fn write_field(
    array: &ArrayRef,
    row: usize,
    kinds: &[ScalarKind],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<bool, Error> {
    let Some(fields) = array.as_struct_opt() else { return Ok(false) };
    for (kind, values) in kinds.iter().zip(fields.columns()) {
        if values.is_valid(row) {
            write_scalar(values, row, kind.column_type(), scratch, out)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_list(
    array: &ArrayRef,
    row: usize,
    column_type: ColumnType,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let Some(lists) = array.as_list_opt::<i32>() else { return Ok(()) };
    let elements = lists.value(row);
    out.push(b'[');
    for at in 0..elements.len() {
        if at > 0 {
            out.push(b',');
        }
        match elements.is_valid(at) {
            true => write_scalar(&elements, at, column_type, scratch, out)?,
            false => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
    Ok(())
}

/// Appends a scalar as JSON.
fn write_scalar(
    array: &ArrayRef,
    row: usize,
    column_type: ColumnType,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match column_type {
        ColumnType::Boolean
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::Float64
        | ColumnType::Number => write_text(array, row, column_type, out).map_err(decoding),
        ColumnType::Json => {
            if let Some(texts) = array.as_string_opt::<i32>() {
                write_on_one_line(texts.value(row).as_bytes(), out);
            }
            Ok(())
        }
        // What a list of mixed scalars holds are texts.
        ColumnType::String | ColumnType::Mixed => {
            if let Some(texts) = array.as_string_opt::<i32>() {
                write_string(texts.value(row).as_bytes(), out);
            }
            Ok(())
        }
        ColumnType::Timestamp | ColumnType::Date => {
            scratch.clear();
            write_text(array, row, column_type, scratch).map_err(decoding)?;
            write_string(scratch, out);
            Ok(())
        }
    }
}
