//! R16, R17: bad records are set aside with their place, and never take a good one with them.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use solder_relationalize::shape::Selector;
use solder_relationalize::{Error, Settings};

use crate::support::{Lab, corpus, key};

/// R16: the example at which Glue loses a good record: the line after the broken one stays.
#[test]
fn r16_a_broken_line_takes_no_neighbour() {
    let lab = Lab::of(concat!(
        "{\"id\": 1, \"name\": {\"given\": \"george\", \"family\": \"washington\"}}\n",
        "{\"id\": 2, \"name\": {\"given\": \"benjamin\", \"family\": \"franklin\",\n",
        "{\"id\": 3, \"name\": {\"given\": \"alexander\", \"family\": \"hamilton\"}}\n",
        "{\"id\": 4, \"name\": {\"given\": \"john\", \"family\": \"adams\"}}\n",
    ));
    let report = lab.run(|_| {});
    assert_eq!((report.records_read, report.records_quarantined), (3, 1));
    lab.shows(
        "orders",
        "| id | name__family |\n| 1 | washington |\n| 3 | hamilton |\n| 4 | adams |",
    );
    lab.quarantine_shows("| entity | object | line | byte_offset | run_id |\n| orders | RAW/orders/1.ndjson | 2 | 63 | run-1 |");
    let first = report.first_quarantined.unwrap();
    assert!(first.contains("orders/1.ndjson:2: not valid JSON"), "{first}");
}

/// R16: reason and raw bytes of what is set aside, by what is wrong with the line.
#[rstest]
#[case(b"nonsense", "not valid JSON")]
#[case(b"{\"a\":}", "not valid JSON")]
#[case(b"{\"a\":1}}", "not valid JSON")]
#[case(b"{'a':1}", "not valid JSON")]
#[case(b"{\"a\":01}", "not valid JSON")]
#[case(b"{\"a\":\"\xff\"}", "not valid JSON")]
#[case(b"{\"a\":\"x\ty\"}", "not valid JSON")]
#[case(b"\"text\"", "not an object: the record is a string")]
#[case(b"7", "not an object: the record is a number")]
#[case(b"null", "not an object: the record is null")]
#[case(b"[1]", "not an object: the record is an array")]
#[case(b"{\"ok\":1} nonsense", "not valid JSON")]
fn r16_reasons(#[case] line: &[u8], #[case] reason: &str) {
    let lab = Lab::new();
    lab.write("orders/1.ndjson", [b"{\"v\":1}\n", line, b"\n{\"v\":2}\n"].concat());
    let report = lab.run(|_| {});
    assert_eq!((report.records_read, report.records_quarantined), (2, 1));
    lab.shows("orders", "| v |\n| 1 |\n| 2 |");
    let raw: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
    let length = line.len();
    lab.quarantine_shows(&format!(
        "| line | byte_offset | byte_length | raw |\n| 2 | 8 | {length} | {raw} |"
    ));
    assert!(report.first_quarantined.unwrap().contains(reason));
}

/// R16: what a bad record had begun to add leaves no trace in the tables.
#[test]
fn r16_a_bad_record_leaves_no_trace() {
    let lab = Lab::of(
        "{\"id\":1,\"a\":[1]}\n{\"id\":2,\"new\":{\"x\":[1,2]},\"a\":[2,3],\"id2\":bad}\n{\"id\":3,\"a\":[4]}\n",
    );
    lab.run(|settings| settings.keys = key("id"));
    assert_eq!(lab.tables(), ["orders", "orders__a"]);
    lab.is("orders", "| _seq | id | a__len |\n| 0 | 1 | 1 |\n| 1 | 3 | 1 |");
    lab.shows("orders__a", "| _root_id | value |\n| 1 | 1 |\n| 3 | 4 |");
}

/// R16: in an array, broken elements do not take the others along either.
#[test]
fn r16_broken_elements_of_an_array() {
    let lab = Lab::new();
    lab.write("orders/a.json", "[\n  {\"v\":1},\n  {\"v\":,\n  {\"v\":3},\n  7\n]\n");
    let report = lab.run(|_| {});
    assert_eq!((report.records_read, report.records_quarantined), (2, 2));
    lab.shows("orders", "| v |\n| 1 |\n| 3 |");
    lab.quarantine_shows("| line |\n| 3 |\n| 5 |");
}

