//! Byte boundaries are hostile: every case runs at many chunk and block sizes.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rstest::rstest;

use super::*;

mod hostile;
mod round_trip;

/// Gives at most `chunk_bytes` at a time, then fails if told so.
struct Chunks<'a> {
    bytes: &'a [u8],
    chunk_bytes: usize,
    fails: bool,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.len().min(self.chunk_bytes).min(buffer.len());
        if length == 0 && self.fails {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut"));
        }
        buffer[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        Ok(length)
    }
}

/// What came out of an object: offset, line and bytes of each record.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    lines: bool,
    records: Vec<(u64, u64, Vec<u8>)>,
    rejected: Vec<Rejected>,
    failed: bool,
}

impl Outcome {
    fn records(&self) -> Vec<&str> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        self.records.iter().map(|(_, _, bytes)| text(bytes)).collect()
    }

    fn rejected(&self) -> Vec<(&str, String)> {
        self.rejected
            .iter()
            .map(|one| {
                let raw = std::str::from_utf8(&one.raw).unwrap();
                (raw, one.reason.to_string())
            })
            .collect()
    }

    fn rejected_raw(&self) -> Vec<&str> {
        self.rejected.iter().map(|one| std::str::from_utf8(&one.raw).unwrap()).collect()
    }
}

/// Frames `input` and checks that every offset and line points at what it says.
fn frame_with(
    input: &[u8],
    options: &FrameOptions,
    chunk_bytes: usize,
    target_bytes: usize,
    fails: bool,
) -> Outcome {
    let reader = Chunks { bytes: input, chunk_bytes, fails };
    // What an earlier object left in the memory means nothing.
    let memory = b"[{\"left\":\n".repeat(chunk_bytes % 512);
    let mut framer = Framer::with_memory(reader, options.clone(), memory);
    let mut outcome = Outcome::default();
    // Another object's records may be in the block.
    let mut block = b"before".to_vec();
    let mut line_cursor = (0, 1);
    loop {
        if block.len() >= target_bytes {
            block.truncate(6);
        }
        let segment = match framer.next_segment(&mut block, target_bytes) {
            Ok(Some(segment)) => segment,
            Ok(None) => break,
            Err(_) => {
                outcome.failed = true;
                assert!(framer.next_segment(&mut block, target_bytes).is_err());
                break;
            }
        };
        assert_eq!(segment.range.end, block.len());
        let bytes = &block[segment.range.clone()];
        let offset = segment.offset as usize;
        if !bytes.is_empty() {
            assert_eq!(bytes, &input[offset..offset + bytes.len()]);
            let (at, line) = line_cursor;
            let line = line + num_line_breaks(&input[at..offset]);
            assert_eq!(segment.line, line);
            line_cursor = (offset, line);
        }
        let mut keep = |from: usize, to: usize| {
            let line = segment.line + num_line_breaks(&bytes[..from]);
            let record = (segment.offset + from as u64, line, bytes[from..to].to_vec());
            outcome.records.push(record);
        };
        match &segment.records {
            Records::Ranges(ranges) => {
                for range in ranges {
                    keep(range.start as usize, range.end as usize);
                }
            }
            Records::Lines => {
                outcome.lines = true;
                let mut from = 0;
                for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                    let start = from;
                    from += line.len();
                    let text = line.trim_ascii_end();
                    if !text.is_empty() {
                        keep(start, start + text.len());
                    }
                }
            }
        }
        outcome.rejected.extend(segment.rejected);
    }
    assert!(block.starts_with(b"before"));
    let mut line_cursor = (0, 1);
    for one in &outcome.rejected {
        let (from, to) = (one.offset as usize, (one.offset + one.length) as usize);
        assert_eq!(one.raw, &input[from..to.min(from + MAX_RAW_BYTES)]);
        let (at, line) = line_cursor;
        line_cursor = (from, line + num_line_breaks(&input[at..from]));
        assert_eq!(one.line, line_cursor.1);
    }
    outcome
}

