//! R1 to R4: which files are read, how they are compressed and cut into records.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;

use crate::support::Lab;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// R1: compression is known by content, whatever the name says; several streams are one.
#[rstest]
#[case("a.ndjson.gz", gzip)]
#[case("a.json.gz", gzip)]
#[case("a.json", gzip)]
#[case("a.jsonl.bz2", bzip2)]
#[case("a.ndjson.xz", xz)]
#[case("a.ndjson.zst", zstd)]
#[case("a.ndjson.gz", zstd)]
#[case("a.ndjson.gz", <[u8]>::to_vec)]
fn r1_compressions(#[case] name: &str, #[case] compress: fn(&[u8]) -> Vec<u8>) {
    let lab = Lab::new();
    // A record is cut in two by the border between the streams.
    let mut bytes = compress(b"{\"v\":1}\n{\"v\":");
    bytes.extend(compress(b"2}\n{\"v\":3}\n"));
    lab.write(&format!("orders/{name}"), bytes);
    let report = lab.run(|_| {});
    assert_eq!(report.records_quarantined, 0);
    lab.shows("orders", "| v |\n| 1 |\n| 2 |\n| 3 |");
}

/// R1: other files in a folder are left alone and counted, hidden ones too.
#[test]
fn r1_other_files_are_counted() {
    let lab = Lab::of(r#"{"v":1}"#);
    lab.write("orders/readme.md", "x").write("orders/data.csv", "x").write("_tmp/x.json", "{}");
    lab.write("orders/.hidden.json", "{}").write("LICENSE", "x");
    let report = lab.run(|_| {});
    assert_eq!((report.objects_read, report.objects_ignored), (1, 5));
    assert_eq!(lab.tables(), ["orders"]);
}

/// R1: a file, a folder, a glob.
#[rstest]
#[case("", 3)]
#[case("orders", 2)]
#[case("orders/1.json", 1)]
#[case("orders/*.json", 2)]
#[case("**/1.json", 2)]
#[case("{orders,visits}/[12].json", 3)]
fn r1_inputs(#[case] input: &str, #[case] num_objects: u64) {
    let lab = Lab::new();
    lab.write("orders/1.json", "{}").write("orders/2.json", "{}").write("visits/1.json", "{}");
    let report = lab.run(|settings| {
        settings.input = format!("{}/{input}", settings.input).trim_end_matches('/').to_owned();
    });
    assert_eq!(report.objects_read, num_objects);
}

/// R1: an input without data is an error that says what was looked for.
#[test]
fn r1_nothing_to_read() {
    let lab = Lab::new();
    lab.write("notes.txt", "x").write("list.csv", "x");
    let (error, text) = lab.fail(|_| {});
    assert_eq!(error.exit_code(), 66);
    assert!(text.contains(".ndjson") && text.contains("2 other files"), "{text}");
    assert!(lab.curated_files().is_empty(), "{:?}", lab.curated_files());
}

/// R2: framings are known by content, not by name.
#[rstest]
#[case("{\"v\":1}\n{\"v\":2}\n")]
#[case("{\"v\":1}\n{\"v\":2}")]
#[case("{\"v\":1}\r\n{\"v\":2}\r\n")]
#[case("\u{feff}{\"v\":1}\n{\"v\":2}\n")]
#[case("\n\n{\"v\":1}\n\n \n{\"v\":2}\n\n")]
#[case("{\"v\":1} {\"v\":2}\n")]
#[case("{\"v\":1}{\"v\":2}")]
#[case("[{\"v\":1},{\"v\":2}]")]
#[case("\u{feff}[{\"v\":1},{\"v\":2}]\r\n")]
#[case("[\n  {\"v\":1},\n  {\"v\":2}\n]\n")]
#[case("[\r\n  {\r\n    \"v\": 1\r\n  },\r\n  {\"v\":2}\r\n]\r\n")]
#[case("[{\"v\":1}]\n[{\"v\":2}]\n")]
#[case("{\n  \"v\": 1\n}\n{\n  \"v\": 2\n}\n")]
#[case("{\n  \"v\": 1\n}{\n  \"v\": 2\n}")]
fn r2_framings(#[case] text: &str) {
    for name in ["orders/a.json", "orders/a.ndjson"] {
        for block_bytes in [1, 8 << 20] {
            let lab = Lab::new();
            lab.write(name, text);
            let report = lab.run(|settings| settings.block_bytes = block_bytes);
            assert_eq!(report.records_quarantined, 0, "{:?}", report.first_quarantined);
            lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |");
        }
    }
}

/// R2: one object per file, many files; the order is that of their keys (R4).
#[test]
fn r2_one_object_per_file() {
    let lab = Lab::new();
    for (name, v) in [("b", 2), ("a/z", 1), ("c", 3)] {
        lab.write(&format!("orders/{name}.json"), format!("{{\n  \"v\": {v}\n}}\n"));
    }
    lab.run(|_| {});
    lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |\n| 2 | 3 |");
}

/// R2: `--records` picks the records out of an envelope.
#[rstest]
#[case("$.data[*]", r#"{"next":"x","data":[{"v":1},{"v":2}],"total":2}"#)]
#[case("$.data.orders[*]", r#"{"data":{"orders":[{"v":1},{"v":2}],"more":false}}"#)]
#[case("$[*].order", r#"[{"order":{"v":1}},{"order":{"v":2}}]"#)]
#[case("$.data[*]", "{\"data\":[{\"v\":1}]}\n{\"data\":[{\"v\":2}]}\n")]
fn r2_envelopes(#[case] path: &str, #[case] text: &str) {
    let lab = Lab::new();
    lab.write("orders/page.json", text);
    let report = lab.run(|settings| settings.records = Some(path.parse().unwrap()));
    assert_eq!(report.records_quarantined, 0, "{:?}", report.first_quarantined);
    lab.shows("orders", "| v |\n| 1 |\n| 2 |");
    assert_eq!(lab.tables(), ["orders"]);
}

/// R2, R16: a document without its records is an error of that document, never silence.
#[test]
fn r2_an_envelope_without_records() {
    let lab = Lab::of("{\"data\":[{\"v\":1}]}\n{\"error\":\"denied\"}\n");
    let report = lab.run(|settings| settings.records = Some("$.data[*]".parse().unwrap()));
    assert_eq!((report.records_read, report.records_quarantined), (1, 1));
    lab.quarantine_shows(
        "| line | reason |
         | 2    | nothing at `$.data`, which is on the records path `$.data[*]` |",
    );
}

/// R3: folders are entities, the landing layout's streams are, `--table` makes all one.
#[test]
fn r3_entities() {
    let lab = Lab::new();
    lab.write("Order Lines/2024/1.json", "{}").write("visits/1.json", "{}");
    lab.run(|_| {});
    assert_eq!(lab.tables(), ["order_lines", "visits"]);
    let lab = Lab::new();
    lab.write("data/source=s/stream=donors/dt=2026-01-01/run_id=r/part-0.ndjson", "{}");
    lab.write("manifests/source=s/stream=donors/r.json", "{}");
    let report = lab.run(|_| {});
    assert_eq!((lab.tables(), report.objects_ignored), (vec!["donors".to_owned()], 1));
    let lab = Lab::new();
    lab.write("a/1.json", r#"{"v":1}"#).write("b/1.json", r#"{"v":2}"#);
    lab.run(|settings| settings.table = Some("all".to_owned()));
    lab.shows("all", "| v |\n| 1 |\n| 2 |");
}

/// R4: records keep the order of keys and positions, whatever the size of a block.
#[test]
fn r4_order() {
    let tables = [1, 20, 1 << 20].map(|block_bytes| {
        let lab = Lab::new();
        for file in 0..5 {
            let lines: String =
                (0..50).map(|n| format!("{{\"f\":{file},\"n\":{n},\"a\":[{n}]}}\n")).collect();
            lab.write(&format!("orders/{file}.ndjson"), lines);
        }
        lab.run(|settings| settings.block_bytes = block_bytes);
        (lab.table("orders"), lab.table("orders__a"))
    });
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[1], tables[2]);
}

/// R4, R18: a record of many blocks, with texts of many pages, leaves no trace in its neighbours, nor they in it.
#[rstest]
#[case::texts("\"last\"")]
#[case::mixed("7")]
fn r4_a_huge_record_among_small_ones(#[case] last: &str) {
    let (long, longer) = ("x".repeat(3 << 20), "é".repeat(1 << 20));
    let huge = format!(
        "{{\"items\":[{{\"v\":\"{long}\"}},{{\"n\":1}},{{\"v\":\"\"}},{{\"v\":\"{longer}\"}},{{\"n\":2,\"v\":{last}}},{{\"n\":3}}]}}"
    );
    let small = r#"{"items":[{"n":4},{"v":"short"}]}"#;
    let lines: Vec<String> =
        [small, &huge, small, &huge, &huge, small].map(|line| format!("{line}\n")).into();
    let lab = Lab::of(&lines.concat());
    for memory_bytes in [16 << 20, 1 << 30] {
        let report = lab.run(|settings| settings.memory_bytes = memory_bytes);
        assert_eq!((report.records_read, report.records_quarantined), (6, 0));
        let same: Vec<bool> = lab
            .nested("orders")
            .lines()
            .zip(&lines)
            .map(|(got, put)| got == put.trim_end())
            .collect();
        assert_eq!(same, [true; 6], "with {memory_bytes} bytes of memory");
    }
}