/// R16: a threshold fails the run before anything is committed; below it, the run goes through.
#[rstest]
#[case("0", false)]
#[case("1", false)]
#[case("2", true)]
#[case("10%", false)]
#[case("19.9%", false)]
#[case("20%", true)]
fn r16_error_threshold(#[case] threshold: &str, #[case] succeeds: bool) {
    let lab = Lab::of(&("{\"v\":1}\n".repeat(8) + "bad\nbad\n"));
    let outcome =
        lab.try_run(|settings| settings.error_threshold = Some(threshold.parse().unwrap()));
    match outcome {
        Ok(report) => {
            assert!(succeeds);
            assert_eq!(report.records_quarantined, 2);
        }
        Err(error) => {
            assert!(!succeeds && error.exit_code() == 65);
            let Error::Threshold { num_rejected: 2, num_records: 10, .. } = &error else {
                panic!("{error}");
            };
            assert!(error.to_string().contains("orders/1.ndjson:9"), "{error}");
            assert!(lab.curated_files().is_empty(), "{:?}", lab.curated_files());
        }
    }
}

/// R16: after a run that failed, tables and manifest are what they were before it.
#[rstest]
#[case(false)]
#[case(true)]
fn r16_a_truncated_object_commits_nothing(#[case] bookmark: bool) {
    let lab = Lab::of("{\"v\":1}\n");
    lab.run(|settings| settings.bookmark = bookmark);
    let (manifest, files) = (lab.manifest().sequence, lab.curated_files());

    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for n in 0..10_000 {
        writeln!(encoder, "{{\"v\":{n},\"new\":\"{n}\"}}").unwrap();
    }
    let whole = encoder.finish().unwrap();
    lab.write("orders/2.ndjson.gz", &whole[..whole.len() / 2]);
    let (error, text) = lab.fail(|settings| settings.bookmark = bookmark);
    assert!(text.contains("orders/2.ndjson.gz") && error.exit_code() == 65, "{text}");
    assert_eq!((lab.manifest().sequence, lab.curated_files()), (manifest, files));
    lab.shows("orders", "| v |\n| 1 |");

    lab.write("orders/2.ndjson.gz", &whole);
    lab.run(|settings| settings.bookmark = bookmark);
    assert_eq!(lab.table("orders").num_rows(), 10_001);
}

