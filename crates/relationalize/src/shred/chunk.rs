//! What the shredder makes of a block: for every table the rows and columns that the block adds.
//!
//! A chunk knows nothing of the blocks before it. What depends on them (sequence numbers, join keys
//! of the Glue profile) is stored relative to the block; the collector adds the bases in order.

use std::sync::Arc;

use crate::shape::{Kinds, PathId};

use super::column::{ScalarColumn, Texts, Validity};

/// The tables of one block.
#[derive(Debug, Default)]
pub struct Shredded {
    /// Records that became rows of the root table.
    pub num_records: u32,
    /// The tables that got rows, parents before children.
    pub tables: Vec<TableChunk>,
    /// Every path that the block shows, in the order of first appearance.
    pub paths: Vec<SeenPath>,
    /// Records that go to quarantine, in the order of the input.
    pub rejects: Vec<Reject>,
    /// How many of them lack a part of the declared key.
    pub num_without_key: u64,
    /// What was changed or noticed on the way.
    pub counts: Counts,
}

/// What a block shows at one path.
#[derive(Clone, Copy, Debug)]
pub struct SeenPath {
    /// The path.
    pub id: PathId,
    /// The kinds of value there.
    pub kinds: Kinds,
    /// How often the path was present, null included.
    pub num_seen: u64,
}

/// The rows that a block adds to one table.
#[derive(Debug)]
pub struct TableChunk {
    /// The path of the table's rows: `$`, `$.items[*]`, `$.labels.*`.
    pub table: PathId,
    /// Rows in this chunk.
    pub num_rows: u32,
    /// For every row the record it belongs to, counted within the block. Empty in the root table,
    /// where row and record are one.
    pub records: Vec<u32>,
    /// For every row the ordinal of its array among those of the path in the block; only in the
    /// Glue profile, whose join keys count them (R7).
    pub joins: Vec<u32>,
    /// Arrays of the path before this block; set by the collector.
    pub first_join: u64,
    /// For every row its position in the array, or its key in the map, outermost level first.
    pub positions: Vec<Arc<Positions>>,
    /// The columns that hold something.
    pub columns: Vec<ColumnChunk>,
    /// The keys of the block's records.
    pub keys: Arc<RecordKeys>,
    /// Sequence number of the block's first record; set by the collector.
    pub first_record: u64,
}

/// Where the rows of a child table stand in their arrays or maps, at one level.
#[derive(Debug)]
pub enum Positions {
    /// Position in an array, 0-based.
    Index(Vec<i32>),
    /// Key of a map.
    Key(Texts),
}

/// What identifies the records of a block (R8).
#[derive(Debug, Default)]
pub struct RecordKeys {
    /// Hash of object key and position; empty with a declared key.
    pub row_ids: Vec<u128>,
    /// The declared key, column by column.
    pub columns: Vec<(PathId, ScalarColumn)>,
}

impl RecordKeys {
    /// How many records there are.
    pub fn num_records(&self, key: &ScalarColumn) -> u32 {
        // Every record has its key, or it would be in quarantine.
        key.validity.rows()
    }
}

/// A column of a [`TableChunk`].
#[derive(Debug)]
pub struct ColumnChunk {
    /// The path that the column holds.
    pub path: PathId,
    /// The values.
    pub data: ColumnData,
    /// Arrays of the path before this block, for [`ColumnData::ArrayLengths`]; set by the collector.
    pub first_join: u64,
}

/// What a column holds.
#[derive(Debug)]
pub enum ColumnData {
    /// The scalars at the path.
    Scalars(ScalarColumn),
    /// The lengths of the arrays at the path; the elements are in a table of their own.
    ArrayLengths(Lengths),
    /// The sizes of the maps at the path; the entries are in a table of their own.
    MapLengths(Lengths),
    /// Arrays of scalars kept in one column.
    Lists {
        /// How many elements each array has.
        lengths: Lengths,
        /// All elements, one row each.
        elements: ScalarColumn,
    },
}

/// Lengths of arrays, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Lengths {
    /// Which rows hold an array.
    pub validity: Validity,
    /// One length per valid row.
    pub values: Vec<i32>,
}

impl Lengths {
    /// Puts a length at `row`; rows come in ascending order.
    #[inline]
    pub fn push(&mut self, row: u32, length: u32) {
        self.validity.push(row);
        self.values.push(i32::try_from(length).unwrap_or(i32::MAX));
    }

    fn heap_bytes(&self) -> usize {
        self.validity.heap_bytes() + self.values.capacity() * 4
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: u32) {
        let dropped = self.validity.truncate(rows);
        self.values.truncate(self.values.len().saturating_sub(dropped));
    }
}

/// A record that goes to quarantine (R16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Which object of the input.
    pub object: u32,
    /// Where the record begins in the decompressed object, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// The line it begins in, 1-based.
    pub line: u64,
    /// Why it was set aside.
    pub reason: String,
    /// Its bytes, or the first of them.
    pub raw: Vec<u8>,
}

/// What was changed or noticed, counted; the report says so (R13, R14, R15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Members dropped since a later one of the same object has the same key (R15).
    pub duplicate_keys: u64,
    /// Lone surrogates replaced by U+FFFD (R15).
    pub replaced_surrogates: u64,
    /// Decimals rounded to float64 (R13).
    pub rounded_numbers: u64,
    /// Values that a cast could not convert and made null (R14).
    pub cast_nulls: u64,
    /// Values that a projection left out (R14).
    pub projected_away: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.duplicate_keys += other.duplicate_keys;
        self.replaced_surrogates += other.replaced_surrogates;
        self.rounded_numbers += other.rounded_numbers;
        self.cast_nulls += other.cast_nulls;
        self.projected_away += other.projected_away;
    }
}

impl TableChunk {
    /// What the chunk holds at a path.
    pub fn at(&self, path: PathId) -> impl Iterator<Item = &ColumnChunk> {
        let first = self.columns.partition_point(|column| column.path < path);
        self.columns.iter().skip(first).take_while(move |column| column.path == path)
    }

    /// Bytes held, apart from what chunks share.
    pub fn heap_bytes(&self) -> usize {
        let positions: usize = self
            .positions
            .iter()
            .map(|positions| match &**positions {
                Positions::Index(index) => index.capacity() * 4,
                Positions::Key(texts) => texts.heap_bytes(),
            })
            .sum();
        let columns: usize = self.columns.iter().map(|column| column.data.heap_bytes()).sum();
        let rows = (self.records.capacity() + self.joins.capacity()) * 4;
        size_of::<TableChunk>() + ALLOCATION_BYTES * 4 + rows + positions + columns
    }
}

/// What an allocation takes beside its bytes, about: rounding, and the room between those of other sizes.
const ALLOCATION_BYTES: usize = 32;

impl ColumnData {
    fn heap_bytes(&self) -> usize {
        let data = match self {
            ColumnData::Scalars(scalars) => scalars.heap_bytes(),
            ColumnData::ArrayLengths(lengths) | ColumnData::MapLengths(lengths) => {
                lengths.heap_bytes()
            }
            ColumnData::Lists { lengths, elements } => lengths.heap_bytes() + elements.heap_bytes(),
        };
        // Validity, values, ends of texts.
        size_of::<ColumnChunk>() + ALLOCATION_BYTES * 3 + data
    }
}
