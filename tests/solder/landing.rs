//! I13, R1, R3, R4, R8, R20: landing zones are read through their manifests.

use std::fs;

use rstest::rstest;
use solder_lake::merge::Rule;
use solder_landing::Place;
use solder_landing::raw::{
    Commit, DataFile, Manifest, Mode, PartitionStates, StreamLog, StreamName,
};
use solder_relationalize::relation::Naming;
use solder_relationalize::{Drift, Error, Settings};

use crate::merge::lab::LakeLab;
use crate::support::{CREW, Lab, key};

/// A stream in the input of a lab, written to as `ingest` does.
struct Stream<'a> {
    lab: &'a Lab,
    name: StreamName,
    primary_key: Vec<String>,
}

impl Stream<'_> {
    fn new<'a>(lab: &'a Lab, source: &str, stream: &str) -> Stream<'a> {
        let name = StreamName::new(source, stream).unwrap();
        Stream { lab, name, primary_key: Vec::new() }
    }

    fn with_key(self, paths: &[&str]) -> Self {
        Self { primary_key: paths.iter().map(|path| (*path).to_owned()).collect(), ..self }
    }

    /// The key of a part.
    fn key(&self, run_id: &str, number: usize) -> String {
        format!("{}/part-{number}.ndjson", self.name.data_folder("2024-05-01", run_id).unwrap())
    }

    /// Lands parts, which count for nothing yet.
    fn land(&self, run_id: &str, parts: &[&str]) -> Vec<DataFile> {
        let land = |(number, lines): (usize, &&str)| {
            let key = self.key(run_id, number);
            self.lab.write(&key, lines);
            DataFile {
                key,
                size_bytes: lines.len() as u64,
                num_records: lines.lines().count() as u64,
                sha256: format!("the hash of {lines}"),
                cursor_range: None,
            }
        };
        parts.iter().enumerate().map(land).collect()
    }

    /// Lands parts and commits them.
    fn commit(&self, run_id: &str, mode: Mode, parts: &[&str]) {
        let files = self.land(run_id, parts);
        let place = Place::parse(self.lab.raw().to_str().unwrap()).unwrap();
        let log = StreamLog::new(&place, &self.name);
        let committed = CREW.io.wait(async {
            let head = log.begin(run_id).await.unwrap();
            let manifest = Manifest {
                version: 1,
                source: self.name.source().to_owned(),
                stream: self.name.stream().to_owned(),
                sequence: head.sequence + 1,
                run_id: run_id.to_owned(),
                is_last_of_run: true,
                mode,
                primary_key: self.primary_key.clone(),
                program: "ingest 0.1.0".to_owned(),
                started_at: "2024-05-01T00:00:00Z".to_owned(),
                committed_at: "2024-05-01T00:00:01Z".to_owned(),
                files,
                state: PartitionStates::new(),
                counts: Default::default(),
            };
            log.commit(&manifest, &head.state).await.unwrap()
        });
        assert_eq!(committed, Commit::Committed);
    }

    fn append(&self, run_id: &str, parts: &[&str]) {
        self.commit(run_id, Mode::Append, parts);
    }

    fn replace(&self, run_id: &str, parts: &[&str]) {
        self.commit(run_id, Mode::Replace, parts);
    }

    fn manifest(&self, sequence: u64) -> String {
        format!("manifests/{}/{sequence:010}.json", self.name)
    }
}

fn with_bookmark(settings: &mut Settings) {
    settings.bookmark = true;
}

/// The input, or a part of it.
fn below(folder: &str) -> impl FnOnce(&mut Settings) {
    let folder = folder.to_owned();
    move |settings| settings.input = format!("{}/{folder}", settings.input)
}

/// I13: what no manifest names is not there, and the report says how much that is.
#[test]
fn i13_what_is_not_committed_is_not_there() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n", "{\"v\":2}\n"]);
    orders.land("died", &["{\"v\":3}\n"]);
    // A run that died before it ever committed to its stream.
    Stream::new(&lab, "shop", "visits").land("died", &["{\"w\":1}\n"]);
    lab.write("README.json", "{\"no\":\"part\"}");
    let report = lab.run(|_| {});
    assert_eq!(lab.tables(), ["orders"]);
    lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |");
    let landing = report.landing.unwrap();
    assert_eq!((landing.streams, landing.parts, landing.parts_left_out), (1, 2, 2));
    assert_eq!(landing.root, lab.raw().to_str().unwrap());
}

