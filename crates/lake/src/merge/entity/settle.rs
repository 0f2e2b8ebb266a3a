//! What the settings mean for an entity (M2 to M5).

use crate::error::Error;
use crate::merge::fates::Matching;
use crate::merge::history;
use crate::merge::settings::{Mode, Rule};
use crate::merge::staging::{StagedEntity, StagedTable};

/// Settles how the records of an entity are told apart, and what a deletion is.
///
/// # Errors
///
/// The rule names columns that are not there, asks for a key where there is none, or contradicts itself.
pub(super) fn matching(
    entity: &StagedEntity,
    root: &StagedTable,
    rule: &Rule,
) -> Result<Matching, Error> {
    let mode = rule.mode.unwrap_or_default();
    let columns = |option: &'static str, texts: &[String]| {
        let column = |text: &String| entity.column(option, text);
        texts.iter().map(column).collect::<Result<Vec<_>, _>>()
    };
    let key = match rule.key.is_empty() {
        true => entity.key.clone(),
        false => columns("--key", &rule.key)?,
    };
    if mode == Mode::Append && (rule.delete_when.is_some() || !rule.order_by.is_empty()) {
        return Err(Error::Usage(format!(
            "`{}` is merged with --mode append, which takes every record as it is: --delete-when and --order-by have no meaning there",
            entity.name
        )));
    }
    if key.is_empty() && mode.needs_key() {
        return Err(Error::NoKey { entity: entity.name.clone(), mode: mode.name() });
    }
    if let Some(marker) = &rule.soft_delete {
        if rule.delete_when.is_none() {
            return Err(Error::Usage(
                "--soft-delete needs --delete-when, which says what a deletion is".to_owned(),
            ));
        }
        if root.columns.iter().any(|column| column.name == *marker) {
            return Err(Error::Usage(format!(
                "--soft-delete {marker}: `{}` has a column of that name in staging",
                entity.name
            )));
        }
    }
    let order_by = columns("--order-by", &rule.order_by)?;
    let matching = Matching {
        mode,
        key,
        identity: identity(entity, mode, &order_by),
        order_by,
        delete_when: rule.delete_when.clone(),
        soft_delete: rule.soft_delete.clone(),
    };
    if mode == Mode::Scd2 {
        history::check(entity, &matching)?;
    }
    Ok(matching)
}

/// The root's columns that child rows are linked to: those that the staging area links them by, and what
/// tells the versions of a record apart.
pub(super) fn identity(entity: &StagedEntity, mode: Mode, order_by: &[String]) -> Vec<String> {
    let version: &[String] = if mode == Mode::Scd2 { order_by } else { &[] };
    [&entity.identity(), version].concat()
}
