//! What a run says at its end, for people and for machines.

use serde_json::Value;
use solder_landing::raw::Mode;

use crate::landing::Stream;
use crate::support::{Folder, ORDERS, filters};

/// Two entities, a choice, a bad record, a duplicate key and a file that is no data.
fn mixed() -> Folder {
    Folder::new()
        .with("raw/orders/1.ndjson", ORDERS)
        .with("raw/orders/2.ndjson", "{\"id\":\"3\",\"id\":\"4\"}\n{\"id\":\n")
        .with("raw/orders/notes.txt", "not data")
        .with("raw/donors/1.json", "[{\"tags\":[{\"at\":[1,2]},{\"at\":[3]}]}]")
}

#[test]
fn r16_summary_of_a_run() {
    let _filters = filters();
    let folder = mixed();
    let outcome = folder.engine("relationalize raw curated");
    assert_eq!(outcome.code, 0, "R16: any number of bad records is tolerated");
    insta::assert_snapshot!("summary", outcome.stdout);
    let tolerant = folder.engine("relationalize raw curated --error-threshold 1");
    assert_eq!(tolerant.code, 0);
    assert!(!tolerant.stdout.contains("any number being tolerated"));
}

/// J5: a record that was set aside stands on the page, as text; masked, its members alone; in JSON, nothing.
#[test]
fn j5_records_that_were_set_aside_stand_on_the_page() {
    let bad = r#"{"name":"<script>Ada</script>","at":{"city":"Paris"}}"#;
    let folder = Folder::new().with("raw/donors/1.ndjson", format!("{bad}\n{{\"id\":1}}\n{{\"Ada"));
    let run = "relationalize raw curated --key id --report json --report html=page.html";
    let shown = folder.engine(run);
    assert_eq!((shown.code, shown.stdout.contains("Ada")), (0, false), "{}", shown.stdout);
    let page = folder.read("page.html");
    assert!(page.contains("&lt;script&gt;Ada&lt;/script&gt;") && page.contains("Paris"), "{page}");
    assert!(page.contains("raw/donors/1.ndjson:1</code>") && !page.contains("<script"));
    let masked = folder.engine(&format!("{run} --mask-values"));
    assert_eq!(masked.code, 0);
    let page = folder.read("page.html");
    let members = "{&quot;name&quot;: string, &quot;at&quot;: {&quot;city&quot;: string}}";
    assert!(page.contains(members) && page.contains("<pre>5 bytes</pre>"), "{page}");
    assert!(!page.contains("Ada") && !page.contains("Paris"));
}

/// R11, R20: what came in, and what changed.
#[test]
fn r20_summary_of_runs_that_follow() {
    let _filters = filters();
    let folder = Folder::new().with("raw/1.ndjson", ORDERS);
    let run = "relationalize raw curated --table orders --key id --bookmark";
    assert_eq!(folder.engine(run).code, 0);
    folder.write("raw/2.ndjson", "{\"id\":3,\"note\":\"new\",\"tags\":[\"a\"]}\n");
    insta::assert_snapshot!("summary_appended", folder.engine(run).stdout);
    insta::assert_snapshot!("summary_nothing_new", folder.engine(run).stdout);
}

/// I13, R20: what was read through manifests, and what does not count.
#[test]
fn i13_summary_of_a_landing_zone() {
    let _filters = filters();
    let folder = Folder::new();
    let orders = Stream::new(folder.path().join("raw"), "shop", "orders");
    orders.commit("r1", Mode::Replace, ORDERS);
    orders.land("died", ORDERS);
    let run = "relationalize raw curated --bookmark";
    insta::assert_snapshot!("summary_landing", folder.engine(run).stdout);
    orders.commit("r2", Mode::Replace, "{\"id\":1}\n");
    insta::assert_snapshot!("summary_landing_replaced", folder.engine(run).stdout);
    let report: Value =
        serde_json::from_str(&folder.engine(&format!("{run} --report json")).stdout).unwrap();
    assert_eq!(report["landing"]["parts_left_out"], 2);
    let log = folder.engine(&format!("{run} --log json")).log();
    assert_eq!(log.last().unwrap()["landing"]["parts"], 1);
}

