//! A place to run the engine in: files in, tables out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_cast::display::FormatOptions;
use arrow_cast::pretty::pretty_format_batches_with_options;
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use solder_relationalize::curated::{Curated, Manifest, StoredShape};
use solder_relationalize::progress::NoProgress;
use solder_relationalize::relation::Naming;
use solder_relationalize::report::Report;
use solder_relationalize::shape::Selector;
use solder_relationalize::{Crew, Error, Io, Pool, Settings, Stop, nest, relationalize};
use tempfile::TempDir;

/// The threads of all tests.
pub static CREW: LazyLock<Crew> = LazyLock::new(|| Crew {
    io: Arc::new(Io::start().unwrap()),
    pool: Arc::new(Pool::start(2).unwrap()),
    progress: Arc::new(NoProgress),
    stop: Arc::new(Stop::default()),
});

/// A folder with an input and a curated place.
pub struct Lab {
    folder: TempDir,
    num_runs: AtomicUsize,
}

impl Lab {
    pub fn new() -> Lab {
        Lab { folder: TempDir::new().unwrap(), num_runs: AtomicUsize::new(0) }
    }

    /// A lab with one input file of these lines.
    pub fn of(lines: &str) -> Lab {
        let lab = Lab::new();
        lab.write("orders/1.ndjson", lines);
        lab
    }

