//! Which columns identify a row, and which lead to the rows of parent and root (R7, R8).

use serde::Serialize;

use crate::curated::Entity;
use crate::relation::{Column, Layout, Role, Table};
use crate::shape::{JsonPath, Selector};

/// A pair of columns that are equal where rows belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JoinColumn {
    /// The column here.
    pub column: String,
    /// The column there.
    pub references: String,
}

/// The keys of one entity.
pub struct Keys<'a> {
    layout: &'a Layout,
    /// The root's columns of the declared key, part by part.
    declared: Vec<Option<&'a Column>>,
}

/// The table above.
pub(super) fn parent<'a>(layout: &'a Layout, table: &Table) -> Option<&'a Table> {
    layout.tables.get(table.parent?)
}

impl<'a> Keys<'a> {
    /// The keys of an entity with its layout.
    pub fn new(entity_name: &str, entity: &Entity, layout: &'a Layout) -> Keys<'a> {
        let part = |(part, text): (usize, &String)| declared(entity_name, layout, part, text);
        Keys { layout, declared: entity.key.iter().enumerate().map(part).collect() }
    }

    /// The columns that identify a row; empty when there are none.
    pub fn primary_key(&self, table: &Table) -> Vec<String> {
        let identifies = |column: &&Column| column.role.identifies_row();
        let name = |column: &Column| column.name.clone();
        let generated: Vec<_> = table.columns.iter().filter(identifies).map(name).collect();
        match table.parent {
            None if generated.is_empty() => {
                let parts: Option<Vec<String>> =
                    self.declared.iter().map(|part| part.map(name)).collect();
                parts.unwrap_or_default()
            }
            _ => generated,
        }
    }

    /// The pairs that lead to the row of the parent.
    pub(super) fn join_parent(&self, table: &Table) -> Vec<JoinColumn> {
        parent(self.layout, table).map_or_else(Vec::new, |parent| self.join(table, parent))
    }

    /// The pairs that lead to the row of the root.
    pub(super) fn join_root(&self, table: &Table) -> Vec<JoinColumn> {
        match self.layout.tables.first() {
            Some(root) if table.parent.is_some() => self.join(table, root),
            _ => Vec::new(),
        }
    }

    /// The columns that identify rows or lead to those of other tables.
    pub(super) fn key_columns(&self, table: &'a Table) -> Vec<&'a str> {
        let primary = self.primary_key(table);
        let is_key =
            |column: &&Column| column.role == Role::GlueJoin || primary.contains(&column.name);
        table.columns.iter().filter(is_key).map(|column| column.name.as_str()).collect()
    }

    fn join(&self, table: &Table, above: &Table) -> Vec<JoinColumn> {
        let key = |part: usize, _: &Column| Some(&self.declared.get(part).copied().flatten()?.name);
        let by_id = |column: &&Column| column.role == Role::GlueId;
        let glue = table.columns.iter().find(by_id).and_then(|column| {
            let references = glue_join(table, above)?.name.clone();
            Some(JoinColumn { column: column.name.clone(), references })
        });
        glue.into_iter().chain(join_columns(&table.columns, &above.columns, key)).collect()
    }
}

/// The pairs by which rows with the columns `below` find their row among those with the columns `above`,
/// which are its parent's or its root's (R8). `key` names the root's column of a part of the key, for the
/// column of that part below.
pub fn join_columns<'k>(
    below: &[Column],
    above: &[Column],
    key: impl Fn(usize, &Column) -> Option<&'k String>,
) -> Vec<JoinColumn> {
    // All tables but the root say what their root is.
    let is_root =
        above.iter().all(|column| !matches!(column.role, Role::RootRowId | Role::RootKey(_)));
    let with_role = |role: Role| above.iter().find(|column| column.role == role);
    let pair = |column: &Column| {
        let there = match column.role {
            Role::RootRowId if is_root => &with_role(Role::RowId)?.name,
            Role::RootKey(part) if is_root => key(part, column)?,
            Role::RootRowId | Role::RootKey(_) | Role::Index(_) | Role::Key(_) => {
                &with_role(column.role)?.name
            }
            _ => return None,
        };
        Some(JoinColumn { column: column.name.clone(), references: there.clone() })
    };
    below.iter().filter_map(pair).collect()
}

/// The root's column of part `part` of the declared key.
fn declared<'a>(
    entity_name: &str,
    layout: &'a Layout,
    part: usize,
    text: &str,
) -> Option<&'a Column> {
    let root = layout.tables.first()?;
    let values = || root.columns.iter().filter(|column| column.role == Role::Value);
    // Children say which path the text turned out to mean.
    let in_children = layout
        .tables
        .iter()
        .flat_map(|table| &table.columns)
        .find(|column| column.role == Role::RootKey(part));
    if let Some(known) = in_children {
        return values().find(|column| column.path == known.path);
    }
    named_column(entity_name, &root.columns, text)
}

/// The column of values of a root table that a text means: a JSON path, or a column name.
pub fn named_column<'a>(
    entity_name: &str,
    columns: &'a [Column],
    text: &str,
) -> Option<&'a Column> {
    let values = || columns.iter().filter(|column| column.role == Role::Value);
    let selector = Selector::parse(text).ok()?;
    let spelled_out = selector.path().to_string();
    let named = |column: &&Column| {
        let path = column.path.parse::<JsonPath>();
        path.is_ok_and(|path| selector.matches_column(&path, entity_name))
    };
    values().find(|column| *column.path == *spelled_out).or_else(|| values().find(named))
}

/// The column of the Glue profile's join key for `table` in the table directly above.
fn glue_join<'a>(table: &Table, above: &'a Table) -> Option<&'a Column> {
    let path: JsonPath = table.path.parse().ok()?;
    let (_, array) = path.steps().split_last()?;
    let array = JsonPath::from_steps(array.to_vec()).to_string();
    above.columns.iter().find(|column| column.role == Role::GlueJoin && *column.path == *array)
}
