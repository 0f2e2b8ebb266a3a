//! Rows of the root that stay, with other values in columns of ours: the mark of a deletion (M5), the end of
//! a validity (M2).

use futures::StreamExt;

use crate::error::Error;
use crate::files::BoxedRows;
use crate::merge::align::Alignment;
use crate::merge::history;
use crate::merge::session::{self, Session, quoted};

use super::Merging;
use super::records::Plan;
use super::target::Target;

impl Merging<'_> {
    /// The rows whose validity changes, as they will stand, with their places; and the way to the columns of
    /// the table. `None` when there are none.
    pub(super) async fn moved(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
    ) -> Result<Option<(Alignment, BoxedRows)>, Error> {
        let (Some(table), Some(scan), false) = (&root.table, &plan.scan, plan.moved.is_empty())
        else {
            return Ok(None);
        };
        let all: Vec<String> =
            table.schema().fields().iter().map(|field| field.name().clone()).collect();
        session.add_table("target", scan.provider(table, &all, self.workers.threads())?)?;
        let column = |name: &String| match name.as_str() {
            history::VALID_TO => format!("versions.valid_to AS {name}"),
            history::IS_CURRENT => format!("versions.is_current AS {name}"),
            _ => format!("target.{}", quoted(name)),
        };
        let columns: Vec<String> = all.iter().map(column).collect();
        let rows = session.stream(session::MOVED, &[("columns", &columns.join(", "))]).await?;
        Ok(Some((root.own.clone(), rows)))
    }

    /// The rows of the root that are marked as deleted, as they will stand (M5).
    pub(super) async fn marked(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
    ) -> Result<Option<BoxedRows>, Error> {
        let (Some(table), Some(scan), Some(marker)) =
            (&root.table, &plan.scan, &self.matching.soft_delete)
        else {
            return Ok(None);
        };
        if plan.fates.as_ref().is_none_or(|fates| fates.count("mark") == 0) {
            return Ok(None);
        }
        let all: Vec<String> =
            table.schema().fields().iter().map(|field| field.name().clone()).collect();
        session.add_table("target", scan.provider(table, &all, self.workers.threads())?)?;
        let mut columns: Vec<String> = Vec::new();
        for column in &root.evolution.columns {
            let order = self.matching.order_by.iter().position(|name| *name == column.name);
            columns.push(match order {
                _ if column.name == *marker => format!("true AS {}", quoted(marker)),
                Some(part) => format!("fates.order_{} AS {}", part + 1, quoted(&column.name)),
                None if all.contains(&column.name) => format!("target.{}", quoted(&column.name)),
                None => continue,
            });
        }
        let rows = session.stream(session::MARKED, &[("columns", &columns.join(", "))]).await?;
        // What comes of the target has its types, and the marker that of the table to be.
        let mut from = root.own.from().to_vec();
        from.retain(|column| column.name != *marker);
        from.extend(root.evolution.columns.iter().find(|column| column.name == *marker).cloned());
        let alignment = Alignment::new(&root.folder.name, &from, &root.evolution.columns);
        Ok(Some(Box::pin(rows.map(move |batch| alignment.batch(&batch?)))))
    }
}