    pub fn raw(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    pub fn curated(&self) -> PathBuf {
        self.folder.path().join("curated")
    }

    /// Writes an input file.
    pub fn write(&self, key: &str, bytes: impl AsRef<[u8]>) -> &Lab {
        let path = self.raw().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Removes an input file.
    pub fn remove(&self, key: &str) -> &Lab {
        fs::remove_file(self.raw().join(key)).unwrap();
        self
    }

    /// Settings of the next run: `run-1`, `run-2`, …
    pub fn settings(&self) -> Settings {
        let number = self.num_runs.fetch_add(1, Ordering::Relaxed) + 1;
        let (raw, curated) = (self.raw(), self.curated());
        Settings {
            run_id: format!("run-{number}"),
            ..Settings::new(raw.to_str().unwrap(), curated.to_str().unwrap())
        }
    }

    pub fn try_run(&self, change: impl FnOnce(&mut Settings)) -> Result<Report, Error> {
        let mut settings = self.settings();
        change(&mut settings);
        relationalize(&settings, &CREW)
    }

    /// A run that must succeed.
    #[track_caller]
    pub fn run(&self, change: impl FnOnce(&mut Settings)) -> Report {
        self.try_run(change).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// A run that must fail; the error with its causes.
    #[track_caller]
    pub fn fail(&self, change: impl FnOnce(&mut Settings)) -> (Error, String) {
        let error = self.try_run(change).expect_err("the run should fail");
        let text = chain(&error);
        (error, text)
    }

    /// The records of a root table, rebuilt from the tables.
    pub fn try_nest(&self, table: &str) -> Result<String, Error> {
        let mut records = Vec::new();
        let num_records =
            nest(self.curated().to_str().unwrap(), table, &CREW, "a buffer", &mut records)?;
        let text = String::from_utf8(records).unwrap();
        assert_eq!(text.lines().count() as u64, num_records);
        Ok(text)
    }

    #[track_caller]
    pub fn nested(&self, table: &str) -> String {
        self.try_nest(table).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    fn place(&self) -> Curated {
        Curated::open(CREW.io.clone(), self.curated().to_str().unwrap()).unwrap()
    }

    pub fn manifest(&self) -> Manifest {
        self.place().latest().unwrap()
    }

    pub fn shape(&self, entity: &str) -> StoredShape {
        self.place().shape(&self.manifest().entities[entity]).unwrap()
    }

    /// The names of all tables, sorted.
    pub fn tables(&self) -> Vec<String> {
        let manifest = self.manifest();
        let mut names: Vec<String> =
            manifest.entities.values().flat_map(|e| e.tables.keys().cloned()).collect();
        names.sort();
        names
    }

    /// A whole table. Checks on the way what holds for every table after every run: its folder
    /// has exactly the files of the manifest (R20) with the rows that it says, all of one schema
    /// (R19), which is that of the layout.
    #[track_caller]
    pub fn table(&self, name: &str) -> RecordBatch {
        let manifest = self.manifest();
        let files = manifest.entities.values().find_map(|entity| entity.tables.get(name));
        let files = files.unwrap_or_else(|| panic!("no table {name} in {:?}", self.tables()));
        let mut named: Vec<PathBuf> =
            files.iter().map(|file| self.curated().join(&file.key)).collect();
        let mut schema: Option<SchemaRef> = None;
        let mut batches = Vec::new();
        for (path, file) in named.iter().zip(files) {
            assert_eq!(fs::metadata(path).unwrap().len(), file.size_bytes, "{}", file.key);
            let (found, read) = read_parquet(path);
            let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows as u64, file.num_rows, "{}", file.key);
            let schema = schema.get_or_insert_with(|| found.clone());
            assert_eq!(*schema, found, "{} has another schema than its neighbours", file.key);
            batches.extend(read);
        }
        named.sort();
        assert_eq!(files_below(&self.curated().join(name)), named, "files of {name}");
        let schema = schema.expect("every table has a file");
        let columns = self.layout_columns(name);
        let found: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(found, columns, "columns of {name}");
        arrow_select::concat::concat_batches(&schema, &batches).unwrap()
    }

    fn layout_columns(&self, table: &str) -> Vec<String> {
        let manifest = self.manifest();
        let entity = manifest.entities.values().find(|e| e.tables.contains_key(table)).unwrap();
        let stored = self.place().shape(entity).unwrap();
        let table = stored.layout.tables.into_iter().find(|t| t.name == table).unwrap();
        table.columns.into_iter().map(|column| column.name).collect()
    }

    /// Compares the columns that the header of `expected` names, in its order.
    #[track_caller]
    pub fn shows(&self, table: &str, expected: &str) {
        compare(&self.table(table), expected);
    }

    /// As [`Lab::shows`], and the table has no other columns.
    #[track_caller]
    pub fn is(&self, table: &str, expected: &str) {
        let batch = self.table(table);
        let mut found: Vec<String> =
            batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut wanted = cells(expected).into_iter().next().unwrap();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "columns of {table}");
        compare(&batch, expected);
    }

    /// The columns of a table in order, as `name: type`.
    #[track_caller]
    pub fn columns(&self, table: &str) -> Vec<String> {
        let batch = self.table(table);
        let schema = batch.schema();
        schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect()
    }

    /// The type of one column.
    #[track_caller]
    pub fn column_type(&self, table: &str, column: &str) -> String {
        let schema = self.table(table).schema();
        schema.field_with_name(column).unwrap().data_type().to_string()
    }

    /// All quarantined records.
    pub fn quarantine(&self) -> Option<RecordBatch> {
        let files = self.manifest().quarantine;
        let read: Vec<RecordBatch> =
            files.iter().flat_map(|file| read_parquet(&self.curated().join(&file.key)).1).collect();
        let schema = read.first()?.schema();
        Some(arrow_select::concat::concat_batches(&schema, &read).unwrap())
    }

    /// Compares columns of the quarantine; texts there hold the lab's folder, which is cut off.
    #[track_caller]
    pub fn quarantine_shows(&self, expected: &str) {
        let batch = self.quarantine().expect("something is in quarantine");
        let folder = format!("{}/", self.raw().display());
        compare(&batch, &expected.replace("RAW/", &folder));
    }

    /// All files below the curated place, without manifests.
    pub fn curated_files(&self) -> Vec<String> {
        let root = self.curated();
        let relative = |path: PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
        files_below(&root).into_iter().map(relative).collect()
    }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The files below a folder, sorted; none when it is absent.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

pub fn read_parquet(path: &Path) -> (SchemaRef, Vec<RecordBatch>) {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    (schema, builder.build().unwrap().map(Result::unwrap).collect())
}

/// Compares cell by cell, so that expected tables need not be aligned.
#[track_caller]
pub fn compare(batch: &RecordBatch, expected: &str) {
    let expected = cells(expected);
    let schema = batch.schema();
    let picks: Vec<usize> = expected[0]
        .iter()
        .map(|name| {
            let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
            schema.index_of(name).unwrap_or_else(|_| panic!("no column {name} in {names:?}"))
        })
        .collect();
    let text = pretty(&batch.project(&picks).unwrap());
    assert_eq!(cells(&text), expected, "found:\n{text}");
}

/// A batch as text; null is written out.
pub fn pretty(batch: &RecordBatch) -> String {
    // The printer knows offsets alone, no names of time zones.
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let is_time = matches!(column.data_type(), DataType::Timestamp(..));
        let column = if is_time { cast(column, &utc).unwrap() } else { column.clone() };
        (field.name().clone(), column)
    });
    let batch = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap();
    let options = FormatOptions::default().with_null("null");
    pretty_format_batches_with_options(&[batch], &options).unwrap().to_string()
}

/// The cells of a table drawn with `|`.
fn cells(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().map(str::trim).filter(|line| line.starts_with('|'));
    rows.map(|row| {
        let row = row.strip_prefix('|').unwrap();
        let row = row.strip_suffix('|').unwrap_or(row);
        row.split('|').map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// `--key` with these columns.
pub fn key(columns: &str) -> Vec<solder_relationalize::KeyRule> {
    vec![columns.parse().unwrap()]
}

/// `--resolve PATH=ACTION`.
pub fn resolve(path: &str, action: &str) -> (Selector, solder_relationalize::shape::Action) {
    (Selector::parse(path).unwrap(), action.parse().unwrap())
}

/// `--naming glue --table ROOT`.
pub fn glue(root: &str) -> impl FnOnce(&mut Settings) {
    let root = root.to_owned();
    move |settings| {
        settings.naming = Naming::Glue;
        settings.table = Some(root);
    }
}

/// The real data to test with, when it is there.
pub fn corpus(test: &str) -> Option<PathBuf> {
    let corpus = std::env::var_os("SOLDER_CORPUS").map(PathBuf::from);
    if corpus.is_none() {
        eprintln!("{test}: skipped, SOLDER_CORPUS is not set");
    }
    corpus
}