/// I13: a stream that was replaced is what came with and after its replacement.
#[test]
fn i13_a_replacement_hides_what_was_before() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    orders.replace("r2", &["{\"v\":2}\n"]);
    orders.append("r3", &["{\"v\":3}\n"]);
    let report = lab.run(|_| {});
    lab.shows("orders", "| v |\n| 2 |\n| 3 |");
    assert_eq!(report.landing.unwrap().parts_left_out, 1);
}

/// R4: parts come in the order of commits, whatever their runs are called.
#[test]
fn r4_commits_are_read_in_their_order() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("z", &["{\"v\":1}\n"]);
    orders.append("m", &["{\"v\":2}\n", "{\"v\":3}\n"]);
    orders.append("a", &["{\"v\":4}\n"]);
    lab.run(|_| {});
    lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |\n| 2 | 3 |\n| 3 | 4 |");
}

/// R8: the key that a stream declares is its table's, and stays with it.
#[test]
fn r8_a_declared_key_is_the_tables_key() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders").with_key(&["$.id", "$.shop.no"]);
    orders.append("r1", &["{\"id\":1,\"shop\":{\"no\":7},\"items\":[1]}\n{\"shop\":{\"no\":8}}\n"]);
    Stream::new(&lab, "shop", "visits").append("r1", &["{\"w\":1}\n"]);
    let report = lab.run(with_bookmark);
    assert_eq!((report.records_read, report.records_quarantined), (2, 1));
    assert_eq!(report.unused_options, Vec::<String>::new());
    assert_eq!(lab.manifest().entities["orders"].key, ["$.id", "$.shop.no"]);
    assert!(lab.manifest().entities["visits"].key.is_empty());
    let columns = "| _root_id | _root_shop__no | _index_1 | _seq | value |\n| 1 | 7 | 0 | 0 | 1 |";
    lab.is("orders__items", columns);
    // It is the same key when it is given.
    lab.run(|settings| settings.keys = key("orders=id,shop.no"));
}

/// R8: `--key` wins over what a stream declares; Glue's tables have keys of their own.
#[test]
fn r8_a_given_key_wins() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders").with_key(&["$.id"]);
    orders.append("r1", &["{\"no\":1}\n"]);
    lab.run(|settings| settings.keys = key("no"));
    assert_eq!(lab.manifest().entities["orders"].key, ["no"]);
    let (error, text) = lab.fail(|_| {});
    assert_eq!(error.exit_code(), 64);
    assert!(text.contains("with --key no, this run has --key $.id from its stream's manifests"));
    lab.run(|settings| {
        settings.drift = Drift::Reset;
        settings.naming = Naming::Glue;
    });
    assert!(lab.manifest().entities["orders"].key.is_empty());
}

/// R8: streams that are to be one table and declare other keys need one to be given.
#[test]
fn r8_streams_with_other_keys_are_no_one_table() {
    let lab = Lab::new();
    Stream::new(&lab, "shop", "orders").with_key(&["$.id"]).append("r1", &["{\"id\":1}\n"]);
    Stream::new(&lab, "web", "orders").with_key(&["$.no"]).append("r1", &["{\"id\":2}\n"]);
    let into_one = |settings: &mut Settings| settings.table = Some("all".to_owned());
    let (error, text) = lab.fail(into_one);
    assert_eq!(error.exit_code(), 64);
    assert!(text.contains("`source=shop/stream=orders` and `source=web/stream=orders`"), "{text}");
    lab.run(|settings| {
        into_one(settings);
        settings.keys = key("id");
    });
    lab.shows("all", "| id |\n| 1 |\n| 2 |");
}

