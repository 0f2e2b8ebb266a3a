//! One block of records into columns, on one thread.

use std::sync::Arc;

use memchr::memchr;
use xxhash_rust::xxh3::xxh3_128;

use crate::read::{Block, Records, Segment};
use crate::shape::Plan;

use super::chunk::{
    ColumnChunk, ColumnData, Positions, RecordKeys, Reject, SeenPath, Shredded, TableChunk,
};
use super::column::{ScalarColumn, Texts};
use super::direct::{Detour, Direct};
use super::duplicates::last_wins;
use super::tape::{Limits, Tape};
use super::text::skip_whitespace;
use super::walk::{Refusal, Table, Walk};

/// Turns blocks into table chunks; keeps what it learned of the shape from block to block.
pub struct Shredder {
    plan: Arc<Plan>,
    tape: Tape,
    walk: Walk,
    /// Records of the block at hand that lack a part of the declared key.
    num_without_key: u64,
    /// Takes the way of the unusual record for all.
    #[cfg(test)]
    pub(super) only_by_tape: bool,
}

/// What is kept of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Its rows, and the room that they took for those of the next block.
    All,
    /// Its rows. No other block is as large.
    Rows,
    /// What was seen of the shape. There may be millions of paths, and most do not come again.
    Shape,
}

/// Where a record lies.
struct Place<'a> {
    /// The bytes of the segment.
    text: &'a [u8],
    segment: &'a Segment,
    object: u32,
    object_hash: u128,
}

impl Shredder {
    /// A shredder that knows the plan and has seen nothing yet.
    pub fn new(plan: Arc<Plan>) -> Shredder {
        let walk = Walk::new(&plan);
        Shredder {
            plan,
            tape: Tape::default(),
            walk,
            num_without_key: 0,
            #[cfg(test)]
            only_by_tape: false,
        }
    }

    /// The tables of one block. `object_hashes` has a hash of the key of every object of the input.
    /// What is kept of it says `keep`.
    ///
    /// Cost: linear in the bytes of the block and in the paths known to this thread.
    pub fn shred(&mut self, block: &Block, object_hashes: &[u128], keep: Keep) -> Shredded {
        let mut shredded = Shredded::default();
        let mut row_ids = Vec::new();
        for (object, segment) in &block.segments {
            let text = block.bytes.get(segment.range.clone()).unwrap_or_default();
            let object_hash = object_hashes.get(*object as usize).copied().unwrap_or_default();
            let place = Place { text, segment, object: *object, object_hash };
            // Checked once for the whole segment; only a bad one is checked record by record.
            let utf8 = simdutf8::basic::from_utf8(text).ok();
            let num_before = shredded.rejects.len();
            match &segment.records {
                Records::Lines => {
                    self.lines(&place, utf8, &mut row_ids, &mut shredded.rejects);
                }
                Records::Ranges(ranges) => {
                    for range in ranges {
                        let (start, end) = (range.start as usize, range.end as usize);
                        self.unit(&place, utf8, start, end, &mut row_ids, &mut shredded.rejects);
                    }
                }
            }
            number_lines(&place, shredded.rejects.get_mut(num_before..).unwrap_or_default());
            shredded.rejects.extend(segment.rejected.iter().map(|rejected| Reject {
                object: *object,
                offset: rejected.offset,
                length: rejected.length,
                line: rejected.line,
                reason: rejected.reason.to_string(),
                raw: rejected.raw.clone(),
            }));
        }
        shredded.rejects.sort_by_key(|reject| (reject.object, reject.offset));
        self.finish(row_ids, keep, &mut shredded);
        shredded
    }

    fn lines(
        &mut self,
        place: &Place<'_>,
        utf8: Option<&str>,
        row_ids: &mut Vec<u128>,
        rejects: &mut Vec<Reject>,
    ) {
        let mut start = 0;
        while let Some(rest) = place.text.get(start..).filter(|rest| !rest.is_empty()) {
            let end = memchr(b'\n', rest).map_or(place.text.len(), |length| start + length);
            self.unit(place, utf8, start, end, row_ids, rejects);
            start = end + 1;
        }
    }

    /// Takes the records of a line or of a range as a whole, or sets all of it aside.
    fn unit(
        &mut self,
        place: &Place<'_>,
        utf8: Option<&str>,
        start: usize,
        end: usize,
        row_ids: &mut Vec<u128>,
        rejects: &mut Vec<Reject>,
    ) {
        let (mark, num_ids) = (self.walk.mark(), row_ids.len());
        let mut at = skip_whitespace(place.text, start).min(end);
        while at < end {
            match self.record(place, utf8, at, end) {
                Ok(behind) => {
                    row_ids.push(row_id(place, at));
                    at = skip_whitespace(place.text, behind).min(end);
                }
                Err(reason) => {
                    self.walk.take_back(mark);
                    row_ids.truncate(num_ids);
                    rejects.push(reject(place, start, end, reason));
                    return;
                }
            }
        }
        self.walk.keep();
    }

