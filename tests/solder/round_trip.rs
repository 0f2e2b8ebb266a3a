//! The two properties on which the tables stand: nothing is lost on the way into them (R18), and
//! nothing but the records decides what they hold (R4).
//!
//! `PROPTEST_CASES=5000 cargo test -p solder --test solder --release round_trip` looks further than
//! the cases that run every time.

mod examples;
pub mod json;
mod records;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use solder_relationalize::progress::NoProgress;
use solder_relationalize::relation::Naming;
use solder_relationalize::shape::{Action, OnCastError, Selector};
use solder_relationalize::{
    Crew, Io, KeyRule, Pool, Resources, Settings, Sharding, Stop, commit, nest, plan,
    relationalize, shard,
};
use tempfile::TempDir;

use self::json::{Json, Normal};
use self::records::{Line, any_input, any_records};
use self::tables::Tables;
use crate::support::chain;

/// Crews of one to four threads; a case shall cost milliseconds.
static CREWS: LazyLock<Vec<Crew>> = LazyLock::new(|| {
    let io = Arc::new(Io::start().unwrap());
    let crew = |num_threads| Crew {
        io: io.clone(),
        pool: Arc::new(Pool::start(num_threads).unwrap()),
        progress: Arc::new(NoProgress),
        stop: Arc::new(Stop::default()),
    };
    (1..=4).map(crew).collect()
});

fn crew(num_threads: usize) -> &'static Crew {
    &CREWS[num_threads - 1]
}

