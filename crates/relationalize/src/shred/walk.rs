//! The walk over one record's tape that fills columns: a column or a child table appears with its
//! first value (R5).
//!
//! ```text
//!   Node  = a JSON path: its scalars, its array lengths, its members, its child table
//!   Table = the rows of an array's elements (or of the records): each row knows its parent row
//! ```
//!
//! Everything a record adds can be taken back, so that a record that turns out bad in its middle
//! leaves no trace: rows are cut off, and kinds are restored from a log of the rare changes.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::shape::{Action, ColumnType, Kinds, OnCastError, PathId, PathRule, Plan, Step};

use super::cast::{Spelled, cast};
use super::chunk::{Counts, Lengths};
use super::column::{Scalar, ScalarColumn, Texts};
use super::direct::SpelledKey;
use super::number::{Integer, parse_float, parse_int};
use super::tape::{Kind, Token};
use super::text::{is_same, unescape};
use super::time::parse_timestamp;

/// Index of a [`Node`].
pub(super) type NodeIndex = usize;
/// Index of a [`Table`].
pub(super) type TableIndex = usize;

/// What one JSON path holds in the block at hand.
#[derive(Debug)]
pub(super) struct Node {
    pub path: PathId,
    /// The table whose rows the values lie in.
    pub table: TableIndex,
    pub rule: PathRule,
    /// Kinds seen in this block.
    pub kinds: Kinds,
    /// Times present in this block as something else than a scalar of `scalars`: null, array, object.
    num_others: u64,
    /// 1 + the last row with a value; tells duplicate keys.
    next_row: u32,
    pub scalars: ScalarColumn,
    /// What only objects and arrays need; most paths hold scalars, and there may be millions.
    branch: Option<Box<Branch>>,
    /// No rule says how values here are to be taken: they go where their kind belongs.
    pub is_plain: bool,
}

/// The part of a [`Node`] at whose path objects or arrays were seen.
#[derive(Debug, Default)]
pub(super) struct Branch {
    pub members: Members,
    pub array_lengths: Lengths,
    pub map_lengths: Lengths,
    /// The table of the elements of arrays here.
    pub elements: Option<TableIndex>,
    /// The table of the entries of maps here.
    pub entries: Option<TableIndex>,
}

/// The members of an object, in the order they were met.
#[derive(Debug, Default)]
pub(super) struct Members {
    nodes: Vec<Member>,
    /// Made once there are too many to compare one by one.
    by_key: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Member {
    key: Box<[u8]>,
    node: NodeIndex,
    spelled: SpelledKey,
}

const MEMBERS_COMPARED: usize = 8;

impl Members {
    /// The position and the node of the member with this key. API objects repeat the same order: the
    /// key is `expected` at the position behind that of the key before it.
    #[inline]
    fn find(&self, key: &[u8], expected: usize) -> Option<(usize, NodeIndex)> {
        if let Some(member) = self.nodes.get(expected)
            && is_same(&member.key, key)
        {
            return Some((expected, member.node));
        }
        let position = if self.nodes.len() <= MEMBERS_COMPARED {
            self.nodes.iter().position(|known| is_same(&known.key, key))
        } else {
            let is_same = |at: &u32| self.key(*at) == key;
            self.by_key.find(self.hasher.hash_one(key), is_same).map(|at| *at as usize)
        }?;
        self.nodes.get(position).map(|member| (position, member.node))
    }

    fn key(&self, at: u32) -> &[u8] {
        self.nodes.get(at as usize).map_or(&[], |member| &member.key)
    }

    /// The node of the member at position `expected` and the byte behind its colon, where `text` spells
    /// it at byte `at`, behind the opening quote.
    #[inline(always)]
    pub fn spelled(&self, text: &[u8], at: usize, expected: usize) -> Option<(NodeIndex, usize)> {
        let member = self.nodes.get(expected)?;
        let behind = member.spelled.end_in(text, at)?;
        Some((member.node, behind))
    }