/// R20: of a stream that goes on, only what is new is read.
#[test]
fn r20_commits_that_append_are_appended() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    lab.run(with_bookmark);
    // Its key stands before the first.
    orders.append("a", &["{\"v\":2}\n"]);
    let report = lab.run(with_bookmark);
    assert_eq!((report.objects_read, report.objects_skipped), (1, 1));
    lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |");
    let report = lab.run(with_bookmark);
    assert_eq!((report.sequence, report.objects_read), (0, 0));
    assert_eq!(report.landing.unwrap().replaced, Vec::<String>::new());
}

/// R20: a part is known by its key and content: a zone that was copied is not read again.
#[test]
fn r20_a_copy_of_a_zone_is_the_same_zone() {
    let lab = Lab::new();
    Stream::new(&lab, "shop", "orders").append("r1", &["{\"v\":1}\n"]);
    lab.run(with_bookmark);
    let copy = lab.raw().with_file_name("copy");
    fs::rename(lab.raw(), &copy).unwrap();
    for path in crate::support::files_below(&copy) {
        let bytes = fs::read(&path).unwrap();
        lab.write(path.strip_prefix(&copy).unwrap().to_str().unwrap(), bytes);
    }
    assert_eq!(lab.run(with_bookmark).objects_read, 0);
}

/// R20: an entity whose stream was replaced is replaced, though the others are appended to.
#[test]
fn r20_a_stream_that_was_replaced_replaces_its_tables() {
    let lab = Lab::new();
    let (orders, visits) =
        (Stream::new(&lab, "shop", "orders"), Stream::new(&lab, "shop", "visits"));
    orders.replace("r1", &["{\"v\":1,\"a\":[1]}\nbad\n"]);
    visits.append("r1", &["{\"w\":1}\n"]);
    lab.run(with_bookmark);
    orders.replace("r2", &["{\"v\":2,\"b\":true}\n"]);
    visits.append("r2", &["{\"w\":2}\n"]);
    let report = lab.run(with_bookmark);
    assert_eq!((report.objects_read, report.objects_skipped), (2, 1));
    assert_eq!(report.landing.unwrap().replaced, ["orders"]);
    lab.shows("orders", "| _seq | v | b |\n| 0 | 2 | true |");
    // R11: what was seen once keeps its place.
    assert_eq!(lab.table("orders__a").num_rows(), 0);
    lab.shows("visits", "| _seq | w |\n| 0 | 1 |\n| 1 | 2 |");
    assert!(lab.quarantine().is_none());
    assert_eq!(lab.manifest().entities["orders"].replaced, 2);
    // Two replacements later, one of them never read.
    orders.replace("r3", &["{\"v\":3}\n"]);
    orders.replace("r4", &["{\"v\":4}\n"]);
    orders.append("r5", &["{\"v\":5}\n"]);
    lab.run(with_bookmark);
    lab.shows("orders", "| _seq | v |\n| 0 | 4 |\n| 1 | 5 |");
    assert_eq!(lab.run(with_bookmark).sequence, 0);
}

/// R20: a stream that was replaced by nothing leaves its tables there, without rows.
#[rstest]
#[case::with_bookmark(true)]
#[case::without(false)]
fn r20_a_stream_without_records_leaves_empty_tables(#[case] bookmark: bool) {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders").with_key(&["$.id"]);
    let run = || lab.run(|settings| settings.bookmark = bookmark);
    // One that never had any is no table.
    orders.replace("r1", &[]);
    assert_eq!(run().sequence, 0);
    assert!(lab.tables().is_empty());
    orders.replace("r2", &["{\"id\":1,\"a\":[1]}\n"]);
    run();
    orders.replace("r3", &[]);
    let report = run();
    assert_eq!((report.objects_read, report.sequence), (0, 2));
    assert_eq!((lab.table("orders").num_rows(), lab.table("orders__a").num_rows()), (0, 0));
    assert_eq!(lab.manifest().entities["orders"].key, ["$.id"]);
    orders.append("r4", &["{\"id\":2,\"a\":[2]}\n"]);
    run();
    lab.shows("orders__a", "| _root_id | value |\n| 2 | 2 |");
}

