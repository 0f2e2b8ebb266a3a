//! A merge that has begun and not ended (M8): what the root says of it, how it ends, how it is taken back.
//!
//! ```text
//!   begin ──▶ solder.merging {staging, run, sequence, rule, children}
//!                 │ died
//!                 ▼
//!   its runs are still staged ──▶ the same batch by the same rule, then what was staged since
//!   they are not              ──▶ child tables as they were when it began, then what is staged now
//! ```
//!
//! What a merge does to the child tables hangs on the root's rows, on the batch and on the rule. So one that
//! died is finished with the batch and the rule that it had begun with, whatever was staged or asked for
//! since: its children then are what the root's rows say.

use std::collections::BTreeMap;

use deltalake_core::kernel::Version;
use serde::{Deserialize, Serialize};
use solder_landing::pause_at;
use solder_relationalize::relation::Column;

use crate::delta::{Change, Operation, Outcome, Table, commit, schema};
use crate::error::Error;
use crate::lake::TableFolder;
use crate::maintain::{empty, restore_one};
use crate::merge::fates::Matching;
use crate::merge::settings::Mode;

use super::target::Target;
use super::{Batch, Merging, settle};

/// What the root says of a merge that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The staging area.
    pub staging: String,
    /// The id of the last run of the batch.
    pub run: String,
    /// That run's number; `None` of a merge by a version of Solder that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// By which rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Matching>,
    /// The versions of the child tables that there were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, Version>,
    /// It is being taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_taken_back: bool,
}

impl Begun {
    /// What a root says.
    pub fn of(root: &Table) -> Option<Begun> {
        serde_json::from_str(root.property(schema::MERGING)?).ok()
    }

    /// The batch that it began with and the rule, where it says them.
    fn batch(&self, after: u64) -> Option<(Batch, &Matching)> {
        let batch = Batch { after, until: self.sequence?, run_id: self.run.clone() };
        Some((batch, self.rule.as_ref()?))
    }
}

impl<'a> Merging<'a> {
    /// This merge with the batch and the rule of one that has begun; `None` when that does not say them, so
    /// that its records have to come together with those that were staged since.
    pub(super) fn resumed(&self, begun: &Begun, after: u64) -> Option<Merging<'a>> {
        let (batch, rule) = begun.batch(after)?;
        let identity = settle::identity(self.entity, rule.mode, &rule.order_by);
        Some(Merging { batch, matching: Matching { identity, ..rule.clone() }, ..self.clone() })
    }

    /// The staged run up to which child tables have rows that the root does not have, though no merge has
    /// begun: an append that broke off, which needs no begin, since each table knows what it has.
    pub(super) async fn half_appended(
        &self,
        children: &[Target<'_>],
    ) -> Result<Option<u64>, Error> {
        let mut until = None;
        if self.matching.mode == Mode::Append {
            return Ok(None);
        }
        for child in children {
            until = until.max(Some(self.merged(child.table.as_ref()).await?));
        }
        Ok(until.filter(|until| *until > self.batch.after))
    }

    /// The run up to which a table has what is staged.
    pub(super) async fn merged(&self, table: Option<&Table>) -> Result<u64, Error> {
        let Some(table) = table else { return Ok(0) };
        let done = table.transaction(&self.app_id()).await?;
        Ok(done.and_then(|done| u64::try_from(done).ok()).unwrap_or(0))
    }

    /// Says in the root's log that the batch is being merged; `None` when another was first.
    pub(super) async fn begin(
        &self,
        root: Target<'a>,
        children: &[Target<'_>],
    ) -> Result<Option<Target<'a>>, Error> {
        let version =
            |child: &Target<'_>| Some((child.folder.name.clone(), child.table.as_ref()?.version()));
        let begun = Begun {
            staging: self.staging.id.clone(),
            run: self.batch.run_id.clone(),
            sequence: Some(self.batch.until),
            rule: Some(self.matching.clone()),
            children: children.iter().filter_map(version).collect(),
            is_taken_back: false,
        };
        let columns = match &root.table {
            // Its columns change with its rows.
            Some(table) => schema::columns(table)?,
            None => root.evolution.columns.clone(),
        };
        let properties = self.properties(&root);
        match self.say(&root.folder, root.table.as_ref(), columns, properties, Some(&begun)).await?
        {
            Outcome::Overtaken => Ok(None),
            Outcome::Committed(_) => {
                let table = self.lake.table(&self.entity.name).await?;
                // Whoever was faster may have ended this merge, and begun another.
                match table.as_ref().and_then(Begun::of) {
                    Some(found) if found.staging == begun.staging && found.run == begun.run => {
                        self.target(&self.entity.name, table, root.staged).map(Some)
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// Brings the child tables back to what they were when a merge began whose runs are not staged any more,
    /// so that it never was; whether no other was first.
    ///
    /// # Errors
    ///
    /// Files of those versions were vacuumed, or the store refuses.
    pub(super) async fn take_back(&self, root: Table, begun: Begun) -> Result<bool, Error> {
        let name = &self.entity.name;
        let done = self.merged(Some(&root)).await?;
        let root = match begun.is_taken_back {
            true => root,
            false => {
                // First of all, so that a merge which is alive after all cannot bring its root rows any more.
                let taking_back = Begun { is_taken_back: true, ..begun.clone() };
                match self.say_of(&root, Some(&taking_back)).await? {
                    Outcome::Committed(_) => self.lake.existing(name).await?,
                    Outcome::Overtaken => return Ok(false),
                }
            }
        };
        pause_at("merge-taking-back");
        for child in self.lake.children(name, |_| true).await? {
            if self.merged(Some(&child)).await? <= done {
                continue;
            }
            match begun.children.get(child.name()) {
                Some(version) => drop(restore_one(self.lake, &child, *version).await?),
                None => drop(empty(&child).await?),
            }
            // It does not have the run any more.
            let child = self.lake.existing(child.name()).await?;
            let change = Change {
                transactions: vec![(self.app_id(), i64::try_from(done).unwrap_or(i64::MAX))],
                operation: Operation::Begin,
                ..Change::default()
            };
            if let Outcome::Overtaken = commit(&child.folder, Some(&child), change).await? {
                return Ok(false);
            }
            pause_at("merge-child-taken-back");
        }
        let ended = self.say_of(&root, None).await?;
        Ok(matches!(ended, Outcome::Committed(_)))
    }

    /// Commits to a root that is there what it says of a merge.
    async fn say_of(&self, root: &Table, begun: Option<&Begun>) -> Result<Outcome, Error> {
        self.say(&root.folder, Some(root), schema::columns(root)?, Vec::new(), begun).await
    }

    /// Commits to the root what it says of a merge: nothing where there is none.
    async fn say(
        &self,
        folder: &TableFolder,
        root: Option<&Table>,
        columns: Vec<Column>,
        mut properties: Vec<(String, String)>,
        begun: Option<&Begun>,
    ) -> Result<Outcome, Error> {
        let words = begun.map(serde_json::to_string).transpose();
        // Without a value, the property goes.
        let words = words.map_err(|error| Error::Internal(Box::new(error)))?.unwrap_or_default();
        properties.push((schema::MERGING.to_owned(), words));
        let change = Change {
            columns: Some(columns),
            properties,
            operation: Operation::Begin,
            origin: self.origin(),
            ..Change::default()
        };
        commit(folder, root, change).await
    }
}