fn num_line_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// R2: lines far beyond what is looked at to recognise them, from a reader that gives little at a time
/// where a block ends.
#[test]
fn r2_lines_of_a_large_object() {
    let line = |number: u32| format!("{{\"n\":{number},\"text\":\"{}\"}}\n", "x".repeat(9_000));
    let input: String = (0..300).map(line).collect();
    let expected = frame_with(input.as_bytes(), &by_content(), usize::MAX, usize::MAX, false);
    assert_eq!(expected.records.len(), 300);
    for (chunk_bytes, target_bytes) in [(1_000, 1_400_000), (777, 300_001), (70_001, 500_000)] {
        let found = frame_with(input.as_bytes(), &by_content(), chunk_bytes, target_bytes, false);
        assert_eq!(found, expected, "chunks {chunk_bytes}, target {target_bytes}");
    }
}

/// The outcome at every chunk size and target, which is one and the same.
fn frame(input: impl AsRef<[u8]>, options: &FrameOptions) -> Outcome {
    let input = input.as_ref();
    let expected = frame_with(input, options, usize::MAX, usize::MAX, false);
    for chunk_bytes in [1, 2, 3, 5, 7, 64, usize::MAX] {
        for target_bytes in [1, 10, 1000, usize::MAX] {
            let found = frame_with(input, options, chunk_bytes, target_bytes, false);
            assert_eq!(found, expected, "chunks {chunk_bytes}, target {target_bytes}");
        }
    }
    expected
}

fn by_content() -> FrameOptions {
    FrameOptions::default()
}

fn by_path(path: &str) -> FrameOptions {
    FrameOptions { records: Some(path.parse().unwrap()), ..FrameOptions::default() }
}

#[rstest]
#[case::nothing("", &[])]
#[case::blank(" \r\n\n", &[])]
#[case::ndjson("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"])]
#[case::no_last_break("{\"a\":1}\r\n\r\n{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"])]
#[case::byte_order_mark("\u{feff}{\"a\":1}\n{}", &["{\"a\":1}", "{}"])]
#[case::leading_blank("\n\n {\"a\":1}\n{}", &["{\"a\":1}", "{}"])]
#[case::two_on_a_line("{}{}\n{}\n", &["{}{}", "{}"])]
#[case::broken("{\"a\":\n{\"a\":2}\n{\"a\":3}\n", &["{\"a\":", "{\"a\":2}", "{\"a\":3}"])]
fn lines_are_cut_at_line_breaks(#[case] input: &str, #[case] records: &[&str]) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R2");
    assert_eq!(outcome.lines, !records.is_empty());
    assert_eq!(outcome.rejected, []);
}

#[rstest]
#[case::array("[{\"a\":1}, {\"a\":2} ]", &["{\"a\":1}", "{\"a\":2}"])]
#[case::empty_array(" [ ] \n", &[])]
#[case::nested("[[{}],[]]", &["[{}]", "[]"])]
#[case::scalars("[1,\"x,]\",tru , null]", &["1", "\"x,]\"", "tru", "null"])]
#[case::pretty_array("\u{feff}[\r\n  {\r\n    \"a\": \"}]\\\"\\\\\"\r\n  },\r\n  {}\r\n]\r\n",
    &["{\r\n    \"a\": \"}]\\\"\\\\\"\r\n  }", "{}"])]
