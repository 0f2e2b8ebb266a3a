//! From a shape to tables: which columns there are, in which order, of which type (R5 to R13).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::shape::{Action, ColumnType, JsonPath, Kinds, PathId, PathShape, Plan, Shape};

use super::names::{self, Request};

/// Which names tables and columns get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// SQL-safe names (R6).
    #[default]
    Sql,
    /// The names of AWS Glue's Relationalize (R7).
    Glue,
}

/// The tables of one entity, parents before children; the first is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The JSON path of its rows: `$`, `$.items[*]`.
    pub path: String,
    /// The table above, by position; `None` for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The JSON path that it holds; of a generated column, the path that it speaks of.
    #[serde(with = "shared_text")]
    pub path: Arc<str>,
    /// What it holds of that path.
    pub role: Role,
    /// The type of its values.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// The fields of a struct column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ScalarKind>,
    /// Only nulls were seen, so that the type is still open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The scalars at the path.
    Value,
    /// What the scalars of a [`ColumnType::Mixed`] column are in JSON: `string`, `number`, `boolean`.
    ValueType,
    /// The scalars of one kind at the path (`make_cols`).
    ValueOf(ScalarKind),
    /// A struct with a field for every kind of scalar at the path (`make_struct`).
    Struct,
    /// The length of the array at the path (R9).
    ArrayLength,
    /// The number of entries of the map at the path (R9, R10).
    MapLength,
    /// The array of scalars at the path as a list.
    List,
    /// The record's identity without a declared key (R8).
    RowId,
    /// That of the record a row belongs to.
    RootRowId,
    /// Part `n` of the declared key of the record a row belongs to (R8).
    RootKey(usize),
    /// Position in the array of level `n`, 1-based.
    Index(usize),
    /// Key in the map of level `n`, 1-based.
    Key(usize),
    /// Number of the record in the order of the input.
    Sequence,
    /// The Glue profile's join key of the array at the path, in its parent.
    GlueJoin,
    /// The same in the child table.
    GlueId,
    /// The Glue profile's position in the array.
    GlueIndex,
}

impl Role {
    /// Whether the column is generated to identify a row among those of its table (R7, R8).
    pub fn identifies_row(self) -> bool {
        matches!(
            self,
            Role::RowId
                | Role::RootRowId
                | Role::RootKey(_)
                | Role::Index(_)
                | Role::Key(_)
                | Role::GlueId
                | Role::GlueIndex
        )
    }
}

/// The kinds of scalar that `make_cols` and `make_struct` tell apart, by Glue's type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalarKind {
    /// `true`, `false`.
    Boolean,
    /// Integers within int64.
    Long,
    /// Integers beyond int64.
    Decimal,
    /// Numbers with fraction or exponent.
    Double,
    /// Numbers that no type holds, as text.
    Number,
    /// Strings.
    String,
}

impl ScalarKind {
    const ALL: [ScalarKind; 6] = [
        ScalarKind::Boolean,
        ScalarKind::Long,
        ScalarKind::Decimal,
        ScalarKind::Double,
        ScalarKind::Number,
        ScalarKind::String,
    ];

    /// The kind that a value of `kinds` falls under.
    pub fn of(kinds: Kinds) -> Option<ScalarKind> {
        Self::ALL.into_iter().find(|kind| kinds.intersects(kind.kinds()))
    }

    /// The kinds of `kinds` that were seen.
    pub fn seen(kinds: Kinds) -> impl Iterator<Item = ScalarKind> {
        Self::ALL.into_iter().filter(move |kind| kinds.intersects(kind.kinds()))
    }

    fn kinds(self) -> Kinds {
        match self {
            ScalarKind::Boolean => Kinds::BOOLEAN,
            ScalarKind::Long => Kinds::INTEGER | Kinds::LONG,
            ScalarKind::Decimal => Kinds::BIG,
            ScalarKind::Double => Kinds::FLOAT,
            ScalarKind::Number => Kinds::NUMBER,
            ScalarKind::String => Kinds::STRING | Kinds::TIMESTAMP,
        }
    }