    fn insert(&mut self, key: &[u8], node: NodeIndex) -> usize {
        let position = self.nodes.len();
        self.nodes.push(Member { key: key.into(), node, spelled: SpelledKey::of(key) });
        let first = match position {
            ..MEMBERS_COMPARED => return position,
            MEMBERS_COMPARED => 0,
            _ => position,
        };
        let Members { nodes, by_key, hasher } = self;
        let hash =
            |at: &u32| hasher.hash_one(nodes.get(*at as usize).map_or(&[][..], |it| &it.key));
        for at in first as u32..=position as u32 {
            by_key.insert_unique(hash(&at), at, hash);
        }
        position
    }
}

/// The rows of one table in the block at hand.
#[derive(Debug)]
pub(super) struct Table {
    /// The node of the rows themselves.
    pub row: NodeIndex,
    /// The table that holds the arrays; `None` for the root.
    pub parent: Option<TableIndex>,
    pub num_rows: u32,
    /// For every row, its parent's row.
    pub parent_rows: Vec<u32>,
    /// For every row, the ordinal of its array among those of the path in this block; filled for
    /// the Glue profile only, whose join keys count arrays (R7).
    pub joins: Vec<u32>,
    /// For every row, its position in the array.
    pub index: Vec<i32>,
    /// For every row, its key in the map.
    pub keys: Texts,
    pub is_map: bool,
    /// The rows are the elements of a list column, not of a table.
    pub is_list: bool,
}

/// Why a record is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A key stands twice in one object; the walk is repeated without the earlier one (R15).
    DuplicateKey,
    /// A cast did not convert a value (R14).
    Cast { path: PathId, to: String, found: &'static str },
}

/// The kinds that a node had before a record changed them.
struct Undo {
    node: NodeIndex,
    kinds: Kinds,
}

/// A state of the [`Walk`] between two records.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    num_records: u32,
    num_undo: usize,
    num_visits: usize,
    counts: Counts,
}

/// Nodes and tables of one entity as one thread knows them; the tree stays from block to block, the
/// rows do not.
pub(super) struct Walk {
    pub nodes: Vec<Node>,
    pub tables: Vec<Table>,
    /// The nodes that this block has touched, in the order of first appearance.
    pub touched: Vec<NodeIndex>,
    /// Nodes of the declared key, once met.
    pub keys: Vec<Option<NodeIndex>>,
    pub counts: Counts,
    undo: Vec<Undo>,
    /// The nodes of the values walked since the last record that stays, as far as [`Node::num_others`]
    /// counts them.
    visits: Vec<NodeIndex>,
    pub scratch: Vec<u8>,
    cast_scratch: Vec<u8>,
}

impl Node {
    /// Times present in this block.
    pub fn num_seen(&self) -> u64 {
        self.num_others + self.scalars.values.num_values() as u64
    }

    /// What was seen of objects and arrays here.
    #[inline(always)]
    pub fn branch(&self) -> Option<&Branch> {
        self.branch.as_deref()
    }

    /// The same, there from now on.
    #[inline(always)]
    pub fn branch_mut(&mut self) -> &mut Branch {
        self.branch.get_or_insert_default()
    }

    /// Takes the lengths of arrays and the sizes of maps out.
    pub fn take_lengths(&mut self) -> (Lengths, Lengths) {
        let branch = self.branch.as_mut();
        branch.map_or_else(Default::default, |branch| {
            (std::mem::take(&mut branch.array_lengths), std::mem::take(&mut branch.map_lengths))
        })
    }

    /// Whether there is a value in `row` already.
    #[inline(always)]
    pub fn is_taken(&self, row: u32) -> bool {
        self.next_row == row + 1
    }

    /// Notes that there is a value in `row`.
    #[inline(always)]
    pub fn take_row(&mut self, row: u32) {
        self.next_row = row + 1;
    }

    /// Takes the scalars out, and makes room for as many in the next block where `has_room`.
    pub fn take_scalars(&mut self, has_room: bool) -> ScalarColumn {
        let next = match has_room {
            true => self.scalars.of_same_capacity(),
            false => ScalarColumn::default(),
        };
        std::mem::replace(&mut self.scalars, next)
    }

    /// Empties the node for the next block.
    pub fn reset(&mut self) {
        if self.kinds != Kinds::none() {
            self.kinds = Kinds::none();
            self.num_others = 0;
            self.next_row = 0;
            self.scalars.clear();
            if let Some(branch) = &mut self.branch {
                branch.array_lengths = Lengths::default();
                branch.map_lengths = Lengths::default();
            }
        }
    }
}

impl Table {
    /// Empties the table for the next block.
    pub fn reset(&mut self) {
        self.num_rows = 0;
        self.parent_rows.clear();
        self.joins.clear();
        self.index.clear();
        self.keys = Texts::default();
    }