#[case::lines_of_arrays("[1,2]\n[3]\n\n[]\n[4]", &["1", "2", "3", "4"])]
#[case::array_then_objects("[{}]\n{\"a\":[1]}\n{} {}\n[1]", &["{}", "{\"a\":[1]}", "{}", "{}", "1"])]
#[case::one_document("{\n\"a\": [1, {}]\n}", &["{\n\"a\": [1, {}]\n}"])]
#[case::pretty_documents("{\n \"a\": 1\n}\n{\n \"a\": 2\n}{}\n", &["{\n \"a\": 1\n}", "{\n \"a\": 2\n}", "{}"])]
#[case::documents_of_all_kinds("{\n}[1\n]\"x\"1 2 tru\"y\"", &["{\n}", "[1\n]", "\"x\"", "1", "2", "tru", "\"y\""])]
fn arrays_and_documents_are_cut_by_structure(#[case] input: &str, #[case] records: &[&str]) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R2");
    assert!(!outcome.lines);
    assert_eq!(outcome.rejected, []);
}

#[rstest]
#[case("$", "{\"a\":1}{\"b\":[1]}\n[2]", &["{\"a\":1}", "{\"b\":[1]}", "[2]"])]
#[case("$[*]", "[1, 2][3]\n[4]", &["1", "2", "4"])]
#[case("$.data[*]", "{\"m\":{\"data\":[0]},\"data\":[1,{\"data\":[9]}],\"z\":\"]}\"}", &["1", "{\"data\":[9]}"])]
#[case("$.data[*]", "{\"data\":[]}\n{\"data\":null}\n{\"data\":[5],\"x\":[[]]}", &["5"])]
#[case("$.data[*]", "{\"data\":[1],\"data\":[2]}", &["1", "2"])]
#[case("$.data[*]", "{\"d\\u0061ta\":[1],\"dat\":[2]}", &["1"])]
#[case("$.data", "{\"data\":{\"a\":1}}{\"data\": null }", &["{\"a\":1}", "null"])]
#[case("$['a b'].c[*].d", "{\"a b\":{\"c\":[{\"d\":1},{\"e\":0,\"d\":{}}]}}", &["1", "{}"])]
#[case("$[*].items[*]", "[{\"items\":[1,2]},{\"items\":[]},{\"items\":[3]}]", &["1", "2", "3"])]
#[case("$[*][*]", "[[1],[],[2,3],null]", &["1", "2", "3"])]
fn a_records_path_picks_the_records(
    #[case] path: &str,
    #[case] input: &str,
    #[case] records: &[&str],
) {
    let outcome = frame(input, &by_path(path));
    assert_eq!(outcome.records(), records, "R2");
    // Only `[1, 2][3]` has anything wrong.
    assert_eq!(outcome.rejected_raw().len(), usize::from(input.contains("][")));
}

#[rstest]
#[case("$.data[*]", "{\"x\":1}", "nothing at `$.data`, which is on the records path `$.data[*]`")]
#[case(
    "$.a.b[*]",
    "{\"a\":{}, \"b\":[1]}",
    "nothing at `$.a.b`, which is on the records path `$.a.b[*]`"
)]
#[case(
    "$.data[*]",
    "{\"data\":{\"a\":[1]}}",
    "expected an array at `$.data` on the records path `$.data[*]`, found an object"
)]
#[case(
    "$.data[*]",
    "{\"data\":\"[1]\"}",
    "expected an array at `$.data` on the records path `$.data[*]`, found a string"
)]
#[case(
    "$.data[*]",
    "{\"data\":nul}",
    "expected an array at `$.data` on the records path `$.data[*]`, found something that is not JSON"
)]
#[case(
    "$.a.b",
    "{\"a\":null}",
    "expected an object at `$.a` on the records path `$.a.b`, found null"
)]
#[case(
    "$.data[*]",
    "[1]",
    "expected an object at `$` on the records path `$.data[*]`, found an array"
)]
#[case(
    "$[*]",
    "{\"a\":[1]}",
    "expected an array at `$` on the records path `$[*]`, found an object"
)]
#[case("$[*]", "12", "expected an array at `$` on the records path `$[*]`, found a number")]
fn a_document_without_the_path_is_rejected_whole(
    #[case] path: &str,
    #[case] document: &str,
    #[case] reason: &str,
) {
    let outcome = frame(document, &by_path(path));
    assert_eq!(outcome.records(), [""; 0]);
    assert_eq!(outcome.rejected(), [(document, reason.to_owned())], "R16");
    // And its neighbours live.
    let good = "{\"data\":[7],\"a\":{\"b\":[7]}}";
    if path == "$.data[*]" {
        let outcome = frame(format!("{good}\n{document}\n{good}"), &by_path(path));
        assert_eq!(outcome.records(), ["7", "7"], "R16");
        assert_eq!(outcome.rejected_raw(), [document]);
    }
}