/// R1, R20: a glob empties no tables but those of the streams that it names.
#[test]
fn r1_a_glob_leaves_other_streams_alone() {
    let lab = Lab::new();
    let streams = ["orders", "visits"].map(|name| Stream::new(&lab, "shop", name));
    streams.iter().for_each(|stream| stream.replace("r1", &["{\"v\":1}\n"]));
    lab.run(|_| {});
    streams.iter().for_each(|stream| stream.replace("r2", &[]));
    lab.run(below("data/source=shop/stream=v*/**"));
    assert_eq!((lab.table("orders").num_rows(), lab.table("visits").num_rows()), (1, 0));
}

/// I13: a part that counts and is gone is lost, and so is one that is another now; the run says which.
#[rstest]
#[case::gone(None, "was committed and is gone")]
#[case::cut(Some("{"), "has 1 bytes, other than it was committed")]
fn i13_lost_parts_fail_the_run(#[case] content: Option<&str>, #[case] says: &str) {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    orders.append("r2", &["{\"v\":2}\n"]);
    let part = orders.key("r2", 0);
    lab.remove(&part);
    if let Some(content) = content {
        lab.write(&part, content);
    }
    let (error, text) = lab.fail(with_bookmark);
    assert_eq!(error.exit_code(), 65, "{text}");
    assert!(text.contains(says) && text.contains(&part), "{text}");
    assert!(text.contains(&orders.manifest(2)), "{text}");
    assert!(lab.curated_files().is_empty());
}

/// R20: what was read may go from the landing zone, as long as nobody wants it again.
#[test]
fn r20_parts_that_were_read_may_go() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    lab.run(with_bookmark);
    lab.remove(&orders.key("r1", 0));
    orders.append("r2", &["{\"v\":2}\n"]);
    lab.run(with_bookmark);
    lab.shows("orders", "| v |\n| 1 |\n| 2 |");
    let (error, _) = lab.fail(|_| {});
    assert!(matches!(error, Error::Landing(_)));
}

/// I13: a manifest that cannot be read is named.
#[rstest]
#[case::damaged(Some("{\"version\":1"), "is not a file that `ingest` wrote")]
#[case::newer(Some("{\"version\":2}"), "has format version 2")]
#[case::gone(None, "is missing: later commits stand")]
fn i13_damaged_manifests_fail_the_run(#[case] content: Option<&str>, #[case] says: &str) {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    for run_id in ["r1", "r2", "r3"] {
        orders.append(run_id, &["{\"v\":1}\n"]);
    }
    let manifest = orders.manifest(2);
    lab.remove(&manifest);
    if let Some(content) = content {
        lab.write(&manifest, content);
    }
    let (error, text) = lab.fail(|_| {});
    assert_eq!(error.exit_code(), 74);
    assert!(text.contains(says) && text.contains(&manifest), "{text}");
    // Before a replacement, it is of no matter.
    orders.replace("r4", &["{\"v\":4}\n"]);
    lab.run(|_| {});
    lab.shows("orders", "| v |\n| 4 |");
}

/// I13: a zone in which nothing is committed has nothing to read, whatever runs have landed so far.
#[test]
fn i13_a_zone_without_commits_has_no_records() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.land("r1", &["{\"v\":1}\n"]);
    let begin = format!("runs/{}/r1.json", orders.name);
    lab.write(&begin, "{\"version\":1,\"run_id\":\"r1\",\"after_sequence\":0}");
    for folder in ["", "data", "/data/source=shop", "/data/source=shop/stream=orders"] {
        let (error, text) = lab.fail(below(folder));
        assert!(matches!(error, Error::NothingLanded { .. }), "{folder}: {text}");
        assert_eq!(error.exit_code(), 66);
    }
    // The layout alone, which others may fill in their own way, is read as it is.
    lab.remove(&begin);
    lab.run(|_| {});
    lab.shows("orders", "| v |\n| 1 |");
}

