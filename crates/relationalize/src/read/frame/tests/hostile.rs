//! Input that wants time, memory or a panic.

use super::*;

fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    // Milliseconds when optimised; anything quadratic takes many minutes.
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
    result
}

#[rstest]
#[case("[", 100_000)]
#[case("{\"a\":", 100_000)]
#[case("{\"a\":\n", 20_000)]
#[case("[\n", 20_000)]
#[case("[{\"a\":[\n", 20_000)]
#[case("{\n", 20_000)]
#[case("[,", 20_000)]
#[case("{\n}\n]\n", 20_000)]
#[case("[{}\n", 20_000)]
fn many_brackets_take_linear_time(#[case] unit: &str, #[case] times: usize) {
    let input = unit.repeat(times);
    for options in [by_content(), by_path("$.a[*]"), by_path("$[*].a[*]"), by_path("$")] {
        quickly(|| {
            let _ = frame_with(input.as_bytes(), &options, 4096, 1 << 20, false);
        });
    }
}

#[test]
fn deep_records_that_close_are_rejected_alone() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let input = format!("[{{}},{deep},{{}}]");
    let outcome = quickly(|| frame_with(input.as_bytes(), &by_content(), 999, 1, false));
    assert_eq!(outcome.records(), ["{}", "{}"], "R17");
    assert_eq!(outcome.rejected.len(), 1);
}

#[test]
fn unfinished_documents_do_not_make_recovery_quadratic() {
    // Each document opens a level for the next one, which is far away.
    let unit = format!("{{\"pad\":\"{}\",\"a\":\n", "x".repeat(100_000));
    let input = unit.repeat(300);
    for path in ["$", "$.a[*]"] {
        let options = FrameOptions { max_depth: 100_000, ..by_path(path) };
        quickly(|| {
            let _ = frame_with(input.as_bytes(), &options, 1 << 20, 1 << 20, false);
        });
    }
}

#[test]
fn an_envelope_streams() {
    // The members around the records are larger than a record may be.
    let junk = "x".repeat(3 << 20);
    let records = "{\"a\":1},".repeat(200_000);
    let input = format!(
        "{{\"m\":\"{junk}\",\"data\":[{records}{{}}],\"z\":[\"{junk}\"]}}\n{{\"data\":[1]}}"
    );
    let options = FrameOptions { max_record_bytes: 1000, ..by_path("$.data[*]") };
    let mut framer = Framer::new(input.as_bytes(), options);
    let mut block = Vec::new();
    let mut num_records = 0;
    while let Some(segment) = framer.next_segment(&mut block, 10_000).unwrap() {
        let Records::Ranges(ranges) = segment.records else {
            panic!("lines");
        };
        num_records += ranges.len();
        assert_eq!(segment.rejected, []);
        assert!(block.len() < 11_000);
        block.clear();
    }
    assert_eq!(num_records, 200_002);
}

#[test]
fn far_apart_records_do_not_share_a_segment() {
    let gap = " ".repeat(200_000);
    let input = format!("[1,{gap}2,3{gap},4]");
    for target_bytes in [1, 1 << 30] {
        let outcome = frame_with(input.as_bytes(), &by_content(), 1000, target_bytes, false);
        assert_eq!(outcome.records(), ["1", "2", "3", "4"]);
    }
}

#[test]
fn a_broken_stretch_longer_than_what_is_kept_is_one() {
    let tail = format!("{{\"a\":[}}{}", "x\n".repeat(2 << 20));
    let input = format!("[\n{{}},\n{tail}{{\"b\":1}}\n]");
    for chunk_bytes in [1000, usize::MAX] {
        let outcome = frame_with(input.as_bytes(), &by_content(), chunk_bytes, 1 << 20, false);
        assert_eq!(outcome.records(), ["{}", "{\"b\":1}"], "R16");
        assert_eq!(outcome.rejected.len(), 1);
        assert_eq!(outcome.rejected[0].length, tail.len() as u64);
    }
}

/// Every file that is no JSON must end in finite time, and nothing may vanish: what is neither
/// record nor rejected is punctuation.
#[test]
fn the_json_test_suite_neither_panics_nor_hangs() {
    let Ok(corpus) = std::env::var("SOLDER_CORPUS") else {
        return;
    };
    let folder = std::path::Path::new(&corpus).join("json_test_suite/test_parsing");
    let mut num_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        num_files += 1;
        for options in [by_content(), by_path("$"), by_path("$[*]"), by_path("$.a[*]")] {
            quickly(|| {
                let expected = frame_with(&bytes, &options, usize::MAX, usize::MAX, false);
                for (chunk_bytes, target_bytes) in [(1, 1), (3, 10), (7, 1000)] {
                    let found = frame_with(&bytes, &options, chunk_bytes, target_bytes, false);
                    assert!(found == expected, "{}", path.display());
                }
                let mut seen = vec![false; bytes.len()];
                for (offset, _, record) in &expected.records {
                    seen[*offset as usize..*offset as usize + record.len()].fill(true);
                }
                for one in &expected.rejected {
                    seen[one.offset as usize..(one.offset + one.length) as usize].fill(true);
                }
                if options.records.is_none() {
                    for (byte, seen) in bytes.iter().zip(seen) {
                        let punctuation = b"[], \t\r\n\xef\xbb\xbf".contains(byte);
                        assert!(seen || punctuation, "{} loses {byte}", path.display());
                    }
                }
            });
        }
    }
    assert!(num_files > 300);
}
