//! A table as the catalog has it, and what it becomes (G2, G3).
//!
//! The shapes of the catalog's tables:
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-tables.html>.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::report::{Outcome, TableReport};

/// A committed table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name; the catalog's is in lower case.
    pub name: String,
    /// The folder of its files: an `s3://` URL.
    pub location: String,
    /// What is in the folder.
    pub format: Format,
    /// What the table is, for people.
    pub description: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// What the folder of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet files, all of which count.
    Parquet,
    /// A Delta table.
    Delta,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Hive writes it: `bigint`, `array<string>`.
    pub data_type: String,
    /// The JSON path that it holds.
    pub comment: String,
}

/// The parameter that marks a table as made here: no other is ever changed.
const MADE_BY: &str = "solder.made_by";
const MADE_BY_ENGINE: &str = "engine";
/// What the catalog takes of names, comments and descriptions.
const MAX_NAME: usize = 255;
const MAX_COMMENT: usize = 255;
const MAX_DESCRIPTION: usize = 2048;

impl Table {
    /// The name in the catalog.
    pub(super) fn catalog_name(&self) -> String {
        self.name.to_lowercase()
    }

    /// Why the catalog cannot hold the table; `None` when it can.
    pub(super) fn fault(&self) -> Option<String> {
        let length = self.name.chars().count();
        if length == 0 || length > MAX_NAME {
            return Some(format!(
                "names have 1 to {MAX_NAME} characters, and this one has {length}"
            ));
        }
        let mut seen = HashSet::new();
        for column in &self.columns {
            let length = column.name.chars().count();
            if length == 0 || length > MAX_NAME {
                return Some(format!(
                    "names of columns have 1 to {MAX_NAME} characters, and that of `{}` has {length}",
                    column.comment
                ));
            }
            if !seen.insert(column.name.to_lowercase()) {
                return Some(format!(
                    "it has more than one column `{}`, for the catalog does not tell upper from lower case",
                    column.name.to_lowercase()
                ));
            }
        }
        None
    }

    /// The table as it is created.
    pub(super) fn input(&self) -> Value {
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        let (input_format, output_format, library) = match self.format {
            Format::Parquet => (
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            ),
            // What Hive puts where an engine reads the files by itself.
            Format::Delta => (
                "org.apache.hadoop.mapred.SequenceFileInputFormat",
                "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
                "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
            ),
        };
        let mut serde_parameters = json!({ "serialization.format": "1" });
        let mut parameters = json!({ "EXTERNAL": "TRUE", MADE_BY: MADE_BY_ENGINE });
        match self.format {
            Format::Parquet => parameters["classification"] = json!("parquet"),
            Format::Delta => {
                // Athena looks at the first, Spark and Trino at the second, and both take the path.
                parameters["table_type"] = json!("DELTA");
                parameters["spark.sql.sources.provider"] = json!("delta");
                serde_parameters["path"] = json!(self.folder());
            }
        }
        json!({
            "Name": self.catalog_name(),
            "Description": single_line(&self.description, MAX_DESCRIPTION),
            "TableType": "EXTERNAL_TABLE",
            "Parameters": parameters,
            "StorageDescriptor": {
                "Columns": columns,
                "Location": self.folder(),
                "InputFormat": input_format,
                "OutputFormat": output_format,
                "SerdeInfo": { "SerializationLibrary": library, "Parameters": serde_parameters },
            },
        })
    }

    /// The folder, as one URL is written.
    fn folder(&self) -> String {
        let path = self.location.split_once("://").map_or(self.location.as_str(), |(_, path)| path);
        format!("s3://{}/", path.trim_end_matches('/'))
    }

    /// Why a table of this name that is there already is not to be touched; `None` when it is ours (G3).
    pub(super) fn why_foreign(&self, existing: &Value) -> Option<String> {
        let location = existing["StorageDescriptor"]["Location"].as_str().unwrap_or_default();
        if existing["Parameters"][MADE_BY] != MADE_BY_ENGINE {
            return Some(format!(
                "a table of this name is there that Solder did not make (at `{location}`); remove or rename it, or use another database"
            ));
        }
        if !is_same_folder(location, &self.folder()) {
            return Some(format!(
                "the table of this name is that of `{location}`, and not of `{}`; use another database, or remove it if its place has moved",
                self.folder()
            ));
        }
        None
    }

