//! Bookmarks for people.

use std::fmt::Write;

use crate::readable::{Align, aligned, count, size, thousands};

use super::bookmark::{Bookmarks, Change, EntityBookmark, RunBookmark};

/// Objects of an entity that the text lists; JSON lists all.
const MAX_OBJECTS: usize = 20;

/// The runs as a table, then every entity with the objects that it read last.
pub fn show_text(bookmarks: &Bookmarks) -> String {
    let mut rows =
        vec![["run", "id", "committed", "objects", "records", "rows", ""].map(str::to_owned)];
    rows.extend(bookmarks.runs.iter().map(|run| {
        let number = |number| if number == 0 { "-".to_owned() } else { thousands(number) };
        [
            run.sequence.to_string(),
            run.run_id.clone(),
            time(&run.committed_at),
            number(run.objects_read),
            number(run.records),
            number(run.rows),
            remark(run),
        ]
    }));
    use Align::{Left, Right};
    let mut text = aligned("", [Right, Left, Left, Right, Right, Right, Left], &rows);
    for entity in &bookmarks.entities {
        text.push('\n');
        text.push_str(&entity_text(entity));
    }
    text
}

fn remark(run: &RunBookmark) -> String {
    let mut remarks = Vec::new();
    if let Some(what) = run.command.strip_prefix("bookmark ") {
        let to = run.rewound_to.map(|to| format!(" to {to}")).unwrap_or_default();
        remarks.push(format!("{what}{to}: {}", run.entities.join(", ")));
    }
    if let Some(rewind) = run.rewound_by {
        remarks.push(format!("taken back by {rewind}"));
    }
    remarks.join(", ")
}

fn entity_text(entity: &EntityBookmark) -> String {
    let mut text = format!("{}  {}", entity.entity, count(entity.records, "record"));
    if !entity.has_bookmark {
        text.push_str(", no bookmark: the next run reads everything and replaces the tables\n");
        return text;
    }
    let _ = writeln!(
        text,
        ", {} read, a rewind can go back to run {}",
        count(entity.objects.len() as u64, "object"),
        entity.replaced,
    );
    let num_left_out = entity.objects.len().saturating_sub(MAX_OBJECTS);
    if num_left_out > 0 {
        let earlier = count(num_left_out as u64, "earlier object");
        let _ = writeln!(text, "  … {earlier} (--format json lists all)");
    }
    let rows: Vec<_> = entity
        .objects
        .iter()
        .skip(num_left_out)
        .map(|object| {
            let modified =
                object.modified_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
            [
                format!("run {}", object.sequence),
                size(object.size_bytes),
                modified.map_or_else(|| "-".to_owned(), |at| time(&at.to_string())),
                object.key.clone(),
            ]
        })
        .collect();
    text.push_str(&aligned("  ", [Align::Right, Align::Right, Align::Left, Align::Left], &rows));
    text
}

/// A time without its fraction of a second.
fn time(text: &str) -> String {
    match (text.split_once('.'), text.ends_with('Z')) {
        (Some((seconds, _)), true) => format!("{seconds}Z"),
        _ => text.to_owned(),
    }
}

/// What a reset or a rewind did, a line for each entity.
pub fn change_text(change: &Change) -> String {
    if change.entities.is_empty() {
        return match change.rewound_to {
            Some(to) => format!("nothing was read since run {to}, so nothing changed\n"),
            None => "there is no bookmark, so nothing changed\n".to_owned(),
        };
    }
    let mut text = String::new();
    for entity in &change.entities {
        let forgotten = count(entity.objects_forgotten, "object");
        let _ = match change.rewound_to {
            None => writeln!(
                text,
                "{}: {forgotten} forgotten; the tables stay until the next run replaces them",
                entity.entity,
            ),
            Some(to) => writeln!(
                text,
                "{}: as after run {to}; {forgotten} forgotten, {} of {} gone",
                entity.entity,
                count(entity.rows_removed, "row"),
                count(entity.records_removed, "record"),
            ),
        };
    }
    if change.quarantined_removed > 0 {
        let _ =
            writeln!(text, "{} left the quarantine", count(change.quarantined_removed, "record"));
    }
    let _ = writeln!(text, "commit {}, {}", change.sequence, change.run_id);
    text
}