    /// Gives the memory of rows back.
    fn forget_room(&mut self) {
        (self.parent_rows, self.joins) = (Vec::new(), Vec::new());
        (self.index, self.keys) = (Vec::new(), Texts::default());
    }
}

impl Walk {
    pub fn new(plan: &Plan) -> Walk {
        let mut walk = Walk {
            nodes: Vec::new(),
            tables: Vec::new(),
            touched: Vec::new(),
            keys: vec![None; plan.keys.len()],
            counts: Counts::default(),
            undo: Vec::new(),
            visits: Vec::new(),
            scratch: Vec::new(),
            cast_scratch: Vec::new(),
        };
        walk.add_table(plan, PathId::ROOT, None, false, false);
        walk
    }

    fn add_node(&mut self, plan: &Plan, path: PathId, table: TableIndex) -> NodeIndex {
        let rule = plan.rule(path);
        let node = self.nodes.len();
        let is_plain = rule.action.is_none() && !rule.is_map;
        if let Some(key) = rule.key
            && table == 0
            && let Some(slot) = self.keys.get_mut(key)
            && (slot.is_none() || plan.is_key_path(key, path))
        {
            *slot = Some(node);
        }
        self.nodes.push(Node {
            path,
            table,
            rule,
            kinds: Kinds::none(),
            num_others: 0,
            next_row: 0,
            scalars: ScalarColumn::default(),
            branch: None,
            is_plain,
        });
        node
    }

    fn add_table(
        &mut self,
        plan: &Plan,
        row_path: PathId,
        parent: Option<TableIndex>,
        is_map: bool,
        is_list: bool,
    ) -> TableIndex {
        let table = self.tables.len();
        let row = self.add_node(plan, row_path, table);
        self.tables.push(Table {
            row,
            parent,
            num_rows: 0,
            parent_rows: Vec::new(),
            joins: Vec::new(),
            index: Vec::new(),
            keys: Texts::default(),
            is_map,
            is_list,
        });
        table
    }

    /// A new row of the root table, with its node.
    pub fn next_record(&mut self) -> Option<(NodeIndex, u32)> {
        let root = self.tables.first_mut()?;
        root.num_rows += 1;
        Some((root.row, root.num_rows - 1))
    }

    /// A new row of an array's table, with its node: the element at `position` of an array in `parent_row`;
    /// `join` is the array's ordinal, for the Glue profile.
    #[inline]
    pub fn next_element(
        &mut self,
        table: TableIndex,
        parent_row: u32,
        position: u32,
        join: Option<u32>,
    ) -> Option<(NodeIndex, u32)> {
        let elements = self.tables.get_mut(table)?;
        elements.num_rows += 1;
        elements.parent_rows.push(parent_row);
        elements.index.push(position as i32);
        elements.joins.extend(join);
        Some((elements.row, elements.num_rows - 1))
    }

    /// Walks the value of one record into the next row of the root table.
    ///
    /// # Errors
    ///
    /// The record is to be walked again or set aside; what was added so far is still there until
    /// [`Walk::take_back`].
    pub fn record(&mut self, plan: &Plan, text: &[u8], tokens: &[Token]) -> Result<(), Refusal> {
        let Some((node, row)) = self.next_record() else { return Ok(()) };
        Record { plan, text, tokens, walk: self }.value(0, node, row)?;
        Ok(())
    }

