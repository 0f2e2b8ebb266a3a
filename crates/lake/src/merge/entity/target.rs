//! The tables of an entity: as they are staged, as they are in the lake, as they will be (M7).

use solder_relationalize::relation::{Column, Role};
use solder_relationalize::shape::ColumnType;

use crate::delta::{Evolution, Table, Widening, schema};
use crate::error::Error;
use crate::lake::TableFolder;
use crate::merge::align::Alignment;
use crate::merge::history;
use crate::merge::report::TableReport;
use crate::merge::settings::Mode;
use crate::merge::staging::StagedTable;

use super::Merging;

/// A table of the entity: as it is staged, as it is in the lake, as it will be.
pub(super) struct Target<'a> {
    pub folder: TableFolder,
    pub table: Option<Table>,
    pub staged: Option<&'a StagedTable>,
    pub evolution: Evolution,
    /// From the columns that it has now.
    pub own: Alignment,
    /// From the staged columns.
    pub incoming: Alignment,
}

impl<'a> Merging<'a> {
    /// A table of the entity with its columns now and then.
    pub(super) fn target(
        &self,
        name: &str,
        table: Option<Table>,
        staged: Option<&'a StagedTable>,
    ) -> Result<Target<'a>, Error> {
        let folder = self.lake.folder(name)?;
        let mut incoming = staged.map(|staged| staged.columns.clone()).unwrap_or_default();
        if staged.is_some_and(|staged| staged.parent.is_none()) {
            incoming.extend(self.matching.soft_delete.as_deref().map(marker));
        }
        if let (Some(staged), Mode::Scd2, Some(order_by)) =
            (staged, self.matching.mode, self.matching.order_by.first())
        {
            incoming.extend(history::columns(self.entity, staged, order_by));
        }
        if let Some(table) = table.as_ref().filter(|table| table.name() == self.entity.name) {
            history::check_root(table, &self.matching)?;
        }
        let (own, evolution) = match &table {
            Some(table) => {
                table.check_writable(self.matching.mode != Mode::Append)?;
                let own = schema::columns(table)?;
                let evolution = schema::evolve(name, &own, &incoming)?;
                (own, evolution)
            }
            None => (Vec::new(), Evolution::of_new(incoming.clone())),
        };
        Ok(Target {
            own: Alignment::new(name, &own, &evolution.columns),
            incoming: Alignment::new(name, &incoming, &evolution.columns),
            folder,
            table,
            staged,
            evolution,
        })
    }

    /// The child tables: the staged ones, and those that only the lake has, whose rows must go with
    /// their roots all the same.
    pub(super) async fn children(&self) -> Result<Vec<Target<'a>>, Error> {
        let mut children = Vec::new();
        for staged in self.entity.tables.iter().skip(1) {
            let table = self.lake.table(&staged.name).await?;
            children.push(self.target(&staged.name, table, Some(staged))?);
        }
        let is_staged = |name: &str| self.entity.tables.iter().any(|staged| staged.name == name);
        for table in self.lake.children(&self.entity.name, |name| !is_staged(name)).await? {
            let name = table.name().to_owned();
            children.push(self.target(&name, Some(table), None)?);
        }
        Ok(children)
    }

    /// A key that changes its type would match nothing, and a time that does would change its order: better said
    /// than done.
    pub(super) fn check_key_types(&self, root: &Target<'_>) -> Result<(), Error> {
        let keeps_history = self.matching.mode == Mode::Scd2;
        let is_key = |name: &String| {
            self.matching.key.contains(name)
                || (keeps_history && self.matching.order_by.contains(name))
        };
        let is_changed = |widening: &&Widening| is_key(&widening.to.name) && !widening.from.is_open;
        let changed = root.evolution.widened.iter().find(is_changed);
        let narrower = |column: &&Column| {
            let staged = self.root.columns.iter().find(|staged| staged.name == column.name);
            is_key(&column.name)
                && staged.is_some_and(|staged| {
                    staged.column_type != column.column_type && !staged.is_open && !column.is_open
                })
        };
        let (from, to) = match changed {
            Some(widening) => (&widening.from, &widening.to),
            None => match root.evolution.columns.iter().find(narrower) {
                Some(column) => (column, column),
                None => return Ok(()),
            },
        };
        let staged = self.root.columns.iter().find(|staged| staged.name == to.name);
        Err(Error::Types {
            table: self.entity.name.clone(),
            column: to.name.clone(),
            path: to.path.to_string(),
            target: from.column_type.to_string(),
            staged: staged.map(|staged| staged.column_type.to_string()).unwrap_or_default(),
        })
    }

    /// Whether rows of a table are deleted by marking them.
    pub(super) fn marks_rows(&self, target: &Target<'_>) -> bool {
        let has = || target.table.as_ref().is_some_and(Table::has_deletion_vectors);
        self.deletion_vectors.unwrap_or_else(has)
    }
}

impl Target<'_> {
    pub(super) fn report(&self) -> TableReport {
        let widened = |widening: &Widening| {
            format!(
                "{}: {} to {}",
                widening.to.name, widening.from.column_type, widening.to.column_type
            )
        };
        TableReport {
            name: self.folder.name.clone(),
            version_before: self.table.as_ref().map(Table::version),
            columns_added: self.evolution.added.clone(),
            columns_widened: self.evolution.widened.iter().map(widened).collect(),
            schema: self.evolution.columns.clone(),
            ..TableReport::default()
        }
    }
}

/// Rows of a table that are not deleted, as far as the log says.
pub(super) fn live_rows(table: &Table) -> Result<u64, Error> {
    let live = |file: &crate::delta::DataFile| {
        let deleted = file.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        file.num_rows().unwrap_or(0).saturating_sub(u64::try_from(deleted).unwrap_or(0))
    };
    Ok(table.files()?.iter().map(live).sum())
}

/// The column that marks deleted records.
fn marker(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        path: "$".into(),
        role: Role::Value,
        column_type: ColumnType::Boolean,
        fields: Vec::new(),
        is_open: false,
    }
}