#[test]
fn an_element_without_the_rest_of_the_path_is_rejected_alone() {
    let input = "{\"data\":[{\"v\":1},{\"w\":2} ,3,{\"v\":4}]}";
    let outcome = frame(input, &by_path("$.data[*].v"));
    assert_eq!(outcome.records(), ["1", "4"], "R16");
    assert_eq!(outcome.rejected_raw(), ["{\"w\":2}", "3"]);
}

#[rstest]
#[case("[1,,2]", &["1", "2"], &[(",", "expected a value, found `,`")])]
#[case("[1,,,\n,2]", &["1", "2"], &[(",,", "expected a value, found `,`"), (",", "expected a value, found `,`")])]
#[case("[,1]", &["1"], &[(",", "expected a value, found `,`")])]
#[case("[1,]\n[2]", &["1", "2"], &[("]", "expected a value, found `]`")])]
#[case("[1 2]", &["1", "2"], &[("", "expected `,` or `]`, found `2`")])]
#[case("[{}{}]", &["{}", "{}"], &[("", "expected `,` or `]`, found `{`")])]
#[case("[1]]", &["1"], &[("]", "expected a line break after `]`, found `]`")])]
#[case("[1]x", &["1"], &[("x", "expected a line break after `]`, found `x`")])]
#[case("[1] {}\n{\"a\":1}", &["1", "{\"a\":1}"], &[("{}\n", "expected a line break after `]`, found `{`")])]
#[case("[1}\n[2]", &["1", "2"], &[("}\n", "expected a value, `,` or `]`, found `}`")])]
#[case("[", &[], &[("[", "cut off: the object ends inside an unfinished array or document")])]
#[case("[{}", &["{}"], &[("", "cut off: the object ends inside an unfinished array or document")])]
#[case("[{},12", &["{}"], &[("12", "cut off: the object ends inside an unfinished array or document")])]
#[case("[{},{\"a\":[1", &["{}"], &[("{\"a\":[1", "cut off: the object ends inside an unfinished array or document")])]
#[case("{\n}}{}\n{\"a\":1}", &["{\n}", "{\"a\":1}"], &[("}{}\n", "expected a document, found `}`")])]
#[case("{\n},\n{}", &["{\n}", "{}"], &[(",", "expected a document, found `,`")])]
#[case("{\n}\n{\n", &["{\n}"], &[("{\n", "cut off: the object ends inside an unfinished array or document")])]
fn what_is_wrong_between_records_costs_no_record(
    #[case] input: &str,
    #[case] records: &[&str],
    #[case] rejected: &[(&str, &str)],
) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R16");
    let rejected: Vec<_> =
        rejected.iter().map(|(raw, reason)| (*raw, (*reason).to_owned())).collect();
    assert_eq!(outcome.rejected(), rejected, "R16");
}