    /// Notes a value that is no scalar of the node's column.
    #[inline]
    pub fn add_other(&mut self, index: NodeIndex, kinds: Kinds) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.num_others += 1;
            self.visits.push(index);
        }
        self.add_kinds(index, kinds);
    }

    #[inline]
    pub fn add_kinds(&mut self, index: NodeIndex, kinds: Kinds) {
        if let Some(node) = self.nodes.get_mut(index)
            && !node.kinds.contains(kinds)
        {
            self.undo.push(Undo { node: index, kinds: node.kinds });
            if node.kinds == Kinds::none() {
                self.touched.push(index);
            }
            node.kinds |= kinds;
        }
    }

    /// Arrays at a node in this block.
    #[inline]
    pub fn num_arrays(&self, index: NodeIndex) -> usize {
        let branch = self.nodes.get(index).and_then(Node::branch);
        branch.map_or(0, |branch| branch.array_lengths.values.len())
    }

    /// The table of the elements of arrays at a node, made for the first of them.
    pub fn element_table(
        &mut self,
        plan: &Plan,
        index: NodeIndex,
        is_list: bool,
    ) -> Option<TableIndex> {
        let node = self.nodes.get(index)?;
        if let Some(table) = node.branch().and_then(|branch| branch.elements) {
            return Some(table);
        }
        let (path, parent) = (node.path, node.table);
        let row_path = plan.registry.child(path, Step::Element);
        let table = self.add_table(plan, row_path, Some(parent), false, is_list);
        self.nodes.get_mut(index)?.branch_mut().elements = Some(table);
        Some(table)
    }

    /// The position and the node of the member of `index` with this key, made for the first one.
    #[inline]
    pub fn member(
        &mut self,
        plan: &Plan,
        key: &[u8],
        index: NodeIndex,
        expected: usize,
    ) -> Option<(usize, NodeIndex)> {
        let node = self.nodes.get(index)?;
        if let Some(found) = node.branch().and_then(|branch| branch.members.find(key, expected)) {
            return Some(found);
        }
        let (parent, table) = (node.path, node.table);
        let step = Step::Key(String::from_utf8_lossy(key).into());
        let path = plan.registry.child(parent, step);
        let member = self.add_node(plan, path, table);
        let position = self.nodes.get_mut(index)?.branch_mut().members.insert(key, member);
        Some((position, member))
    }

    /// Gives the memory back that the rows of this block took.
    pub fn forget_room(&mut self) {
        for node in &self.touched {
            if let Some(node) = self.nodes.get_mut(*node) {
                node.scalars = ScalarColumn::default();
            }
        }
        for table in &mut self.tables {
            table.forget_room();
        }
        (self.undo, self.visits) = (Vec::new(), Vec::new());
    }

    /// Whether every part of the declared key holds a scalar in the record walked last.
    pub fn missing_key(&self) -> Option<usize> {
        let row = self.tables.first()?.num_rows.checked_sub(1)?;
        self.keys.iter().position(|node| {
            !node
                .and_then(|node| self.nodes.get(node))
                .is_some_and(|node| node.scalars.validity.is_valid(row))
        })
    }

    /// What [`Walk::take_back`] returns to.
    pub fn mark(&self) -> Mark {
        let num_records = self.tables.first().map_or(0, |root| root.num_rows);
        let (num_undo, num_visits) = (self.undo.len(), self.visits.len());
        Mark { num_records, num_undo, num_visits, counts: self.counts }
    }

    /// Forgets all that records added since the mark.
    pub fn take_back(&mut self, mark: Mark) {
        self.counts = mark.counts;
        for at in 0..self.tables.len() {
            let parent_rows = match self.tables.get(at).and_then(|table| table.parent) {
                Some(parent) => self.tables.get(parent).map_or(0, |parent| parent.num_rows),
                None => 0,
            };
            let Some(table) = self.tables.get_mut(at) else { continue };
            if table.parent.is_none() {
                table.num_rows = mark.num_records;
                continue;
            }
            // Rows of one parent lie together and parents ascend.
            let keep = table.parent_rows.partition_point(|row| *row < parent_rows);
            table.num_rows = keep as u32;
            table.parent_rows.truncate(keep);
            table.joins.truncate(keep);
            table.index.truncate(keep);
            table.keys.truncate(keep);
        }
        for node in self.visits.drain(mark.num_visits..) {
            if let Some(node) = self.nodes.get_mut(node) {
                node.num_others -= 1;
            }
        }
        for Undo { node, kinds } in self.undo.drain(mark.num_undo..).rev() {
            if let Some(node) = self.nodes.get_mut(node) {
                node.kinds = kinds;
            }
        }
        let tables = &self.tables;
        for node in &mut self.nodes {
            let rows = tables.get(node.table).map_or(0, |table| table.num_rows);
            if node.next_row > rows {
                node.next_row = 0;
                node.scalars.truncate(rows);
                if let Some(branch) = &mut node.branch {
                    branch.array_lengths.truncate(rows);
                    branch.map_lengths.truncate(rows);
                }
            }
        }
        let nodes = &self.nodes;
        self.touched.retain(|node| nodes.get(*node).is_some_and(|n| n.kinds != Kinds::none()));
    }

    /// The record walked last stays.
    pub fn keep(&mut self) {
        self.undo.clear();
        self.visits.clear();
    }
}

