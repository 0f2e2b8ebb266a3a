//! What is new in a shape, and where values of several kinds met.

use std::collections::HashMap;

use crate::relation::{Column, Layout, Role};
use crate::report::{Change, Choice};
use crate::shape::{ColumnType, Kinds, Plan, Shape};

/// What `after` has that `before` had not (R11): each change once.
pub fn changes(before: &Layout, after: &Layout) -> Vec<Change> {
    let known: HashMap<&str, _> =
        before.tables.iter().map(|table| (table.path.as_str(), table)).collect();
    let mut changes = Vec::new();
    for table in &after.tables {
        let Some(old) = known.get(table.path.as_str()) else {
            let (table, path) = (table.name.clone(), table.path.clone());
            changes.push(Change::NewTable { table, path });
            continue;
        };
        let columns: HashMap<(&str, Role), &Column> =
            old.columns.iter().map(|column| ((&*column.path, column.role), column)).collect();
        for column in &table.columns {
            let (name, path) = (column.name.clone(), column.path.to_string());
            let to = describe(column);
            match columns.get(&(&*column.path, column.role)) {
                None => {
                    let table = table.name.clone();
                    changes.push(Change::NewColumn { table, column: name, path, to });
                }
                Some(old) if describe(old) != to => {
                    let table = table.name.clone();
                    changes.push(Change::NewType {
                        table,
                        column: name,
                        path,
                        from: describe(old),
                        to,
                    });
                }
                Some(_) => {}
            }
        }
    }
    changes
}

/// The type of a column in words.
pub fn describe(column: &Column) -> String {
    if column.is_open {
        return "open (only nulls so far)".to_owned();
    }
    match column.role {
        Role::List => format!("list of {}", column.column_type),
        Role::Struct => {
            let fields: Vec<_> = column.fields.iter().map(|kind| kind.name()).collect();
            format!("struct of {}", fields.join(", "))
        }
        _ => column.column_type.to_string(),
    }
}

/// The paths at which values of several kinds met, and where they are kept (R13).
pub fn choices(entity: &str, shape: &Shape, plan: &Plan, layout: &Layout) -> Vec<Choice> {
    let mut kept: HashMap<&str, Vec<String>> = HashMap::new();
    for table in &layout.tables {
        for column in &table.columns {
            if !column.role.identifies_row() && column.role != Role::Sequence {
                let name = format!("{}.{}", table.name, column.name);
                kept.entry(&*column.path).or_default().push(name);
            }
        }
    }
    let mut choices = Vec::new();
    for path in shape.paths() {
        let scalar = match path.kinds.column_type() {
            None => 0,
            Some(ColumnType::Mixed) => 2,
            Some(_) => 1,
        };
        let classes = scalar
            + usize::from(path.kinds.intersects(Kinds::OBJECT | Kinds::MAP))
            + usize::from(path.kinds.contains(Kinds::ARRAY));
        if classes > 1 {
            let text = plan.registry.path(path.id).to_string();
            let kept_as = kept.get(text.as_str()).cloned().unwrap_or_default();
            let kinds = path.kinds.names().filter(|name| *name != "null").collect();
            choices.push(Choice { entity: entity.to_owned(), path: text, kinds, kept_as });
        }
    }
    choices
}