    /// The name, as Glue has it.
    pub fn name(self) -> &'static str {
        match self {
            ScalarKind::Boolean => "boolean",
            ScalarKind::Long => "long",
            ScalarKind::Decimal => "decimal",
            ScalarKind::Double => "double",
            ScalarKind::Number => "number",
            ScalarKind::String => "string",
        }
    }

    /// The type of a column of this kind.
    pub fn column_type(self) -> ColumnType {
        match self {
            ScalarKind::Boolean => ColumnType::Boolean,
            ScalarKind::Long => ColumnType::Int64,
            ScalarKind::Decimal => ColumnType::Decimal { precision: 38, scale: 0 },
            ScalarKind::Double => ColumnType::Float64,
            ScalarKind::Number => ColumnType::Number,
            ScalarKind::String => ColumnType::String,
        }
    }
}

/// The type of a column that holds the scalars at a path; `None` when only nulls were seen.
pub fn value_type(path: &PathShape) -> Option<ColumnType> {
    match path.action {
        Some(Action::Cast(to)) => Some(to),
        Some(Action::Json) => Some(ColumnType::Json),
        _ => path.kinds.column_type(),
    }
}

/// What decides the layout beside the shape.
#[derive(Clone, Copy, Debug)]
pub struct LayoutOptions<'a> {
    /// The profile.
    pub naming: Naming,
    /// The root table's name before collisions.
    pub root_table: &'a str,
    /// What an earlier run committed: names and the order of columns stay (R6, R11).
    pub committed: Option<&'a Layout>,
    /// Names of tables of other entities, which are taken.
    pub taken: &'a [String],
}

/// The tables for a shape, and for every column the path it comes from.
pub fn layout(shape: &Shape, plan: &Plan, options: LayoutOptions<'_>) -> Result<Layout, KeyError> {
    let committed = options.committed.into_iter().flat_map(|layout| &layout.tables);
    let open = committed
        .flat_map(|table| &table.columns)
        .filter(|column| column.is_open && column.role == Role::Value)
        .map(|column| &*column.path)
        .collect();
    let committed = options.committed.into_iter().flat_map(|layout| &layout.tables);
    let mut builder = Builder {
        shape,
        plan,
        options,
        children: shape.children(),
        open,
        keys: None,
        committed: committed.map(|table| (table.path.as_str(), table)).collect(),
        tables: Vec::new(),
    };
    let root = JsonPath::default();
    let position = shape.paths().iter().position(|path| path.id == PathId::ROOT);
    builder.add_table(position, &root, None, Vec::new())?;
    Ok(builder.finish())
}

/// Whether every part of the declared key was ever seen (R8).
///
/// # Errors
///
/// The first part that was not.
pub fn check_key(shape: &Shape, plan: &Plan) -> Result<(), KeyError> {
    (0..plan.keys.len()).try_for_each(|part| key_column(shape, plan, part).map(|_| ()))
}

/// Path and type of part `part` of the declared key.
fn key_column(shape: &Shape, plan: &Plan, part: usize) -> Result<(JsonPath, ColumnType), KeyError> {
    let candidates = || {
        shape.paths().iter().filter(|shape| {
            let in_root = plan.registry.path(shape.id).split_at_row().0.is_empty();
            in_root && plan.rule(shape.id).key == Some(part)
        })
    };
    let found =
        candidates().find(|shape| plan.is_key_path(part, shape.id)).or_else(|| candidates().next());
    let typed = found.and_then(|shape| {
        value_type(shape).map(|column_type| (plan.registry.path(shape.id), column_type))
    });
    typed.ok_or_else(|| KeyError {
        key: plan.keys.get(part).map_or_else(String::new, |key| key.text().to_owned()),
    })
}

/// The declared key names nothing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no record has the key `{key}` (--key)")]
pub struct KeyError {
    /// The key as declared.
    pub key: String,
}

/// Texts that many columns share: deep tables have long paths.
mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

/// A column before it has its name.
struct Draft {
    request: Request,
    column: Column,
}

struct DraftTable {
    path: JsonPath,
    parent: Option<usize>,
    columns: Vec<Draft>,
}

struct Builder<'a> {
    shape: &'a Shape,
    plan: &'a Plan,
    options: LayoutOptions<'a>,
    children: Vec<Vec<usize>>,
    /// Paths that an earlier run committed as columns without a type.
    open: HashSet<&'a str>,
    /// The declared key, once it was asked for.
    keys: Option<Rc<[(JsonPath, ColumnType)]>>,
    /// The tables that an earlier run committed, by path.
    committed: HashMap<&'a str, &'a Table>,
    tables: Vec<DraftTable>,
}