    /// What a table that is ours becomes, and what that changes; `None` when it is as it should be (G4).
    ///
    /// What others have added to it stays: parameters, owner, description.
    pub(super) fn change(&self, existing: &Value) -> Option<(Value, TableReport)> {
        let before = input_of(existing);
        let ours = self.input();
        let mut after = before.clone();
        after["TableType"] = ours["TableType"].clone();
        if before["Description"].as_str().unwrap_or_default().is_empty() {
            after["Description"] = ours["Description"].clone();
        }
        extend(&mut after["Parameters"], &ours["Parameters"]);
        let (storage, wanted) = (&mut after["StorageDescriptor"], &ours["StorageDescriptor"]);
        for key in ["InputFormat", "OutputFormat"] {
            storage[key] = wanted[key].clone();
        }
        let serde = &mut storage["SerdeInfo"];
        serde["SerializationLibrary"] = wanted["SerdeInfo"]["SerializationLibrary"].clone();
        extend(&mut serde["Parameters"], &wanted["SerdeInfo"]["Parameters"]);
        let known = before["StorageDescriptor"]["Columns"].as_array();
        let known = known.map_or(&[][..], Vec::as_slice);
        let columns = wanted["Columns"].as_array().map_or(&[][..], Vec::as_slice);
        storage["Columns"] = columns.iter().map(|column| kept(column, known)).collect();
        if after == before {
            return None;
        }
        let mut report = TableReport::new(&self.catalog_name(), Outcome::Updated);
        for column in columns {
            let name = name_of(column);
            match known.iter().find(|other| name_of(other) == name) {
                None => report.columns_added.push(name.to_owned()),
                Some(other) if is_other(other, column) => {
                    report.columns_changed.push(name.to_owned());
                }
                Some(_) => {}
            }
        }
        let is_gone = |other: &&Value| !columns.iter().any(|c| name_of(c) == name_of(other));
        let gone = known.iter().filter(is_gone);
        report.columns_removed = gone.map(|column| name_of(column).to_owned()).collect();
        Some((after, report))
    }
}

fn column(column: &Column) -> Value {
    json!({
        "Name": column.name.to_lowercase(),
        "Type": column.data_type,
        "Comment": single_line(&column.comment, MAX_COMMENT),
    })
}

/// A column with what others have added to it.
fn kept(column: &Value, known: &[Value]) -> Value {
    let same = known.iter().find(|other| name_of(other) == name_of(column));
    let mut kept = same.cloned().unwrap_or_else(|| json!({}));
    extend(&mut kept, column);
    kept
}

fn name_of(column: &Value) -> &str {
    column["Name"].as_str().unwrap_or_default()
}

fn is_other(one: &Value, other: &Value) -> bool {
    ["Type", "Comment"].iter().any(|key| one[*key] != other[*key])
}

/// Puts all members of one object into another, which is made when it is none.
fn extend(object: &mut Value, with: &Value) {
    if !object.is_object() {
        *object = json!({});
    }
    if let (Some(object), Some(with)) = (object.as_object_mut(), with.as_object()) {
        object.extend(with.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}

/// What an update takes of a table, which knows more of itself: who made it and when.
fn input_of(existing: &Value) -> Value {
    const TAKEN: [&str; 12] = [
        "Name",
        "Description",
        "Owner",
        "LastAccessTime",
        "LastAnalyzedTime",
        "Retention",
        "StorageDescriptor",
        "PartitionKeys",
        "ViewOriginalText",
        "ViewExpandedText",
        "TableType",
        "Parameters",
    ];
    let taken = TAKEN.iter().filter_map(|key| {
        let value = existing.get(*key).filter(|value| !value.is_null())?;
        Some(((*key).to_owned(), value.clone()))
    });
    Value::Object(taken.collect::<Map<_, _>>())
}

fn is_same_folder(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// A text that the catalog takes: without line breaks and other signs of control, cut where it is too long. The
/// catalog counts units of UTF-16.
fn single_line(text: &str, max_units: usize) -> String {
    let is_allowed = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let plain: String = text.chars().map(|c| if is_allowed(c) { c } else { ' ' }).collect();
    if plain.encode_utf16().count() <= max_units {
        return plain;
    }
    let mut left = max_units - '…'.len_utf16();
    let fits = |c: &char| {
        let is_room = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        is_room
    };
    plain.chars().take_while(fits).chain(['…']).collect()
}