fn config(num_cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(num_cases),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// A folder in memory where the system has one: runs wait for the disk otherwise.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// What the records go through.
#[derive(Clone, Debug, Default)]
struct Way {
    naming: Naming,
    timestamps: bool,
    exact_numbers: bool,
    with_key: bool,
    maps: Vec<&'static str>,
    map_keys: usize,
    nulls_for_casts: bool,
    rules: Vec<(&'static str, &'static str)>,
    num_threads: usize,
    block_bytes: usize,
    memory_bytes: usize,
}

impl Way {
    fn settings(&self, folder: &Path, run: usize) -> Settings {
        let input = folder.join("raw");
        let output = folder.join("curated");
        let defaults = Settings::new(input.to_str().unwrap(), output.to_str().unwrap());
        let selector = |text: &&str| Selector::parse(text).unwrap();
        let rule = |(path, action): &(&str, &str)| {
            (Selector::parse(path).unwrap(), action.parse::<Action>().unwrap())
        };
        let key = || KeyRule { table: None, columns: vec![Selector::parse("$.key").unwrap()] };
        Settings {
            table: Some("t".to_owned()),
            keys: self.with_key.then(key).into_iter().collect(),
            naming: self.naming,
            timestamps: self.timestamps,
            exact_numbers: self.exact_numbers,
            maps: self.maps.iter().map(selector).collect(),
            map_keys: self.map_keys,
            on_cast_error: match self.nulls_for_casts {
                true => OnCastError::Null,
                false => OnCastError::Quarantine,
            },
            rules: self.rules.iter().map(rule).collect(),
            block_bytes: self.block_bytes,
            memory_bytes: self.memory_bytes,
            bookmark: true,
            run_id: format!("run{run}"),
            ..defaults
        }
    }

    /// The same by shards, in the order that `order` says, some of them twice.
    fn relationalize_sharded(
        &self,
        folder: &Path,
        runs: &[Vec<String>],
        num_shards: usize,
        order: &[usize],
    ) -> Result<u64, String> {
        let raw = folder.join("raw");
        fs::create_dir_all(&raw).unwrap();
        let crew = crew(self.num_threads);
        let resources = Resources { memory_bytes: self.memory_bytes };
        let output = folder.join("curated").display().to_string();
        let mut num_quarantined = 0;
        for (run, files) in runs.iter().enumerate() {
            for (number, text) in files.iter().enumerate() {
                fs::write(raw.join(format!("{run:03}-{number:03}.ndjson")), text).unwrap();
            }
            let settings = self.settings(folder, run);
            let run_id = &settings.run_id;
            let failed = |error: solder_relationalize::Error| chain(&error);
            let planned = plan(&settings, crew, Sharding::Count(num_shards)).map_err(failed)?;
            assert!(planned.shards <= num_shards);
            if planned.shards > 0 {
                for number in order.iter().map(|number| number % planned.shards) {
                    shard(&output, run_id, number, resources, crew).map_err(failed)?;
                    // Planned again, it is the same plan.
                    let again = plan(&settings, crew, Sharding::Count(1)).map_err(failed)?;
                    assert_eq!((again.shards, again.already_planned), (planned.shards, true));
                }
            }
            for number in 0..planned.shards {
                let report = shard(&output, run_id, number, resources, crew).map_err(failed)?;
                assert_eq!(report.already_done, order.iter().any(|o| o % planned.shards == number));
            }
            let report = commit(&output, run_id, resources, crew).map_err(failed)?;
            num_quarantined += report.records_quarantined;
            let again = commit(&output, run_id, resources, crew).map_err(failed)?;
            assert!(again.already_committed);
            for folder in ["staging", "running"] {
                let left = fs::read_dir(folder_of(&output, folder));
                assert_eq!(left.map_or(0, Iterator::count), 0, "{folder}");
            }
        }
        Ok(num_quarantined)
    }

    /// Puts each run's files into a place and the place into tables; returns records in quarantine,
    /// or why a run was refused.
    fn relationalize(&self, folder: &Path, runs: &[Vec<String>]) -> Result<u64, String> {
        let raw = folder.join("raw");
        fs::create_dir_all(&raw).unwrap();
        let mut num_quarantined = 0;
        for (run, files) in runs.iter().enumerate() {
            for (number, text) in files.iter().enumerate() {
                fs::write(raw.join(format!("{run:03}-{number:03}.ndjson")), text).unwrap();
            }
            let report = relationalize(&self.settings(folder, run), crew(self.num_threads));
            num_quarantined += report.map_err(|error| chain(&error))?.records_quarantined;
        }
        Ok(num_quarantined)
    }
}

fn folder_of(output: &str, name: &str) -> std::path::PathBuf {
    Path::new(output).join("_solder").join(name)
}

fn any_naming() -> impl Strategy<Value = Naming> {
    prop_oneof![Just(Naming::Sql), Just(Naming::Glue)]
}

/// The actions that keep all of a value,
const KEEPING: [&str; 3] = ["make_cols", "make_struct", "json"];
/// and those that may change it, leave it out, or refuse its record.
const CHANGING: [&str; 9] = [
    "list",
    "drop",
    "cast:string",
    "cast:long",
    "cast:double",
    "cast:timestamp",
    "cast:decimal(10,2)",
    "project:long",
    "project:string",
];

fn any_way(actions: Vec<&'static str>) -> impl Strategy<Value = Way> {
    let maps = prop::sample::subsequence(records::MAP_PATHS.to_vec(), 0..=2);
    let map_keys = prop::sample::select(vec![2, 512]);
    let path = prop::sample::select(records::RULE_PATHS.to_vec());
    let rules = prop::collection::vec((path, prop::sample::select(actions)), 0..=2);
    let flags = prop::array::uniform4(any::<bool>());
    let sizes = (
        1..=4_usize,
        prop::sample::select(vec![1, 7, 100, 8 << 20]),
        prop::sample::select(vec![4, 1_000, 1 << 30]),
    );
    (any_naming(), (maps, map_keys), rules, flags, sizes).prop_map(
        |(naming, (maps, map_keys), rules, flags, sizes)| {
            let [timestamps, exact_numbers, with_key, nulls_for_casts] = flags;
            let (num_threads, block_bytes, memory_bytes) = sizes;
            // The Glue profile has no maps.
            let maps = if naming == Naming::Glue { Vec::new() } else { maps };
            Way {
                naming,
                timestamps,
                exact_numbers,
                with_key,
                maps,
                map_keys,
                nulls_for_casts,
                rules,
                num_threads,
                block_bytes,
                memory_bytes,
            }
        },
    )
}

/// The records of the root table, rebuilt.
fn nested(folder: &Path) -> Vec<Json> {
    let mut lines = Vec::new();
    let curated = folder.join("curated");
    let num_records =
        nest(curated.to_str().unwrap(), "t", crew(1), "a buffer", &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    let records: Vec<Json> = text.lines().map(|line| Json::parse(line).expect(line)).collect();
    assert_eq!(records.len() as u64, num_records);
    records
}

/// Cuts `items` at the given places, each taken modulo what there is; every part begins with an item
/// that may be the first.
fn split<T: Clone>(items: &[T], cuts: &[usize], may_begin: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    let mut places: Vec<usize> = cuts
        .iter()
        .map(|cut| cut % items.len())
        .filter(|place| *place > 0 && may_begin(&items[*place]))
        .collect();
    places.extend([0, items.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|ends| items[ends[0]..ends[1]].to_vec()).collect()
}

fn text_of(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

proptest! {
    #![proptest_config(config(128))]

    /// R18: `nest(relationalize(x)) = x`, whatever the records, the options, the sizes, and however
    /// many runs it took.
    #[test]
    fn r18_tables_hold_all_of_the_records(
        way in any_way(KEEPING.to_vec()),
        records in any_records(),
        run_cuts in prop::collection::vec(0..100_usize, 0..3),
    ) {
        let records: Vec<Json> = match way.with_key {
            true => records.into_iter().zip(0..).map(|(r, key)| r.with_key(key)).collect(),
            false => records,
        };
        let folder = folder();
        let lines: Vec<String> = records.iter().map(Json::to_string).collect();
        let runs: Vec<Vec<String>> =
            split(&lines, &run_cuts, |_| true).iter().map(|run| vec![text_of(run)]).collect();
        let num_quarantined = way.relationalize(folder.path(), &runs);
        prop_assert_eq!(num_quarantined, Ok(0));
        let normal = Normal { timestamps: way.timestamps, exact_numbers: way.exact_numbers };
        let found = nested(folder.path());
        prop_assert_eq!(found.len(), records.len());
        for (found, record) in found.iter().zip(&records) {
            prop_assert_eq!(normal.of(found), normal.of(record), "{} became {}", record, found);
        }
    }
}

proptest! {
    #![proptest_config(config(64))]

    /// R4: threads, sizes, the split over files and the order of members change nothing in the
    /// tables, bad lines or not.
    #[test]
    fn r4_tables_depend_on_the_records_alone(
        way in any_way([&KEEPING[..], &CHANGING].concat()),
        lines in any_input(),
        run_cut in prop::collection::vec(0..100_usize, 0..2),
        other in (
            1..=4_usize,
            prop::sample::select(vec![1, 7, 100, 8 << 20]),
            prop::sample::select(vec![4, 1_000, 20_000, 1 << 30]),
        ),
        file_cuts in prop::collection::vec(0..100_usize, 0..4),
        shuffle in prop::option::of(any::<u64>()),
    ) {
        let lines: Vec<Line> =
            lines.into_iter().zip(0..).map(|(line, key)| line.with_key(key)).collect();
        let is_record = |line: &Line| matches!(line, Line::Record(_));
        let runs = split(&lines, &run_cut, is_record);
        let text = |lines: &[Line]| text_of(&lines.iter().map(Line::to_string).collect::<Vec<_>>());
        let one_file: Vec<Vec<String>> = runs.iter().map(|run| vec![text(run)]).collect();
        let shuffled = |line: &Line| match shuffle {
            Some(seed) => line.shuffled(seed),
            None => line.clone(),
        };
        let files: Vec<Vec<String>> = runs
            .iter()
            .map(|run| {
                let run: Vec<Line> = run.iter().map(shuffled).collect();
                split(&run, &file_cuts, is_record).iter().map(|file| text(file)).collect()
            })
            .collect();

        let mut way = way;
        if shuffle.is_some() {
            // Members keep their order as rows of a map, and in the text of `json`.
            way.maps.clear();
            way.map_keys = 512;
            way.rules.retain(|(_, action)| *action != "json");
        }
        let plain = Way { num_threads: 1, block_bytes: 8 << 20, memory_bytes: 1 << 30, ..way };
        let (num_threads, block_bytes, memory_bytes) = other;
        let varied = Way { num_threads, block_bytes, memory_bytes, ..plain.clone() };
        let (left, right) = (folder(), folder());
        // A run may be refused, as one that takes no record and misses the key: then for all.
        let num_plain = plain.relationalize(left.path(), &one_file);
        let num_varied = varied.relationalize(right.path(), &files);
        prop_assert_eq!(num_plain, num_varied);
        let left = Tables::read(left.path(), crew(1), plain.with_key);
        let right = Tables::read(right.path(), crew(1), plain.with_key);
        if shuffle.is_none() {
            prop_assert_eq!(&left.column_names, &right.column_names);
        }
        let names = |tables: &Tables| tables.columns.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(names(&left), names(&right));
        for (name, column) in &left.columns {
            prop_assert_eq!(column, &right.columns[name], "column {:?}", name);
        }
        // Bad records keep their members in order too.
        let bytes = |tables: Tables| {
            let mut records = tables.quarantine;
            records.iter_mut().filter(|_| shuffle.is_some()).for_each(|record| record.sort_unstable());
            records
        };
        prop_assert_eq!(bytes(left), bytes(right));
    }
}

proptest! {
    #![proptest_config(config(64))]

    /// R21: read by shards, in any order and some of them twice, the tables are those of one process.
    #[test]
    fn r21_shards_make_the_tables_of_one_run(
        way in any_way([&KEEPING[..], &CHANGING].concat()),
        lines in any_input(),
        run_cut in prop::collection::vec(0..100_usize, 0..2),
        file_cuts in prop::collection::vec(0..100_usize, 0..5),
        num_shards in 1..=6_usize,
        order in prop::collection::vec(0..100_usize, 0..8),
    ) {
        let way = Way { naming: Naming::Sql, ..way };
        let lines: Vec<Line> =
            lines.into_iter().zip(0..).map(|(line, key)| line.with_key(key)).collect();
        let is_record = |line: &Line| matches!(line, Line::Record(_));
        let text = |lines: &[Line]| text_of(&lines.iter().map(Line::to_string).collect::<Vec<_>>());
        let runs: Vec<Vec<String>> = split(&lines, &run_cut, is_record)
            .iter()
            .map(|run| split(run, &file_cuts, is_record).iter().map(|file| text(file)).collect())
            .collect();
        let (left, right) = (folder(), folder());
        let whole = way.relationalize(left.path(), &runs);
        let sharded = way.relationalize_sharded(right.path(), &runs, num_shards, &order);
        prop_assert_eq!(whole.is_err(), sharded.is_err(), "{:?} {:?}", whole, sharded);
        prop_assume!(whole.is_ok());
        prop_assert_eq!(whole, sharded);
        let left = Tables::read(left.path(), crew(1), true);
        let right = Tables::read(right.path(), crew(1), true);
        prop_assert_eq!(&left.column_names, &right.column_names);
        for (name, column) in &left.columns {
            let other = &right.columns[name];
            if name.1 == "_seq" {
                // The numbers of shards have gaps between them, and the same order.
                prop_assert_eq!(ranks(&column.1), ranks(&other.1), "{:?}", name);
            } else {
                prop_assert_eq!(column, other, "column {:?}", name);
            }
        }
        prop_assert_eq!(left.quarantine, right.quarantine);
    }
}

/// Which one of the numbers of a column each row has, from the least.
fn ranks(column: &arrow_array::ArrayRef) -> Vec<usize> {
    use arrow_array::cast::AsArray;
    let numbers = column.as_primitive::<arrow_array::types::Int64Type>().values();
    let distinct: std::collections::BTreeSet<i64> = numbers.iter().copied().collect();
    let ranks: BTreeMap<i64, usize> = distinct.into_iter().zip(0..).collect();
    numbers.iter().map(|number| ranks[number]).collect()
}

/// Maps the files of runs of records to tables and back, for examples.
fn round_trip(way: &Way, runs: &[&[&str]]) -> (TempDir, Vec<String>) {
    let folder = folder();
    let runs: Vec<Vec<String>> = runs
        .iter()
        .map(|lines| {
            vec![text_of(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())]
        })
        .collect();
    way.relationalize(folder.path(), &runs).unwrap();
    let records = nested(folder.path()).iter().map(Json::to_string).collect();
    (folder, records)
}

/// Tables by name, for what is compared.
type ByName<T> = BTreeMap<(String, String), T>;