/// R17: very deep records are set aside by name of the limit, in no time and without a stack.
#[rstest]
#[case("[", "]")]
#[case("{\"a\":", "}")]
fn r17_depth(#[case] open: &str, #[case] close: &str) {
    let depth = 100_000;
    let deep = format!("{{\"v\":{}1{}}}", open.repeat(depth), close.repeat(depth));
    let began = Instant::now();
    let lab = Lab::of(&format!("{{\"v\":1}}\n{deep}\n{{\"v\":2}}\n"));
    let report = lab.run(|_| {});
    assert_eq!((report.records_read, report.records_quarantined), (2, 1));
    let reason = report.first_quarantined.unwrap();
    assert!(reason.contains("512"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(120));

    let lab = Lab::new();
    lab.write("orders/a.json", format!("[\n{{\"v\":1}},\n{deep},\n{{\"v\":2}}\n]"));
    assert_eq!(lab.run(|_| {}).records_quarantined, 1);
    lab.shows("orders", "| v |\n| 1 |\n| 2 |");
}

/// R17: the deepest record that is allowed makes its tables.
#[test]
fn r17_depth_that_is_allowed() {
    let nested =
        |depth: usize| format!("{{\"v\":{}{}}}\n", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let lab = Lab::of(&(nested(60) + &nested(61)));
    let report = lab.run(|settings| settings.max_depth = 60);
    assert_eq!((report.records_read, report.records_quarantined), (1, 1));
    assert_eq!(lab.tables().len(), 60);
}

/// R17: a record over the limit goes to quarantine, its neighbours do not.
#[test]
fn r17_record_size() {
    for (open, between, close) in [("", "\n", "\n"), ("[", ",\n", "]")] {
        let large = format!("{{\"v\":\"{}\"}}", "x".repeat(2_000));
        let records = ["{\"v\":\"1\"}", &large, "{\"v\":\"2\"}"].join(between);
        let lab = Lab::new();
        lab.write("orders/a.json", format!("{open}{records}{close}"));
        let report = lab.run(|settings| settings.max_record_bytes = 1_000);
        assert_eq!((report.records_read, report.records_quarantined), (2, 1));
        let reason = report.first_quarantined.unwrap();
        assert!(reason.contains("--max-record") && reason.contains("1000"), "{reason}");
    }
}

/// R17: the other limits fail the run, by the name of their option, and commit nothing.
#[rstest]
#[case("--max-columns", |settings: &mut Settings| settings.max_columns = 5)]
#[case("--max-tables", |settings: &mut Settings| settings.max_tables = 2)]
fn r17_limits_have_names(#[case] option: &str, #[case] change: fn(&mut Settings)) {
    let lab = Lab::of(r#"{"a":1,"b":2,"c":3,"d":4,"x":[1],"y":[2]}"#);
    let (error, text) = lab.fail(change);
    assert!(matches!(error, Error::Limit { .. }) && error.exit_code() == 65);
    assert!(text.contains(option), "{text}");
    assert!(lab.curated_files().is_empty(), "{:?}", lab.curated_files());
}

/// R17: keys that are data are paths until they are found to be; where they do not fit the memory, the run says so,
/// and what helps.
#[test]
fn r17_paths_fit_the_memory() {
    let members: Vec<String> = (0..10_001).map(|key| format!("\"k{key}\":{key}")).collect();
    let lab = Lab::of(&format!("{{\"by_day\":{{{}}}}}", members.join(",")));
    let (error, text) = lab.fail(|settings| settings.memory_bytes = 1 << 20);
    assert!(matches!(error, Error::Limit { .. }) && error.exit_code() == 65);
    assert!(
        text.contains("--memory") && text.contains("--map") && text.contains("$.by_day"),
        "{text}"
    );
    assert!(lab.curated_files().is_empty(), "{:?}", lab.curated_files());
    lab.run(|settings| settings.memory_bytes = 1 << 30);
    let named = |settings: &mut Settings| {
        settings.memory_bytes = 1 << 20;
        settings.maps = vec![Selector::parse("by_day").unwrap()];
    };
    lab.run(named);
}

/// R17: an object that grows beyond all measure is refused.
#[test]
fn r17_ratio() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&blanks).unwrap();
    }
    let lab = Lab::new();
    lab.write("orders/bomb.json.gz", encoder.finish().unwrap());
    let (error, text) = lab.fail(|settings| settings.max_ratio = 100);
    assert!(text.contains("--max-ratio") && error.exit_code() == 65, "{text}");
}

/// R16: files of the JSON test suite, each alone: what must be read is read, what must be refused
/// is set aside with its place, and nothing is passed over in silence.
#[test]
fn r16_json_test_suite() {
    let Some(corpus) = corpus("r16_json_test_suite") else { return };
    let mut wrong = Vec::new();
    let mut num_files = 0;
    for path in crate::support::files_below(&corpus.join("json_test_suite/test_parsing")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".json") {
            continue;
        }
        num_files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let lab = Lab::new();
        lab.write("suite/file.json", &bytes);
        let report = match lab.try_run(|_| {}) {
            Ok(report) => report,
            Err(error) => {
                wrong.push(format!("{name}: {}", crate::support::chain(&error)));
                continue;
            }
        };
        let rows = lab.table("suite").num_rows() as u64;
        let bad = report.records_quarantined;
        let is_fine = rows == report.records_read
            && match name.as_bytes()[0] {
                b'y' => rows + bad >= 1 || is_empty_array(&bytes),
                b'n' => bad >= 1 || is_blank(&bytes),
                _ => rows + bad >= 1 || is_empty_array(&bytes),
            };
        // Valid JSON is set aside for being no object, and for nothing else.
        let reason = report.first_quarantined.unwrap_or_default();
        let is_just = !name.starts_with('y') || bad == 0 || reason.contains("not an object");
        if !is_fine || !is_just {
            wrong.push(format!("{name}: {rows} rows, {bad} set aside, {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(num_files > 300, "{num_files}");
}

fn is_empty_array(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text == "[]"
}

fn is_blank(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.iter().all(|byte| byte.is_ascii_whitespace())
}