/// One record on its way.
pub(super) struct Record<'a> {
    pub plan: &'a Plan,
    pub text: &'a [u8],
    pub tokens: &'a [Token],
    pub walk: &'a mut Walk,
}

impl Record<'_> {
    /// Puts the value at token `at` into `row` of its node; returns the token behind it.
    ///
    /// Recursion is as deep as the record is nested, which the parser has limited. A scalar ends here, and
    /// most values are scalars: so the body belongs into the loops over members and elements.
    #[inline(always)]
    pub fn value(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Refusal> {
        let (Some(token), Some(node)) = (self.tokens.get(at), self.walk.nodes.get_mut(index))
        else {
            return Ok(at + 1);
        };
        if node.is_taken(row) {
            // The member stood in this object before.
            return Err(Refusal::DuplicateKey);
        }
        node.take_row(row);
        if node.rule.action.is_some() {
            return self.with_action(at, index, row);
        }
        let text = token.bytes(self.text);
        let scalar = match token.kind {
            Kind::Object => return self.object(at, index, row),
            Kind::Array => return self.array(at, index, row),
            Kind::Null | Kind::Extent => {
                self.walk.add_other(index, Kinds::NULL);
                return Ok(at + 1);
            }
            Kind::True => Scalar::Boolean(true),
            Kind::False => Scalar::Boolean(false),
            Kind::Int => integer(text),
            Kind::Float => float(text, self.plan.exact_numbers, &mut self.walk.counts),
            Kind::String => string(text, node.rule.timestamps),
            Kind::EscapedString => {
                self.walk.scratch.clear();
                let replaced = unescape(text, &mut self.walk.scratch);
                self.walk.counts.replaced_surrogates += u64::from(replaced);
                string(&self.walk.scratch, node.rule.timestamps)
            }
        };
        let kind = scalar.kind();
        node.scalars.push(row, scalar);
        if !node.kinds.contains(kind) {
            self.walk.add_kinds(index, kind);
        }
        Ok(at + 1)
    }

    /// Token behind a container, and how many members or elements it has.
    #[inline]
    fn extent(&self, at: usize) -> (usize, u32) {
        self.tokens.get(at + 1).map_or((at + 1, 0), |extent| (extent.start as usize, extent.end))
    }

    fn object(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Refusal> {
        if self.walk.nodes.get(index).is_some_and(|node| node.rule.is_map) {
            return self.map(at, index, row);
        }
        self.walk.add_other(index, Kinds::OBJECT);
        let (behind, _) = self.extent(at);
        let mut expected = 0;
        let mut at = at + 2;
        while at < behind {
            let Some((position, member)) = self.member(at, index, expected) else {
                return Ok(behind);
            };
            expected = position + 1;
            at = self.value(at + 1, member, row)?;
        }
        Ok(behind)
    }

    /// Position and node of the member whose key is at token `at`.
    #[inline]
    fn member(
        &mut self,
        at: usize,
        index: NodeIndex,
        expected: usize,
    ) -> Option<(usize, NodeIndex)> {
        let token = self.tokens.get(at)?;
        let key = token.bytes(self.text);
        if token.kind != Kind::EscapedString {
            return self.walk.member(self.plan, key, index, expected);
        }
        let mut decoded = Vec::new();
        let replaced = unescape(key, &mut decoded);
        self.walk.counts.replaced_surrogates += u64::from(replaced);
        self.walk.member(self.plan, &decoded, index, expected)
    }

    fn array(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Refusal> {
        self.walk.add_other(index, Kinds::ARRAY);
        let (behind, num_elements) = self.extent(at);
        let Some(table) = self.walk.element_table(self.plan, index, false) else {
            return Ok(behind);
        };
        if let Some(node) = self.walk.nodes.get_mut(index) {
            node.branch_mut().array_lengths.push(row, num_elements);
        }
        let join = self.walk.num_arrays(index) - 1;
        let mut at = at + 2;
        let mut position = 0;
        while at < behind {
            let join = self.plan.glue_keys.then_some(join as u32);
            let Some((element, element_row)) = self.walk.next_element(table, row, position, join)
            else {
                return Ok(behind);
            };
            position += 1;
            at = self.value(at, element, element_row)?;
        }
        Ok(behind)
    }

    /// An object used as a map: an entry a row (R10).
    fn map(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Refusal> {
        self.walk.add_other(index, Kinds::MAP);
        let (behind, num_entries) = self.extent(at);
        let Some(node) = self.walk.nodes.get(index) else { return Ok(behind) };
        let table = match node.branch().and_then(|branch| branch.entries) {
            Some(table) => table,
            None => {
                let (path, parent) = (node.path, node.table);
                let row_path = self.plan.registry.child(path, Step::Entry);
                let table = self.walk.add_table(self.plan, row_path, Some(parent), true, false);
                if let Some(node) = self.walk.nodes.get_mut(index) {
                    node.branch_mut().entries = Some(table);
                }
                table
            }
        };
        if let Some(node) = self.walk.nodes.get_mut(index) {
            node.branch_mut().map_lengths.push(row, num_entries);
        }
        let mut keys = std::collections::HashSet::new();
        let mut at = at + 2;
        while at < behind {
            let Some(token) = self.tokens.get(at) else { return Ok(behind) };
            let Some(entries) = self.walk.tables.get_mut(table) else { return Ok(behind) };
            let raw = token.bytes(self.text);
            let key = if token.kind == Kind::EscapedString {
                self.walk.scratch.clear();
                let replaced = unescape(raw, &mut self.walk.scratch);
                self.walk.counts.replaced_surrogates += u64::from(replaced);
                self.walk.scratch.as_slice()
            } else {
                raw
            };
            if !keys.insert(Box::<[u8]>::from(key)) {
                return Err(Refusal::DuplicateKey);
            }
            let (entry, entry_row) = (entries.row, entries.num_rows);
            entries.num_rows += 1;
            entries.parent_rows.push(row);
            entries.keys.push(key);
            at = self.value(at + 1, entry, entry_row)?;
        }
        Ok(behind)
    }

    /// A value at a path for which `--resolve` says how (R14).
    fn with_action(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Refusal> {
        let (Some(token), Some(node)) = (self.tokens.get(at).copied(), self.walk.nodes.get(index))
        else {
            return Ok(at + 1);
        };
        let behind = match token.kind {
            Kind::Object | Kind::Array => self.extent(at).0,
            _ => at + 1,
        };
        let raw = token.bytes(self.text);
        let (path, timestamps) = (node.path, node.rule.timestamps);
        match node.rule.action {
            Some(Action::Drop) => {
                self.walk.add_other(index, Kinds::NULL);
                return Ok(behind);
            }
            _ if token.kind == Kind::Null => {
                self.walk.add_other(index, Kinds::NULL);
                return Ok(behind);
            }
            Some(Action::Json) => {
                // The text of a string includes its quotes, which its token leaves out.
                let json = match token.kind {
                    Kind::String | Kind::EscapedString => self
                        .text
                        .get(token.start as usize - 1..token.end as usize + 1)
                        .unwrap_or_default(),
                    _ => raw,
                };
                self.push(index, row, Scalar::String(Kinds::STRING, json));
                return Ok(behind);
            }
            Some(Action::List) if token.kind == Kind::Array => {
                let elements = self.tokens.get(at + 2..behind).unwrap_or_default();
                if elements.iter().all(|token| !matches!(token.kind, Kind::Object | Kind::Array)) {
                    self.walk.element_table(self.plan, index, true);
                    return self.array(at, index, row);
                }
                return self
                    .unconverted(index, path, "a list of scalars", "a nested array")
                    .map(|()| behind);
            }
            Some(Action::List | Action::MakeColumns | Action::MakeStruct | Action::Project(_))
            | None
                if token.kind == Kind::Object =>
            {
                return self.object(at, index, row);
            }
            Some(Action::MakeColumns | Action::MakeStruct | Action::Project(_)) | None
                if token.kind == Kind::Array =>
            {
                return self.array(at, index, row);
            }
            _ => {}
        }
        // What is left are scalars, and objects and arrays where a cast wants a scalar.
        let mut scratch = std::mem::take(&mut self.walk.scratch);
        let spelled = match token.kind {
            Kind::True => Some(Spelled::Boolean(true)),
            Kind::False => Some(Spelled::Boolean(false)),
            Kind::Int => Some(Spelled::Int(raw)),
            Kind::Float => Some(Spelled::Float(raw)),
            Kind::String => Some(Spelled::String(raw)),
            Kind::EscapedString => {
                scratch.clear();
                self.walk.counts.replaced_surrogates += u64::from(unescape(raw, &mut scratch));
                Some(Spelled::String(&scratch))
            }
            _ => None,
        };
        let action = self.walk.nodes.get(index).and_then(|node| node.rule.action);
        let result = match (action, spelled) {
            (Some(Action::Cast(to)), spelled) => {
                let mut cast_scratch = std::mem::take(&mut self.walk.cast_scratch);
                let converted = spelled.and_then(|value| cast(value, to, &mut cast_scratch));
                let result = match converted {
                    Some(scalar) => {
                        self.push(index, row, scalar);
                        Ok(behind)
                    }
                    None => {
                        let found = kind_name(token.kind);
                        self.unconverted(index, path, &to.to_string(), found).map(|()| behind)
                    }
                };
                self.walk.cast_scratch = cast_scratch;
                result
            }
            (action, Some(spelled)) => {
                let scalar = match spelled {
                    Spelled::Boolean(value) => Scalar::Boolean(value),
                    Spelled::Int(text) => integer(text),
                    Spelled::Float(text) => {
                        float(text, self.plan.exact_numbers, &mut self.walk.counts)
                    }
                    Spelled::String(text) => string(text, timestamps),
                };
                match action {
                    Some(Action::Project(to)) if !is_of_type(scalar.kind(), to) => {
                        self.walk.counts.projected_away += 1;
                        self.walk.add_other(index, Kinds::NULL);
                    }
                    _ => self.push(index, row, scalar),
                }
                Ok(behind)
            }
            (_, None) => Ok(behind),
        };
        self.walk.scratch = scratch;
        result
    }

    /// A value that does not convert: null and counted, or the record is refused.
    fn unconverted(
        &mut self,
        index: NodeIndex,
        path: PathId,
        to: &str,
        found: &'static str,
    ) -> Result<(), Refusal> {
        match self.plan.on_cast_error {
            OnCastError::Null => {
                self.walk.counts.cast_nulls += 1;
                self.walk.add_other(index, Kinds::NULL);
                Ok(())
            }
            OnCastError::Quarantine => Err(Refusal::Cast { path, to: to.to_owned(), found }),
        }
    }

    fn push(&mut self, index: NodeIndex, row: u32, scalar: Scalar<'_>) {
        let kind = scalar.kind();
        if let Some(node) = self.walk.nodes.get_mut(index) {
            if matches!(node.rule.action, Some(Action::MakeColumns | Action::MakeStruct)) {
                // Each value's own kind decides its column, so kinds must not blur.
                node.scalars.push_mixed(row, scalar);
            } else {
                node.scalars.push(row, scalar);
            }
        }
        self.walk.add_kinds(index, kind);
    }
}

fn is_of_type(kind: Kinds, column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Boolean => kind == Kinds::BOOLEAN,
        ColumnType::Int64 => kind == Kinds::INTEGER || kind == Kinds::LONG,
        ColumnType::Decimal { .. } => {
            kind == Kinds::INTEGER || kind == Kinds::LONG || kind == Kinds::BIG
        }
        ColumnType::Float64 => kind == Kinds::FLOAT,
        _ => kind == Kinds::STRING || kind == Kinds::TIMESTAMP,
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::True | Kind::False => "a boolean",
        Kind::Int => "an integer",
        Kind::Float => "a number",
        Kind::String | Kind::EscapedString => "a string",
        Kind::Object => "an object",
        Kind::Array | Kind::Extent => "an array",
    }
}

#[inline]
pub(super) fn integer(text: &[u8]) -> Scalar<'_> {
    match parse_int(text) {
        Integer::Small(value) => Scalar::Integer(value),
        Integer::Big(_) => Scalar::Number(Kinds::BIG, text),
        Integer::Huge => Scalar::Number(Kinds::NUMBER, text),
    }
}

#[inline]
pub(super) fn float<'a>(text: &'a [u8], exact_numbers: bool, counts: &mut Counts) -> Scalar<'a> {
    let float = parse_float(text);
    if float.overflow || (exact_numbers && !float.exact) {
        return Scalar::Number(Kinds::NUMBER, text);
    }
    counts.rounded_numbers += u64::from(!float.exact);
    Scalar::Float(float.value)
}

#[inline]
pub(super) fn string(text: &[u8], timestamps: bool) -> Scalar<'_> {
    if timestamps && parse_timestamp(text).is_some() {
        Scalar::String(Kinds::TIMESTAMP, text)
    } else {
        Scalar::String(Kinds::STRING, text)
    }
}