#[test]
fn a_run_that_is_committed_does_nothing() {
    let folder = Folder::new().with("raw/1.ndjson", ORDERS);
    assert_eq!(folder.engine("relationalize raw curated --run-id one").code, 0);
    let again = folder.engine("relationalize raw curated --run-id one");
    assert_eq!(again.stdout, "run one was committed before, as number 1: nothing to do\n");
    assert_eq!(folder.names("curated/_solder/manifests").len(), 1);
}

#[test]
fn report_as_json() {
    let _filters = filters();
    let outcome = mixed().engine("relationalize raw curated --report json --key gone=id");
    insta::assert_snapshot!("report_json", outcome.stdout);
}

/// What is on stdout is in the file of `--manifest` too, whether the run succeeds or not.
#[test]
fn the_report_in_a_file() {
    let folder = mixed();
    let run = "relationalize raw curated --report json --manifest reports/last.json";
    let outcome = folder.engine(run);
    assert_eq!(outcome.stdout, folder.read("reports/last.json"));
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&report["sequence"], &report["records_read"]), (&1.into(), &4.into()));

    let failed = folder.engine(&format!("{run} --error-threshold 0 --run-id failing"));
    assert_eq!(failed.code, 65);
    assert_eq!(failed.stdout, folder.read("reports/last.json"));
    let report: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!((&report["exit_code"], &report["run_id"]), (&65.into(), &"failing".into()));
    assert_eq!(report["retryable"], false);
    assert!(report["error"].as_str().unwrap().contains("--error-threshold 0"));
}

#[test]
fn a_report_that_cannot_be_written() {
    let folder = Folder::new().with("raw/1.ndjson", ORDERS).with("file", "");
    let run = "relationalize raw curated --log text --manifest file/report.json";
    let outcome = folder.engine(run);
    assert_eq!(outcome.code, 73);
    assert!(outcome.stderr.contains("although the run is committed"), "{outcome:?}");
    let failed = folder.engine(&format!("{run} --max-tables 1"));
    assert_eq!(failed.code, 65, "the run's own error counts");
    assert!(failed.stderr.contains("although the run failed as well"), "{failed:?}");
}

/// R16: every bad record has its own line, also behind many others.
#[test]
fn r16_lines_of_bad_records() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    let lines = "{\"a\":1}\n{\"a\":\n\n{\"a\":2}\n[1]\n".repeat(3);
    let folder = Folder::new().with("raw/1.ndjson", &lines);
    assert_eq!(folder.engine("relationalize raw curated").code, 0);
    let name = folder.names("curated/_quarantine").remove(0);
    let file = std::fs::File::open(folder.path().join("curated/_quarantine").join(name)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let numbers: Vec<i64> =
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap().get_long(2).unwrap()).collect();
    assert_eq!(numbers, [2, 5, 7, 10, 12, 15]);
}

/// A stdout that takes nothing is an error of its own, keeps the report from no file, and does not hide
/// why a run failed.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_keeps_the_report_from_nobody_else() {
    let run = |folder: &Folder, threshold: &str| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let arguments =
            format!("relationalize raw curated --report json --manifest last.json {threshold}");
        let output = folder.command(&arguments).stdout(full).output().unwrap();
        let report: Value = serde_json::from_str(&folder.read("last.json")).unwrap();
        (output.status.code(), report)
    };
    let folder = mixed();
    let (code, report) = run(&folder, "");
    assert_eq!((code, &report["records_quarantined"]), (Some(74), &Value::from(1)));
    let (code, report) = run(&mixed(), "--error-threshold 0");
    assert_eq!((code, &report["exit_code"]), (Some(65), &Value::from(65)));
}