    /// One record at `at`; returns where it ends, or why it is bad.
    fn record(
        &mut self,
        place: &Place<'_>,
        utf8: Option<&str>,
        at: usize,
        end: usize,
    ) -> Result<usize, String> {
        let limits = Limits { max_depth: u32::try_from(self.plan.max_depth).unwrap_or(u32::MAX) };
        let text = place.text.get(..end).unwrap_or_default();
        let mark = self.walk.mark();
        let is_direct = self.plan.any_record || text.get(at) == Some(&b'{');
        #[cfg(test)]
        let is_direct = is_direct && !self.only_by_tape;
        if let Some(text) = utf8.and_then(|text| text.get(..end)).filter(|_| is_direct) {
            let mut direct = Direct {
                plan: &self.plan,
                text,
                tape: &mut self.tape,
                walk: &mut self.walk,
                depth_left: limits.max_depth,
            };
            match direct.record(at) {
                Ok(behind) => return self.keyed(behind),
                Err(Detour) => self.walk.take_back(mark),
            }
        }
        let parsed = match utf8.and_then(|text| text.get(..end)) {
            Some(text) => self.tape.parse_str(text, at, limits),
            None => self.tape.parse(text, at, limits),
        };
        let behind = parsed.map_err(|error| {
            let byte = place.segment.offset + error.offset as u64;
            format!("not valid JSON: {error} (byte {byte})")
        })?;
        if !self.plan.any_record && text.get(at) != Some(&b'{') {
            return Err(format!("not an object: the record is {}", value_name(text.get(at))));
        }
        let mut walked = self.walk.record(&self.plan, text, self.tape.tokens());
        if walked == Err(Refusal::DuplicateKey) {
            self.walk.take_back(mark);
            let (tokens, dropped) = last_wins(text, self.tape.tokens());
            self.walk.counts.duplicate_keys += dropped;
            walked = self.walk.record(&self.plan, text, &tokens);
        }
        match walked {
            Ok(()) => {}
            Err(Refusal::DuplicateKey) => return Err("a key stands twice in one object".to_owned()),
            Err(Refusal::Cast { path, to, found }) => {
                let path = self.plan.registry.path(path);
                return Err(format!("`{path}`: {found} here does not convert to {to}"));
            }
        }
        self.keyed(behind)
    }

    /// The end of the record walked last, unless it lacks a part of the declared key.
    fn keyed(&mut self, behind: usize) -> Result<usize, String> {
        if let Some(missing) = self.walk.missing_key() {
            self.num_without_key += 1;
            let key = self.plan.keys.get(missing).map_or("", |key| key.text());
            return Err(format!("the key `{key}` is missing, null or no scalar"));
        }
        Ok(behind)
    }

    /// Moves the rows out and leaves the shape.
    fn finish(&mut self, row_ids: Vec<u128>, keep: Keep, shredded: &mut Shredded) {
        shredded.num_without_key = std::mem::take(&mut self.num_without_key);
        let walk = &mut self.walk;
        shredded.counts = std::mem::take(&mut walk.counts);
        shredded.num_records = walk.tables.first().map_or(0, |root| root.num_rows);
        shredded.paths = walk
            .touched
            .iter()
            .filter_map(|node| walk.nodes.get(*node))
            .map(|node| SeenPath { id: node.path, kinds: node.kinds, num_seen: node.num_seen() })
            .collect();
        let keys = Arc::new(RecordKeys {
            row_ids: if walk.keys.is_empty() { row_ids } else { Vec::new() },
            columns: walk
                .keys
                .iter()
                .filter_map(|node| walk.nodes.get((*node)?))
                .map(|node| (node.path, node.scalars.clone()))
                .collect(),
        });
        let mut columns = match keep {
            Keep::Shape => Vec::new(),
            Keep::All | Keep::Rows => columns_by_table(walk, keep),
        };
        // What rows inherit from their parents: the record and the outer positions.
        let mut inherited: Vec<(Vec<u32>, Vec<Arc<Positions>>)> = Vec::new();
        for (at, table) in walk.tables.iter_mut().enumerate() {
            let (records, positions) = match table.parent {
                Some(parent) if table.num_rows > 0 => inherit(table, parent, &inherited),
                _ => Default::default(),
            };
            inherited.push((records.clone(), positions.clone()));
            let Some(row) = walk.nodes.get(table.row) else { continue };
            if table.num_rows > 0 && !table.is_list && keep != Keep::Shape {
                shredded.tables.push(TableChunk {
                    table: row.path,
                    num_rows: table.num_rows,
                    records,
                    joins: std::mem::take(&mut table.joins),
                    first_join: 0,
                    positions,
                    columns: columns.get_mut(at).map(std::mem::take).unwrap_or_default(),
                    keys: keys.clone(),
                    first_record: 0,
                });
            }
            table.reset();
        }
        if keep != Keep::All {
            self.tape = Tape::default();
            walk.forget_room();
        }
        walk.touched.clear();
        for node in &mut walk.nodes {
            node.reset();
        }
    }
}