#[rstest]
#[case::wrong_bracket("[\n  {\"a\":1},\n  {\"a\":[2},\n  {\"a\":3}\n]", &["{\"a\":1}", "{\"a\":3}"], &["{\"a\":[2},\n  "])]
#[case::open_string("[\n  {\"a\":1},\n  {\"a\":\"2},\n  {\"a\":\"3\"}\n]", &["{\"a\":1}", "{\"a\":\"3\"}"], &["{\"a\":\"2},\n  "])]
#[case::open_object("[\n{\"a\":1},\n{\"a\":{\"b\":2},\n{\"a\":3},\n{\"a\":4}\n]", &["{\"a\":1}", "{\"a\":3}", "{\"a\":4}"], &["{\"a\":{\"b\":2},\n"])]
#[case::one_to_a_line("[{\"a\":1},\n{\"a\":[2},\n{\"a\":3}]", &["{\"a\":1}", "{\"a\":3}"], &["{\"a\":[2},\n"])]
#[case::under_the_first("[{\"a\":1},\n {\"a\":[2},\n {\"a\":3}]", &["{\"a\":1}", "{\"a\":3}"], &["{\"a\":[2},\n "])]
#[case::next_array("[{\"a\":1},{\"a\":[2},{}]\n[{\"a\":3}]\n", &["{\"a\":1}", "{\"a\":3}"], &["{\"a\":[2},{}]\n"])]
#[case::on_one_line("[{\"a\":1},{\"a\":[2},{\"a\":3}]", &["{\"a\":1}"], &["{\"a\":[2},{\"a\":3}]"])]
#[case::lost_start("[\n  {\"a\":1},\n  :2},\n  {\"a\":3}\n]", &["{\"a\":1}", "{\"a\":3}"], &[":2},\n  "])]
#[case::last_one("[\n  {\"a\":1},\n  {\"a\":[2}\n]", &["{\"a\":1}"], &["{\"a\":[2}\n]"])]
#[case::no_comma("[\n  {\"a\":1}\n  {\"a\":2}\n]", &["{\"a\":1}", "{\"a\":2}"], &[""])]
fn an_array_goes_on_at_the_column_of_its_first_record(
    #[case] input: &str,
    #[case] records: &[&str],
    #[case] rejected: &[&str],
) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R16");
    assert_eq!(outcome.rejected_raw(), rejected, "R16");
}

#[rstest]
#[case::cut_short("{\n \"a\": 1\n}\n{\n \"a\": [2,\n{\n \"a\": 3\n}\n{\n \"a\": 4\n}\n",
    &["{\n \"a\": 1\n}", "{\n \"a\": 3\n}", "{\n \"a\": 4\n}"], &["{\n \"a\": [2,\n"])]
#[case::first_cut_short("{\n \"a\": {\n{\n \"a\": 3\n}\n", &["{\n \"a\": 3\n}"], &["{\n \"a\": {\n"])]
#[case::last_cut_short("{\n \"a\": 1\n}\n{\n \"a\": \"", &["{\n \"a\": 1\n}"], &["{\n \"a\": \""])]
#[case::cut_in_string("{\n \"a\": 1\n}\n{\n \"a\": \"x\n{\n \"a\": \"y\"\n}\n",
    &["{\n \"a\": 1\n}", "{\n \"a\": \"y\"\n}"], &["{\n \"a\": \"x\n"])]
#[case::wrong_bracket("{\n \"a\": [1\n}\n{\n \"a\": 2\n}", &["{\n \"a\": 2\n}"], &["{\n \"a\": [1\n}\n"])]
#[case::garbage_line("{\n \"a\": 1\n}\n]]]\n{\n \"a\": 2\n}",
    &["{\n \"a\": 1\n}", "{\n \"a\": 2\n}"], &["]]]\n"])]
fn documents_go_on_at_the_next_brace_in_column_0(
    #[case] input: &str,
    #[case] records: &[&str],
    #[case] rejected: &[&str],
) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R16");
    assert_eq!(outcome.rejected_raw(), rejected, "R16");
}