/// A level of nesting above a table's rows: an array or a map.
#[derive(Clone, Copy)]
enum Level {
    Index,
    Key,
}

impl Builder<'_> {
    fn add_table(
        &mut self,
        position: Option<usize>,
        path: &JsonPath,
        parent: Option<usize>,
        levels: Vec<Level>,
    ) -> Result<(), KeyError> {
        let at = self.tables.len();
        self.tables.push(DraftTable { path: path.clone(), parent, columns: Vec::new() });
        self.generated_columns(at, path, &levels)?;
        let mut below = Vec::new();
        if let Some(position) = position {
            self.add_path(at, position, path, &mut below);
        }
        // Children follow once the columns of this table stand.
        for (position, path, level) in below {
            let mut levels = levels.clone();
            levels.push(level);
            self.add_table(position, &path, Some(at), levels)?;
        }
        Ok(())
    }

    fn generated_columns(
        &mut self,
        table: usize,
        path: &JsonPath,
        levels: &[Level],
    ) -> Result<(), KeyError> {
        let is_root = levels.is_empty();
        let path = &Arc::from(path.to_string());
        if self.options.naming == Naming::Glue {
            if !is_root {
                self.generated(table, "id".into(), path, Role::GlueId, ColumnType::Int64);
                self.generated(table, "index".into(), path, Role::GlueIndex, ColumnType::Int32);
            }
            return Ok(());
        }
        if self.plan.keys.is_empty() {
            let (name, role) = match is_root {
                true => ("_row_id", Role::RowId),
                false => ("_root_row_id", Role::RootRowId),
            };
            self.generated(table, name.into(), path, role, ColumnType::String);
        } else if !is_root {
            for (part, (key_path, column_type)) in self.keys()?.iter().enumerate() {
                let base = names::column_name(key_path);
                let base = names::BaseName { name: format!("_root_{}", base.name), ..base };
                let request = Request::generated(base, format!("{key_path} of the root"));
                let path = Arc::from(key_path.to_string());
                self.push(table, request, &path, Role::RootKey(part), *column_type);
            }
        }
        for (level, number) in levels.iter().zip(1..) {
            let (name, role, column_type) = match level {
                Level::Index => ("index", Role::Index(number), ColumnType::Int32),
                Level::Key => ("key", Role::Key(number), ColumnType::String),
            };
            self.generated(table, format!("_{name}_{number}"), path, role, column_type);
        }
        self.generated(table, "_seq".into(), path, Role::Sequence, ColumnType::Int64);
        Ok(())
    }

    /// Path and type of every part of the declared key, looked up once.
    fn keys(&mut self) -> Result<Rc<[(JsonPath, ColumnType)]>, KeyError> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        let parts = 0..self.plan.keys.len();
        let keys: Result<Vec<_>, KeyError> =
            parts.map(|part| key_column(self.shape, self.plan, part)).collect();
        let keys: Rc<[(JsonPath, ColumnType)]> = keys?.into();
        self.keys = Some(keys.clone());
        Ok(keys)
    }

    fn generated(
        &mut self,
        table: usize,
        name: String,
        path: &Arc<str>,
        role: Role,
        column_type: ColumnType,
    ) {
        self.push(table, Request::reserved(name), path, role, column_type);
    }

    fn push(
        &mut self,
        table: usize,
        request: Request,
        path: &Arc<str>,
        role: Role,
        column_type: ColumnType,
    ) {
        if let Some(table) = self.tables.get_mut(table) {
            let column = Column {
                name: String::new(),
                path: path.clone(),
                role,
                column_type,
                fields: Vec::new(),
                is_open: false,
            };
            table.columns.push(Draft { request, column });
        }
    }

    fn last_column(&mut self, table: usize) -> Option<&mut Column> {
        self.tables.get_mut(table)?.columns.last_mut().map(|draft| &mut draft.column)
    }

    /// Adds the columns of a path and of what lies below it in the same table.
    fn add_path(
        &mut self,
        table: usize,
        position: usize,
        path: &JsonPath,
        below: &mut Vec<(Option<usize>, JsonPath, Level)>,
    ) {
        let Some(shape) = self.shape.paths().get(position) else { return };
        if shape.action == Some(Action::Drop) {
            return;
        }
        let text = Arc::from(path.to_string());
        self.value_columns(table, shape, path, &text);
        let keeps_arrays = matches!(shape.action, Some(Action::List));
        if shape.kinds.contains(Kinds::ARRAY) && !keeps_arrays {
            let base = self.base(path);
            match self.options.naming {
                Naming::Sql => {
                    let name = format!("{}__len", base.name);
                    let base = names::BaseName { name, exact: base.exact };
                    let request = Request::generated(base, format!("{path} length"));
                    self.push(table, request, &text, Role::ArrayLength, ColumnType::Int32);
                }
                Naming::Glue => {
                    // A scalar at the same path keeps the name.
                    let is_alone = value_type(shape).is_none();
                    let base = names::BaseName { exact: base.exact && is_alone, ..base };
                    let request = Request::new(base, format!("{path}[*]"));
                    self.push(table, request, &text, Role::GlueJoin, ColumnType::Int64);
                }
            }
        }
        if shape.kinds.contains(Kinds::MAP) {
            let base = self.base(path);
            // Beside an array at the same path, the array's length has the name.
            let exact = base.exact && !shape.kinds.contains(Kinds::ARRAY);
            let base = names::BaseName { name: format!("{}__len", base.name), exact };
            let request = Request::generated(base, format!("{path} entries"));
            self.push(table, request, &text, Role::MapLength, ColumnType::Int32);
        }
        for child in self.children.get(position).cloned().unwrap_or_default() {
            let Some(step) = self.shape.paths().get(child).and_then(|shape| shape.step.clone())
            else {
                continue;
            };
            let child_path = path.child(step.clone());
            match step {
                crate::shape::Step::Key(_) => self.add_path(table, child, &child_path, below),
                crate::shape::Step::Element if keeps_arrays => {}
                crate::shape::Step::Element => below.push((Some(child), child_path, Level::Index)),
                crate::shape::Step::Entry => below.push((Some(child), child_path, Level::Key)),
            }
        }
        // An array of which no element was ever seen is a table all the same (R11).
        let has_child = |step: &crate::shape::Step| {
            let children = self.children.get(position).map_or(&[][..], |children| children);
            children.iter().any(|child| {
                self.shape
                    .paths()
                    .get(*child)
                    .is_some_and(|shape| shape.step.as_ref() == Some(step))
            })
        };
        if shape.kinds.contains(Kinds::ARRAY)
            && !keeps_arrays
            && !has_child(&crate::shape::Step::Element)
        {
            below.push((None, path.element(), Level::Index));
        }
        if shape.kinds.contains(Kinds::MAP) && !has_child(&crate::shape::Step::Entry) {
            below.push((None, path.entry(), Level::Key));
        }
    }

    fn base(&self, path: &JsonPath) -> names::BaseName {
        match self.options.naming {
            Naming::Sql => names::column_name(path),
            Naming::Glue => names::glue::column_name(path),
        }
    }

    fn value_columns(&mut self, table: usize, shape: &PathShape, path: &JsonPath, text: &Arc<str>) {
        let base = self.base(path);
        let request = |base| Request::new(base, text.to_string());
        match shape.action {
            Some(Action::MakeColumns) => {
                for kind in ScalarKind::seen(shape.kinds) {
                    let name = format!("{}_{}", base.name, kind.name());
                    let request = Request::new(
                        names::BaseName { name, exact: false },
                        format!("{path} as {}", kind.name()),
                    );
                    self.push(table, request, text, Role::ValueOf(kind), kind.column_type());
                }
                return;
            }
            Some(Action::MakeStruct) if shape.kinds.column_type().is_some() => {
                self.push(table, request(base), text, Role::Struct, ColumnType::Mixed);
                if let Some(column) = self.last_column(table) {
                    column.fields = ScalarKind::seen(shape.kinds).collect();
                }
                return;
            }
            Some(Action::List) if shape.kinds.contains(Kinds::ARRAY) => {
                self.push(table, request(base.clone()), text, Role::List, self.list_type(shape));
                if shape.kinds.column_type().is_none() {
                    return;
                }
            }
            _ => {}
        }
        match value_type(shape) {
            Some(column_type) => {
                self.push(table, request(base.clone()), text, Role::Value, column_type);
                if column_type == ColumnType::Mixed {
                    let name = match self.options.naming {
                        Naming::Sql => format!("_{}__type", base.name.trim_start_matches('_')),
                        Naming::Glue => format!("{}.type", base.name),
                    };
                    let base = names::BaseName { name, exact: base.exact };
                    let request = Request::generated(base, format!("{path} type"));
                    self.push(table, request, text, Role::ValueType, ColumnType::String);
                }
            }
            // Nothing but nulls so far: the path stays a column all the same (R11), also when objects
            // or arrays come later.
            None if !shape.kinds.intersects(Kinds::OBJECT | Kinds::ARRAY | Kinds::MAP)
                || self.open.contains(&**text) =>
            {
                self.push(table, request(base), text, Role::Value, ColumnType::String);
                if let Some(column) = self.last_column(table) {
                    column.is_open = true;
                }
            }
            None => {}
        }
    }

    /// The type of the elements of arrays that are kept as lists.
    fn list_type(&self, shape: &PathShape) -> ColumnType {
        let element = self.plan.registry.child(shape.id, crate::shape::Step::Element);
        self.shape.get(element).and_then(value_type).unwrap_or(ColumnType::String)
    }

    fn finish(self) -> Layout {
        let table_names = self.table_names();
        let tables = self
            .tables
            .into_iter()
            .zip(table_names)
            .map(|(draft, name)| {
                let path = draft.path.to_string();
                let known = self.committed.get(path.as_str()).copied();
                let columns = name_columns(draft.columns, known, self.options.naming);
                Table { name, path, parent: draft.parent, columns }
            })
            .collect();
        Layout { tables }
    }

    fn table_names(&self) -> Vec<String> {
        let root = self.options.root_table;
        let mut requests: Vec<Request> = self
            .tables
            .iter()
            .map(|table| {
                let path = table.path.to_string();
                let base = match self.options.naming {
                    Naming::Sql => names::table_name(root, &table.path),
                    Naming::Glue => names::glue::table_name(root, &table.path),
                };
                let known = self.committed.get(path.as_str()).map(|table| table.name.clone());
                Request { committed: known, ..Request::new(base, format!("{root} {path}")) }
            })
            .collect();
        let num_tables = requests.len();
        let taken = self.options.taken.iter();
        requests.extend(taken.map(|name| Request::reserved(name.clone()).committed(name.clone())));
        let mut assigned = match self.options.naming {
            Naming::Sql => names::assign(&requests),
            Naming::Glue => names::glue::assign(&requests),
        };
        assigned.truncate(num_tables);
        assigned
    }
}