fn inherit(
    table: &mut Table,
    parent: usize,
    inherited: &[(Vec<u32>, Vec<Arc<Positions>>)],
) -> (Vec<u32>, Vec<Arc<Positions>>) {
    let parent_rows = std::mem::take(&mut table.parent_rows);
    let empty = (Vec::new(), Vec::new());
    let (parent_records, parent_positions) = inherited.get(parent).unwrap_or(&empty);
    let mut positions: Vec<Arc<Positions>> =
        parent_positions.iter().map(|positions| Arc::new(positions.pick(&parent_rows))).collect();
    positions.push(Arc::new(if table.is_map {
        Positions::Key(std::mem::take(&mut table.keys))
    } else {
        Positions::Index(std::mem::take(&mut table.index))
    }));
    // The root's rows are the records.
    let records = if parent == 0 {
        parent_rows
    } else {
        parent_rows
            .iter()
            .map(|row| parent_records.get(*row as usize).copied().unwrap_or(0))
            .collect()
    };
    (records, positions)
}

impl Positions {
    fn pick(&self, rows: &[u32]) -> Positions {
        match self {
            Positions::Index(index) => Positions::Index(
                rows.iter().map(|row| index.get(*row as usize).copied().unwrap_or(0)).collect(),
            ),
            Positions::Key(texts) => {
                let all: Vec<&[u8]> = texts.iter().collect();
                let mut picked = Texts::default();
                for row in rows {
                    picked.push(all.get(*row as usize).copied().unwrap_or_default());
                }
                Positions::Key(picked)
            }
        }
    }
}

/// The columns that hold something, by table.
fn columns_by_table(walk: &mut Walk, keep: Keep) -> Vec<Vec<ColumnChunk>> {
    let mut columns: Vec<Vec<ColumnChunk>> = walk.tables.iter().map(|_| Vec::new()).collect();
    for at in 0..walk.touched.len() {
        let Some(&index) = walk.touched.get(at) else { continue };
        let lists = list_elements(walk, index, keep);
        let Some(node) = walk.nodes.get_mut(index) else { continue };
        let Some(columns) = columns.get_mut(node.table) else { continue };
        let path = node.path;
        let mut add = |data| columns.push(ColumnChunk { path, data, first_join: 0 });
        if !node.scalars.is_empty() {
            add(ColumnData::Scalars(node.take_scalars(keep == Keep::All)));
        }
        let (array_lengths, map_lengths) = node.take_lengths();
        if !map_lengths.values.is_empty() {
            add(ColumnData::MapLengths(map_lengths));
        }
        if !array_lengths.values.is_empty() {
            let lengths = array_lengths;
            add(match lists {
                Some(elements) => ColumnData::Lists { lengths, elements },
                None => ColumnData::ArrayLengths(lengths),
            });
        }
    }
    for columns in &mut columns {
        columns.sort_by_key(|column| column.path);
    }
    columns
}

/// The elements of a path whose arrays are kept as lists.
fn list_elements(walk: &mut Walk, index: usize, keep: Keep) -> Option<ScalarColumn> {
    let table = walk.tables.get(walk.nodes.get(index)?.branch()?.elements?)?;
    if !table.is_list {
        return None;
    }
    Some(walk.nodes.get_mut(table.row)?.take_scalars(keep == Keep::All))
}

/// The identity of a record without a declared key: a hash of object and position (R8).
fn row_id(place: &Place<'_>, at: usize) -> u128 {
    let mut bytes = [0; 24];
    let (hash, offset) = bytes.split_at_mut(16);
    hash.copy_from_slice(&place.object_hash.to_le_bytes());
    offset.copy_from_slice(&(place.segment.offset + at as u64).to_le_bytes());
    xxh3_128(&bytes)
}

fn reject(place: &Place<'_>, start: usize, end: usize, reason: String) -> Reject {
    let raw = place.text.get(start..end).unwrap_or_default();
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    Reject {
        object: place.object,
        offset: place.segment.offset + start as u64,
        length: raw.len() as u64,
        // Follows from the offset: see `number_lines`.
        line: 0,
        reason,
        raw: raw.get(..MAX_RAW_BYTES).unwrap_or(raw).to_vec(),
    }
}

/// Gives the rejects of a segment, which are in order, their lines: one pass over the text, however many
/// there are.
fn number_lines(place: &Place<'_>, rejects: &mut [Reject]) {
    let (mut line, mut counted) = (place.segment.line, 0);
    for reject in rejects {
        let start = (reject.offset - place.segment.offset) as usize;
        let between = place.text.get(counted..start).unwrap_or_default();
        line += memchr::memchr_iter(b'\n', between).count() as u64;
        counted = start;
        reject.line = line;
    }
}

/// How much of a bad record quarantine keeps; the rest is found by object, offset and length.
const MAX_RAW_BYTES: usize = 1 << 20;

fn value_name(first: Option<&u8>) -> &'static str {
    match first {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