#[rstest]
// Balanced in spite of the fault: the parser of the record says what is wrong, and no more is lost.
#[case("[{\"a\":\"x\ny\"},{\"b\":1}]", &["{\"a\":\"x\ny\"}", "{\"b\":1}"])]
#[case("[{\"a\" 1},{\"b\":1}]", &["{\"a\" 1}", "{\"b\":1}"])]
#[case("[{\"a\":1,},{,},{\"b\":1}]", &["{\"a\":1,}", "{,}", "{\"b\":1}"])]
#[case("{\n}{\"a\":\"x\ny\"} {\"b\":1}", &["{\n}", "{\"a\":\"x\ny\"}", "{\"b\":1}"])]
fn a_broken_record_that_has_an_end_is_left_to_the_parser(
    #[case] input: &str,
    #[case] records: &[&str],
) {
    let outcome = frame(input, &by_content());
    assert_eq!(outcome.records(), records, "R16");
    assert_eq!(outcome.rejected, []);
}

#[rstest]
// Inside the array the array's own rule, around it the rule of documents.
#[case("{\"data\": [\n  {\"a\":1},\n  {\"a\":[2},\n  {\"a\":3}\n ]}\n{\"data\":[4]}", &["{\"a\":1}", "{\"a\":3}", "4"], &["{\"a\":[2},\n  "])]
#[case("{\"data\":[{\"a\":1},{\"a\":[2}]}\n{\"data\":[4]}", &["{\"a\":1}", "4"], &["{\"a\":[2}]}\n"])]
#[case("{\"m\":[1},\"data\":[1]}\n{\"data\":[2]}", &["2"], &["{\"m\":[1},\"data\":[1]}\n"])]
#[case("{\"m\" 1,\"data\":[1]}\n{\"data\":[2]}", &["2"], &["{\"m\" 1,\"data\":[1]}\n"])]
#[case("{\"m\":,\"data\":[1]}\n{\"data\":[2]}", &["2"], &["{\"m\":,\"data\":[1]}\n"])]
#[case("{,\"data\":[1]}\n{\"data\":[2]}", &["2"], &["{,\"data\":[1]}\n"])]
#[case("{\"data\":[1],}\n{\"data\":[2]}", &["1", "2"], &["}\n"])]
#[case("{\"data\":[1]]\n{\"data\":[2]}", &["1", "2"], &["]\n"])]
#[case("{\"data\":[1] \"x\":2}\n{\"data\":[2]}", &["1", "2"], &["\"x\":2}\n"])]
#[case("{\"data\":[1],\"x\":[2}\n{\"data\":[2]}", &["1", "2"], &["\"x\":[2}\n"])]
#[case("{\"data\":[1],\"x\"", &["1"], &["\"x\""])]
#[case("{\"data\":[1]", &["1"], &[""])]
#[case("{\"x\":{", &[], &["{\"x\":{"])]
#[case("{\"data", &[], &["{\"data"])]
fn a_broken_envelope_keeps_the_records_before_and_after(
    #[case] input: &str,
    #[case] records: &[&str],
    #[case] rejected: &[&str],
) {
    let outcome = frame(input, &by_path("$.data[*]"));
    assert_eq!(outcome.records(), records, "R16");
    assert_eq!(outcome.rejected_raw(), rejected, "R16");
}

#[test]
fn offsets_and_lines_count_from_the_object() {
    let outcome = frame("\u{feff}\r\n[\r\n {},\r\n {\"a\":[}\r\n,\r\n {}]", &by_content());
    assert_eq!(outcome.records, [(9, 3, b"{}".to_vec()), (28, 6, b"{}".to_vec())], "R16");
    assert_eq!((outcome.rejected[0].offset, outcome.rejected[0].line), (15, 4));
}