/// Gives columns their names; those of earlier runs keep theirs and come first, in their order.
fn name_columns(drafts: Vec<Draft>, committed: Option<&Table>, naming: Naming) -> Vec<Column> {
    let known: HashMap<(&str, Role), (usize, &str)> = committed
        .into_iter()
        .flat_map(|table| table.columns.iter().enumerate())
        .map(|(at, column)| ((&*column.path, column.role), (at, column.name.as_str())))
        .collect();
    let mut positions = Vec::with_capacity(drafts.len());
    let mut requests = Vec::with_capacity(drafts.len());
    let mut columns = Vec::with_capacity(drafts.len());
    for Draft { request, column } in drafts {
        let found = known.get(&(&*column.path, column.role));
        positions.push(found.map_or(usize::MAX, |(at, _)| *at));
        requests.push(match found {
            Some((_, name)) => request.committed(*name),
            None => request,
        });
        columns.push(column);
    }
    let assigned = match naming {
        Naming::Sql => names::assign(&requests),
        Naming::Glue => names::glue::assign(&requests),
    };
    let mut named: Vec<(usize, Column)> = positions
        .into_iter()
        .zip(columns.into_iter().zip(assigned))
        .map(|(position, (column, name))| (position, Column { name, ..column }))
        .collect();
    named.sort_by_key(|(position, _)| *position);
    named.into_iter().map(|(_, column)| column).collect()
}