/// R3: streams of one name are no one table, unless that is said.
#[test]
fn r3_streams_of_the_same_name() {
    let lab = Lab::new();
    Stream::new(&lab, "shop", "orders").append("r1", &["{\"v\":1}\n"]);
    Stream::new(&lab, "web", "orders").append("r1", &["{\"v\":2}\n"]);
    let (error, text) = lab.fail(|_| {});
    assert_eq!(error.exit_code(), 64);
    assert!(text.contains("`shop` and `web` both have a stream `orders`"), "{text}");
    assert!(text.contains("/raw/data/source=shop`"), "{text}");
    lab.run(|settings| settings.table = Some("both".to_owned()));
    lab.shows("both", "| v |\n| 1 |\n| 2 |");
    lab.run(|settings| {
        below("data/source=web")(settings);
        settings.table = Some("web_orders".to_owned());
    });
    lab.shows("web_orders", "| v |\n| 2 |");
}

/// R1: what is named below the root of a landing zone is a share of what counts; keys are the same.
#[rstest]
#[case::data("data", &[1, 3, 4])]
#[case::source("data/source=shop/", &[1, 3])]
#[case::stream("data/source=shop/stream=orders", &[1, 3])]
#[case::day("data/source=shop/stream=orders/dt=2024-05-01", &[1, 3])]
#[case::run("data/source=shop/stream=orders/dt=2024-05-01/run_id=a", &[3])]
#[case::glob("data/source=shop/stream=*/dt=*/run_id=[a-q]/", &[3])]
#[case::glob_of_sources("data/*/stream=*/**", &[1, 3, 4])]
#[case::glob_at_the_root("**", &[1, 3, 4])]
fn r1_inputs_inside_a_landing_zone(#[case] folder: &str, #[case] expected: &[i64]) {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    orders.land("p", &["{\"v\":2}\n"]);
    orders.append("a", &["{\"v\":3}\n"]);
    Stream::new(&lab, "web", "visits").append("r1", &["{\"v\":4}\n"]);
    let into_one = |settings: &mut Settings| settings.table = Some("all".to_owned());
    lab.run(|settings| {
        into_one(settings);
        below(folder)(settings);
        settings.bookmark = true;
    });
    let rows: String = expected.iter().map(|v| format!("\n| {v} |")).collect();
    lab.shows("all", &format!("| v |{rows}"));
    // Those from the root were read already.
    let report = lab.run(|settings| {
        into_one(settings);
        settings.bookmark = true;
    });
    assert_eq!(report.objects_skipped, expected.len() as u64);
}

/// R1: a part that is named itself is read as any other object, and what counts not is named nowhere.
#[test]
fn r1_parts_and_days_that_are_named() {
    let lab = Lab::new();
    let orders = Stream::new(&lab, "shop", "orders");
    orders.append("r1", &["{\"v\":1}\n"]);
    orders.land("died", &["{\"v\":2}\n"]);
    lab.run(|settings| {
        below(&orders.key("died", 0))(settings);
        settings.table = Some("looked_at".to_owned());
    });
    lab.shows("looked_at", "| v |\n| 2 |");
    for folder in ["dt=2024-05-01/run_id=died", "dt=2030-01-01"] {
        let (error, text) = lab.fail(below(&format!("data/{}/{folder}", orders.name)));
        assert!(matches!(error, Error::NothingLanded { .. }), "{text}");
    }
}

/// R8, M1, M3: from commits to the lake with nothing said of keys: the newest of each record stands there.
#[test]
fn m3_commits_of_changes_become_their_newest_states() {
    let lab = LakeLab::new();
    let orders = Stream::new(&lab.staging, "shop", "orders").with_key(&["$.id"]);
    let take = || {
        lab.staging.run(with_bookmark);
        lab.merge(Rule::default())
    };
    orders.append("z", &["{\"id\":1,\"v\":1,\"t\":[1]}\n{\"id\":2,\"v\":1,\"t\":[1,2]}\n"]);
    take();
    // Two commits for one run, the later with the lower key.
    orders.append("y", &["{\"id\":2,\"v\":2,\"t\":[3]}\n{\"id\":3,\"v\":2,\"t\":[]}\n"]);
    orders.append("a", &["{\"id\":3,\"v\":3,\"t\":[4]}\n", "{\"id\":1,\"v\":3,\"t\":[]}\n"]);
    take();
    lab.shows("orders", "| id | v |\n| 1 | 3 |\n| 2 | 2 |\n| 3 | 3 |");
    lab.shows("orders__t", "| _root_id | value |\n| 2 | 3 |\n| 3 | 4 |");
}