#[rstest]
#[case::lines("{\"a\":\"0123456789\"}\n{}\n{\"b\":1}", 8, &["{}", "{\"b\":1}"], 1)]
#[case::last_line("{}\n{}\n{\"b\":12}", 7, &["{}", "{}"], 1)]
#[case::only_long_lines("{\"a\":1}\n{\"b\":12}\n", 6, &[], 2)]
#[case::array("[{},{\"a\":\"0123456789\"},{\"b\":1}]", 8, &["{}", "{\"b\":1}"], 1)]
#[case::documents("{\n}{\"a\":\"0123456789\"}{\"b\":1}", 8, &["{\n}", "{\"b\":1}"], 1)]
fn a_record_over_the_size_limit_is_rejected_alone(
    #[case] input: &str,
    #[case] max_record_bytes: usize,
    #[case] records: &[&str],
    #[case] num_rejected: usize,
) {
    let options = FrameOptions { max_record_bytes, ..by_content() };
    let outcome = frame(input, &options);
    assert_eq!(outcome.records(), records, "R17");
    assert_eq!(outcome.rejected.len(), num_rejected);
    for one in &outcome.rejected {
        assert!(one.reason.to_string().contains("limit of --max-record"), "R17");
    }
}

#[test]
fn a_huge_record_is_streamed_over_and_its_start_kept() {
    let options = FrameOptions { max_record_bytes: 1000, ..by_content() };
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20));
    for (input, records) in [
        (format!("{{}}\n{huge}\n{{\"b\":1}}\n"), ["{}", "{\"b\":1}"]),
        (format!("[{{}},\n{huge},\n{{\"b\":1}}]\n"), ["{}", "{\"b\":1}"]),
        (format!("[{{}},{huge},{{\"b\":1}}]"), ["{}", "{\"b\":1}"]),
    ] {
        for (chunk_bytes, target_bytes) in [(usize::MAX, usize::MAX), (1000, 1), (70_001, 1 << 20)]
        {
            let bytes = input.as_bytes();
            let outcome = frame_with(bytes, &options, chunk_bytes, target_bytes, false);
            assert_eq!(outcome.records(), records, "R17");
            assert_eq!(outcome.rejected.len(), 1);
            assert_eq!(outcome.rejected[0].length, huge.len() as u64);
            assert_eq!(outcome.rejected[0].raw.len(), MAX_RAW_BYTES);
        }
    }
}

#[rstest]
#[case("[{\"a\":[[1]]},{\"a\":1}]")]
#[case("{\n\"a\":[[1]]}\n{\"a\":1}")]
fn a_record_over_the_depth_limit_is_rejected_alone(#[case] input: &str) {
    let options = FrameOptions { max_depth: 2, ..by_content() };
    let outcome = frame(input, &options);
    assert_eq!(outcome.records(), ["{\"a\":1}"], "R17");
    assert_eq!(
        outcome.rejected[0].reason.to_string(),
        "record is nested deeper than the limit of --max-depth, 2 levels"
    );
}

#[rstest]
#[case("{\"a\":1}\n{\"a\":2}\n{\"a\":", &["{\"a\":1}", "{\"a\":2}"])]
#[case("[{\"a\":1},{\"a\":2},{\"a\":", &["{\"a\":1}", "{\"a\":2}"])]
#[case("[{\"a\":1},{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"])]
fn a_reader_that_fails_is_told_behind_the_whole_records(
    #[case] input: &str,
    #[case] records: &[&str],
) {
    for chunk_bytes in [1, 3, 64] {
        for target_bytes in [1, 10, usize::MAX] {
            let options = by_path(if input.starts_with('[') { "$[*]" } else { "$" });
            let outcome = frame_with(input.as_bytes(), &options, chunk_bytes, target_bytes, true);
            assert!(outcome.failed);
            assert_eq!(outcome.records(), records);
            assert_eq!(outcome.rejected, []);
        }
    }
}

#[test]
fn lines_before_a_failure_come_out_whole() {
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1000));
    let input = format!("{}{{\"a\":", line.repeat(3000));
    for target_bytes in [1, 100_000, usize::MAX] {
        let outcome = frame_with(input.as_bytes(), &by_content(), 100_000, target_bytes, true);
        assert!(outcome.failed && outcome.lines);
        assert_eq!(outcome.records.len(), 3000);
    }
}
