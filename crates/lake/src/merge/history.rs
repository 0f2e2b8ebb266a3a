//! What a table with history has besides the staged columns (M2).
//!
//! A root has a row for every version of a record: valid from the value of `--order-by` that it came with,
//! until that of the next version, and current while there is none. A deletion is a version that is valid
//! for no time. Rows of child tables are those of all versions and say of which one they are.

use solder_relationalize::relation::{Column, Role};
use solder_relationalize::shape::ColumnType;

use crate::delta::{Table, schema};
use crate::error::Error;

use super::fates::Matching;
use super::settings::Mode;
use super::staging::{StagedEntity, StagedTable};

/// The value of `--order-by` with which a version came; in child tables, that of their record's version.
pub const VALID_FROM: &str = "_valid_from";
/// That of the next version; null while there is none.
pub const VALID_TO: &str = "_valid_to";
/// Whether there is no next version.
pub const IS_CURRENT: &str = "_is_current";

/// The columns that a staged table gets besides its own.
pub fn columns(entity: &StagedEntity, table: &StagedTable, order_by: &str) -> Vec<Column> {
    let root = entity.root().map(|root| root.columns.as_slice()).unwrap_or_default();
    let Some(order) = root.iter().find(|column| column.name == order_by) else {
        return Vec::new();
    };
    let named = |name: &str, role: Role, column_type: ColumnType, is_open: bool| Column {
        name: name.to_owned(),
        path: format!("$.{name}").into(),
        role,
        column_type,
        fields: Vec::new(),
        is_open,
    };
    let at = |name: &str, role: Role| named(name, role, order.column_type, order.is_open);
    match table.parent {
        // It leads to the root's row behind the parts of its key.
        Some(_) => vec![at(VALID_FROM, Role::RootKey(entity.identity().len()))],
        None => vec![
            at(VALID_FROM, Role::Value),
            at(VALID_TO, Role::Value),
            named(IS_CURRENT, Role::Value, ColumnType::Boolean, false),
        ],
    }
}

/// Refuses what no history can be kept of, or by.
///
/// # Errors
///
/// There is not one column that orders versions, or its values have no order; a staged column has a name of
/// ours; deletions are to be marked.
pub fn check(entity: &StagedEntity, matching: &Matching) -> Result<(), Error> {
    let refused = |reason: String| {
        Err(Error::Usage(format!("`{}` cannot be merged with --mode scd2: {reason}", entity.name)))
    };
    let [order_by] = matching.order_by.as_slice() else {
        return refused(
            "--order-by has to name one column, whose values say from when a version is valid"
                .to_owned(),
        );
    };
    if matching.soft_delete.is_some() {
        return refused(
            "--soft-delete has no meaning there, since deleted records stay in the history"
                .to_owned(),
        );
    }
    let root = entity.root().map(|root| root.columns.as_slice()).unwrap_or_default();
    if let Some(order) = root.iter().find(|column| column.name == *order_by) {
        use ColumnType as T;
        let has_order = matches!(
            order.column_type,
            T::Int32
                | T::Int64
                | T::Float64
                | T::Decimal { .. }
                | T::String
                | T::Date
                | T::Timestamp
        );
        if order.role != Role::Value || !has_order {
            return refused(format!(
                "--order-by {order_by} is {}, whose values have no order in time",
                order.column_type
            ));
        }
    }
    for table in &entity.tables {
        let own = columns(entity, table, order_by);
        let is_own = |column: &&Column| own.iter().any(|own| own.name == column.name);
        if let Some(column) = table.columns.iter().find(is_own) {
            return refused(format!(
                "`{}` has a column `{}` in staging, which is a name of the history",
                table.name, column.name
            ));
        }
    }
    Ok(())
}

/// Refuses a root that keeps no history, or another one, or one that the mode would break.
///
/// # Errors
///
/// It is such a root.
pub fn check_root(root: &Table, matching: &Matching) -> Result<(), Error> {
    let refused =
        |reason: String| Err(Error::Target { table: root.folder.address.clone(), reason });
    let order_by = matching.order_by.first();
    match (root.property(schema::HISTORY), matching.mode) {
        (None, Mode::Scd2) => refused(
            "its rows have no history, and what they were before is not known: --mode scd2 begins with a table of its own, in another lake".to_owned(),
        ),
        (Some(known), Mode::Scd2) => {
            let key = root.property(schema::KEY);
            if order_by.is_none_or(|column| column != known) {
                return refused(format!("its history is ordered by `{known}`: give --order-by {known}"));
            }
            match key == Some(key_property(matching).as_str()) {
                true => Ok(()),
                false => refused(format!(
                    "its history is that of another key: {}",
                    key.unwrap_or_default()
                )),
            }
        }
        (Some(_), mode) => refused(format!(
            "it keeps history, which --mode {} would break: give --mode scd2",
            mode.name()
        )),
        (None, _) => Ok(()),
    }
}

/// What the root says of its key.
pub fn key_property(matching: &Matching) -> String {
    let version = (matching.mode == Mode::Scd2).then(|| VALID_FROM.to_owned());
    let key: Vec<&String> = matching.key.iter().chain(&version).collect();
    serde_json::json!(key).to_string()
}