/// The report of a command, and the names of its stages, whose times fit into the command's.
fn staged(folder: &Folder, arguments: &str) -> (Value, String) {
    let outcome = folder.engine(&format!("{arguments} --report json"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let mut at = 0;
    let mut names = Vec::new();
    for stage in report["stages"].as_array().unwrap() {
        let of = |key: &str| stage[key].as_u64().unwrap();
        assert_eq!(of("started_ms"), at, "each begins where the last one ended: {report:#}");
        at += of("wall_ms");
        let busy = stage["busy_ms"].as_object().into_iter().flatten();
        let busy: u64 = busy.map(|(_, busy_ms)| busy_ms.as_u64().unwrap()).sum();
        // Two workers, the reader, who collects; and the millisecond that wall time is cut by.
        assert!(busy <= 4 * (of("wall_ms") + 1), "more than there is time for: {report:#}");
        names.push(stage["name"].as_str().unwrap().to_owned());
    }
    assert!(at <= report["duration_ms"].as_u64().unwrap(), "{report:#}");
    (report, names.join(" "))
}

/// The works of a stage.
fn works<'r>(report: &'r Value, stage: &str) -> Vec<&'r str> {
    let mut stages = report["stages"].as_array().unwrap().iter();
    let stage = stages.find(|found| found["name"] == stage).unwrap();
    stage["busy_ms"].as_object().into_iter().flatten().map(|(work, _)| work.as_str()).collect()
}

/// O9: what is read twice is two stages, as is what is brought to a wider schema.
#[test]
fn o9_stages_of_a_run() {
    let maps: String = (0..40).map(|n| format!("{{\"id\":{n},\"m\":{{\"k{n}\":1}}}}\n")).collect();
    let maps = zstd::encode_all(maps.as_bytes(), 3).unwrap();
    let folder = Folder::new().with("raw/1.ndjson.zst", maps);
    let run = "relationalize raw curated --table t --key id --bookmark --threads 2 --map-keys 10";
    let (report, names) = staged(&folder, run);
    assert_eq!(names, "list discover transform commit");
    for stage in ["discover", "transform"] {
        let expected = ["read", "decompress", "frame", "shred", "encode", "write"];
        assert_eq!(works(&report, stage), expected[..if stage == "discover" { 4 } else { 6 }]);
    }

    folder.write("raw/2.ndjson", "{\"id\":99,\"new\":true}\n");
    let (report, names) = staged(&folder, run);
    assert_eq!(names, "list transform rewrite commit");
    assert_eq!(works(&report, "transform"), ["read", "frame", "shred", "encode", "write"]);
    assert!(report["started_at"].as_str().unwrap().ends_with('Z'));

    assert_eq!(staged(&folder, run).1, "list transform commit", "nothing is new");
    folder.write("raw/3.ndjson", "{\"id\":100}\n");
    assert_eq!(folder.engine(&format!("{run} --run-id r")).code, 0);
    let done = folder.engine(&format!("{run} --run-id r --report json"));
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&done["already_committed"], &done["stages"]), (&true.into(), &Value::Null));
}

/// O9: of shards and their commit; of merges and results, each for its table.
#[test]
fn o9_stages_of_other_commands() {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    folder.engine("plan raw curated --key id --run-id r");
    let (report, names) = staged(&folder, "shard curated --run-id r --number 0 --threads 2");
    assert_eq!(names, "list transform commit");
    assert!(works(&report, "transform").contains(&"shred"), "{report:#}");
    assert_eq!(staged(&folder, "commit curated --run-id r").1, "list transform commit");

    let merge = "merge --staging curated --into lake";
    let (report, names) = staged(&folder, merge);
    assert_eq!(names, "list list join commit join write commit join write commit");
    let tables = report["stages"].as_array().unwrap().iter().skip(1);
    let tables: Vec<_> = tables.map(|stage| stage["table"].as_str().unwrap()).collect();
    let (root, child) = ("orders", "orders__items");
    assert_eq!(tables, [root, root, root, child, child, child, root, root, root]);
    assert_eq!(staged(&folder, merge).1, "list list", "nothing waits");

    folder.write(
        "n.sql",
        "create view counted as select count(*) as n from orders; select n from counted",
    );
    let (_, names) = staged(&folder, "sql n.sql --lake lake --into lake");
    assert_eq!(names, "list query check list join write commit");
}

/// J5, O9: the page shows stages as bars.
#[test]
fn j5_stages_stand_on_the_page() {
    let folder = mixed();
    let run = folder.engine("relationalize raw curated --report html=page.html");
    assert_eq!(run.code, 0, "{run:?}");
    let page = folder.read("page.html");
    for stage in ["<b>list</b>", "<b>transform</b>", ">shred</span>", "<b>commit</b>"] {
        assert!(page.contains(stage), "{stage}: {page}");
    }
    assert!(page.contains(", begun 20"), "{page}");
}
