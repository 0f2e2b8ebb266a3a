//! Tables back into the JSON records they came from (R18).
//!
//! ```text
//!   manifest ──▶ layout ──▶ tree        which column or table holds what of a record
//!                  └──────▶ cursors     one per table, over its files, a batch at a time
//!                             root row ──▶ record: rows of a child are taken as the arrays ask ──▶ NDJSON
//!                             ▲ next record
//! ```
//!
//! Rows of a child table lie in the order of their parents, so that all tables are read once, side by
//! side, and nothing is looked up. What the rows say of themselves (`_seq`, positions, the Glue
//! profile's join keys) is checked on the way: tables that do not fit each other are an error, never
//! a record that was not there.
//!
//! Null, a missing member and `{}` are one: none of them is written, but for elements of arrays and
//! entries of maps, which are `null`.

mod cursor;
mod record;
mod target;
mod text;
mod tree;

use std::io::Write;

use crate::curated::{Curated, Entity, Manifest, StoredShape};
use crate::error::Error;
use crate::pipeline::{Crew, Stop};

use self::cursor::Cursor;
use self::record::Rebuilder;
use self::tree::Tree;

pub use self::target::nest_to;

/// Bytes of finished records that are written at a time.
const PIECE_BYTES: usize = 64 << 10;
/// Records are as deep as `--max-depth` allowed; their writer recurses.
const STACK_BYTES: usize = 256 << 20;

/// Writes the records of the root table `table` of the curated place `from` to `out`, one JSON
/// document a line, in the order in which they were read. Returns how many there are; `to` names
/// `out` in errors.
///
/// Memory: one batch of rows per table and one record. Cost: every column of every table is decoded
/// once, apart from keys.
///
/// # Errors
///
/// There is no such root table, its files cannot be read or do not fit each other, or `out` takes no
/// more.
pub fn nest(
    from: &str,
    table: &str,
    crew: &Crew,
    to: &str,
    out: &mut (dyn Write + Send),
) -> Result<u64, Error> {
    let curated = Curated::open(crew.io.clone(), from)?;
    let manifest = curated.latest()?;
    let (entity, shape) = find(&curated, &manifest, table)?;
    let tree = Tree::of(&shape.layout)
        .map_err(|source| Error::Manifest { key: entity.shape.clone(), source: source.into() })?;
    let cursors = shape.layout.tables.iter().zip(&tree.tables).map(|(described, table)| {
        let files = entity.tables.get(&described.name).map_or(&[][..], |files| files);
        Cursor::new(crew.io.clone(), curated.place().clone(), described, &table.columns, files)
    });
    let mut rebuilder = Rebuilder::new(&tree, cursors.collect());
    let write = || write_all(&mut rebuilder, &crew.stop, to, out);
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("nest".to_owned()).stack_size(STACK_BYTES);
        let thread = builder
            .spawn_scoped(scope, write)
            .map_err(|source| Error::Read { object: "the system's threads".to_owned(), source })?;
        thread.join().unwrap_or(Err(Error::Panicked))
    })
}

fn write_all(
    rebuilder: &mut Rebuilder<'_>,
    stop: &Stop,
    to: &str,
    out: &mut (dyn Write + Send),
) -> Result<u64, Error> {
    let failed = |source| Error::Write { key: to.to_owned(), source };
    let mut lines = Vec::new();
    let mut num_records = 0;
    while rebuilder.next_record(&mut lines)? {
        lines.push(b'\n');
        num_records += 1;
        if lines.len() >= PIECE_BYTES {
            stop.check()?;
            out.write_all(&lines).map_err(failed)?;
            lines.clear();
        }
    }
    rebuilder.check_ends()?;
    out.write_all(&lines).and_then(|()| out.flush()).map_err(failed)?;
    Ok(num_records)
}

/// The entity whose root table has a name.
fn find<'m>(
    curated: &Curated,
    manifest: &'m Manifest,
    table: &str,
) -> Result<(&'m Entity, StoredShape), Error> {
    let mut roots = Vec::new();
    let mut hint = None;
    for entity in manifest.entities.values() {
        let shape = curated.shape(entity)?;
        let Some(root) = shape.layout.tables.first() else { continue };
        if root.name == table {
            return Ok((entity, shape));
        }
        if shape.layout.tables.iter().any(|child| child.name == table) {
            hint = Some(format!("; it is a child table: take its root table, `{}`", root.name));
        }
        roots.push(format!("`{}`", root.name));
    }
    let all = || match roots.is_empty() {
        true => "; there is none".to_owned(),
        false => format!("; there are {}", roots.join(", ")),
    };
    Err(Error::Unknown {
        what: "root table",
        name: table.to_owned(),
        place: curated.place().to_string(),
        hint: hint.unwrap_or_else(all),
    })
}
