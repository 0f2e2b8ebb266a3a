//! Delta tables as their logs have them: read without any library for Delta, for tables without deletion
//! vectors and checkpoints.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

/// The rows of all tables of a lake, as sorted texts without nulls.
pub type Tables = BTreeMap<String, Vec<String>>;

/// All tables of a lake.
pub fn tables(lake: &Path) -> Tables {
    let names = fs::read_dir(lake).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with('_'));
    names.map(|name| (name.clone(), rows(&lake.join(name)))).collect()
}

/// The rows of a table, as sorted texts without nulls.
pub fn rows(table: &Path) -> Vec<String> {
    let mut rows: Vec<String> = files(table).iter().flat_map(|path| read(path)).collect();
    rows.sort();
    rows
}

/// The properties of a table.
#[allow(dead_code, reason = "not every test binary asks")]
pub fn properties(table: &Path) -> Value {
    let metadata = log(table).into_iter().rev().find_map(|mut action| {
        action.get_mut("metaData").map(|metadata| metadata["configuration"].take())
    });
    metadata.unwrap_or_else(|| panic!("{} has no metadata", table.display()))
}

/// How many commits a table has.
pub fn num_commits(table: &Path) -> usize {
    commits(table).len()
}

/// The data files that a table has now.
fn files(table: &Path) -> Vec<PathBuf> {
    let mut files: Vec<String> = Vec::new();
    for action in log(table) {
        let path = |kind: &str| Some(action.get(kind)?["path"].as_str()?.to_owned());
        assert!(action["add"]["deletionVector"].is_null());
        // Within a commit, what goes and what comes are never the same file.
        if let Some(gone) = path("remove") {
            assert!(files.contains(&gone), "{gone} went twice");
            files.retain(|file| *file != gone);
        }
        files.extend(path("add"));
    }
    files.into_iter().map(|file| table.join(file)).collect()
}

fn log(table: &Path) -> Vec<Value> {
    let commits = commits(table).into_iter().map(|path| fs::read_to_string(path).unwrap());
    let actions = |text: String| {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    commits.flat_map(actions).collect()
}

/// The commits, which have to follow each other without a gap.
fn commits(table: &Path) -> Vec<PathBuf> {
    let log = table.join("_delta_log");
    let entries = fs::read_dir(&log).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut commits: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    commits.sort();
    let expected = (0..commits.len()).map(|version| log.join(format!("{version:020}.json")));
    assert_eq!(commits, expected.collect::<Vec<_>>());
    commits
}

fn read(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        let cells = row.get_column_iter().filter(|(_, value)| !matches!(value, Field::Null));
        let mut cells: Vec<String> =
            cells.map(|(name, value)| format!("{name}: {value}")).collect();
        cells.sort();
        cells.join(", ")
    })
    .collect()
}
