//! From a layout back to the shape of a record: what stands at which path, and in which column.

use std::collections::HashMap;

use crate::relation::{Column, Layout, Role, ScalarKind, Table};
use crate::shape::path::PathError;
use crate::shape::{ColumnType, JsonPath, Step};

use super::text::write_string;

/// How records are rebuilt from tables.
#[derive(Debug)]
pub(super) struct Tree {
    /// As the layout has them: parents before children, the root first.
    pub tables: Vec<TableTree>,
    nodes: Vec<Node>,
}

/// A column among those that are read of its table.
pub(super) type Slot = usize;
/// A [`Node`] of a [`Tree`].
pub(super) type NodeIndex = usize;

/// What a row of a table holds.
#[derive(Debug)]
pub(super) struct TableTree {
    /// The table's name.
    pub name: String,
    /// Positions of the columns that are read.
    pub columns: Vec<usize>,
    /// What the row's own path holds.
    pub root: NodeIndex,
    /// The number of the record.
    pub sequence: Option<Slot>,
    /// The Glue profile's join key of the row's array.
    pub join: Option<Slot>,
    /// Position or key at every level, outermost first.
    pub levels: Vec<Slot>,
}

/// What stands at one path; in one row at most one of these does.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub scalars: Vec<Leaf>,
    pub list: Option<(Slot, ColumnType)>,
    pub array: Option<Elements>,
    pub map: Option<Elements>,
    /// Keys, quoted and with their colon, and what is under them.
    pub members: Vec<(Vec<u8>, NodeIndex)>,
}

/// A column of scalars.
#[derive(Debug)]
pub(super) enum Leaf {
    /// Of one type.
    Plain(Slot, ColumnType),
    /// Text, and in the second column what it is in JSON.
    Mixed(Slot, Option<Slot>),
    /// A struct with one field for every kind.
    Struct(Slot, Vec<ScalarKind>),
}

/// The column that tells of an array or a map, and the table that holds what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements {
    /// Length, or the join key.
    pub slot: Slot,
    pub table: Option<usize>,
    /// `slot` is the Glue profile's join key.
    pub is_join: bool,
}

impl Tree {
    /// How the records of a layout are rebuilt.
    ///
    /// # Errors
    ///
    /// A path of the layout is none.
    pub fn of(layout: &Layout) -> Result<Tree, PathError> {
        let tables = layout.tables.iter().enumerate();
        let by_path: HashMap<&str, usize> =
            tables.map(|(at, table)| (table.path.as_str(), at)).collect();
        let mut tree = Tree { tables: Vec::new(), nodes: Vec::new() };
        for table in &layout.tables {
            let root = tree.add_node();
            let described = TableTree {
                name: table.name.clone(),
                columns: Vec::new(),
                root,
                sequence: None,
                join: None,
                levels: Vec::new(),
            };
            tree.tables.push(tree_of_table(&mut tree.nodes, described, table, &by_path)?);
        }
        Ok(tree)
    }

    fn add_node(&mut self) -> NodeIndex {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// The node at an index of this tree.
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index)
    }
}

fn tree_of_table(
    nodes: &mut Vec<Node>,
    mut described: TableTree,
    table: &Table,
    by_path: &HashMap<&str, usize>,
) -> Result<TableTree, PathError> {
    let depth = table.path.parse::<JsonPath>()?.steps().len();
    let mut members: HashMap<(NodeIndex, Box<str>), NodeIndex> = HashMap::new();
    let mut levels: Vec<(usize, Slot)> = Vec::new();
    let mut types: HashMap<&str, Slot> = HashMap::new();
    let mut mixed: Vec<(NodeIndex, usize, &str)> = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        let slot = described.columns.len();
        match column.role {
            // Keys of records: what they repeat stands at its own path as well.
            Role::RowId | Role::RootRowId | Role::RootKey(_) => continue,
            Role::Sequence => described.sequence = Some(slot),
            Role::GlueId => described.join = Some(slot),
            Role::GlueIndex => levels.push((0, slot)),
            Role::Index(level) | Role::Key(level) => levels.push((level, slot)),
            Role::ValueType => {
                types.insert(&column.path, slot);
            }
            Role::Value
            | Role::ValueOf(_)
            | Role::Struct
            | Role::List
            | Role::ArrayLength
            | Role::MapLength
            | Role::GlueJoin => {
                let path: JsonPath = column.path.parse()?;
                let mut index = described.root;
                for step in path.steps().iter().skip(depth) {
                    let Step::Key(key) = step else { continue };
                    index = member(nodes, &mut members, index, key);
                }
                let Some(node) = nodes.get_mut(index) else { continue };
                if column.role == Role::Value && column.column_type == ColumnType::Mixed {
                    mixed.push((index, node.scalars.len(), &column.path));
                }
                node.add(column, slot, by_path, &path);
            }
        }
        described.columns.push(at);
    }
    for (index, at, path) in mixed {
        if let Some(Leaf::Mixed(_, kind)) =
            nodes.get_mut(index).and_then(|node| node.scalars.get_mut(at))
        {
            *kind = types.get(path).copied();
        }
    }
    levels.sort_unstable();
    described.levels = levels.into_iter().map(|(_, slot)| slot).collect();
    Ok(described)
}

/// The node under `key` of the object at `parent`.
fn member(
    nodes: &mut Vec<Node>,
    members: &mut HashMap<(NodeIndex, Box<str>), NodeIndex>,
    parent: NodeIndex,
    key: &str,
) -> NodeIndex {
    *members.entry((parent, key.into())).or_insert_with(|| {
        let mut quoted = Vec::new();
        write_string(key.as_bytes(), &mut quoted);
        quoted.push(b':');
        let child = nodes.len();
        nodes.push(Node::default());
        if let Some(parent) = nodes.get_mut(parent) {
            parent.members.push((quoted, child));
        }
        child
    })
}

impl Node {
    fn add(
        &mut self,
        column: &Column,
        slot: Slot,
        by_path: &HashMap<&str, usize>,
        path: &JsonPath,
    ) {
        let table_at = |path: JsonPath| by_path.get(path.to_string().as_str()).copied();
        match column.role {
            Role::Value if column.column_type == ColumnType::Mixed => {
                self.scalars.push(Leaf::Mixed(slot, None));
            }
            Role::Value | Role::ValueOf(_) => {
                self.scalars.push(Leaf::Plain(slot, column.column_type));
            }
            Role::Struct => self.scalars.push(Leaf::Struct(slot, column.fields.clone())),
            Role::List => self.list = Some((slot, column.column_type)),
            Role::ArrayLength | Role::GlueJoin => {
                let is_join = column.role == Role::GlueJoin;
                self.array = Some(Elements { slot, table: table_at(path.element()), is_join });
            }
            Role::MapLength => {
                let table = table_at(path.entry());
                self.map = Some(Elements { slot, table, is_join: false });
            }
            _ => {}
        }
    }
}
