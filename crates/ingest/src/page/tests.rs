//! What all formats have in common, and what the tests of each of them use.

use super::*;
use rstest::rstest;

/// Byte boundaries are hostile: every body is decoded at each of these chunk sizes.
pub(super) const CHUNK_BYTES: [usize; 9] = [1, 2, 3, 5, 7, 16, 61, 1024, usize::MAX];

pub(super) type Outcome = Result<(Vec<String>, Page), BodyFault>;

pub(super) struct Case {
    pub(super) format: Format,
    pub(super) records: &'static str,
    pub(super) watched: &'static [&'static str],
    pub(super) limits: Limits,
}

impl Case {
    pub(super) fn new(format: Format, records: &'static str) -> Self {
        Self { format, records, watched: &[], limits: Limits::default() }
    }

    pub(super) fn json(records: &'static str, watched: &'static [&'static str]) -> Self {
        Self { watched, ..Self::new(Format::Json, records) }
    }

    /// The outcome at one chunk size; records as text, with what is no UTF-8 replaced.
    pub(super) fn decode(&self, body: &[u8], chunk_bytes: usize) -> Outcome {
        let watched: Vec<JsonPath> =
            self.watched.iter().map(|path| path.parse().unwrap()).collect();
        let mut decoder =
            Decoder::new(&self.format, &self.records.parse().unwrap(), &watched, self.limits);
        let mut lines = Vec::new();
        let mut records = Records::default();
        let mut keep = |records: &mut Records| {
            let text = String::from_utf8_lossy(records.bytes());
            assert_eq!(text.matches('\n').count(), records.iter().len(), "{text}");
            lines.extend(records.iter().map(|record| String::from_utf8_lossy(record).into_owned()));
            records.clear();
        };
        for chunk in body.chunks(chunk_bytes.min(body.len().max(1))) {
            decoder.feed(chunk, &mut records, &mut |_| Ok::<_, BodyFault>(()))?;
            keep(&mut records);
        }
        let page = decoder.finish(&mut records)?;
        keep(&mut records);
        assert_eq!(page.num_records, lines.len() as u64);
        Ok((lines, page))
    }

    /// The outcome, which is the same at all chunk sizes.
    pub(super) fn run(&self, body: impl AsRef<[u8]>) -> Outcome {
        let whole = self.decode(body.as_ref(), usize::MAX);
        for chunk_bytes in CHUNK_BYTES {
            assert_eq!(self.decode(body.as_ref(), chunk_bytes), whole, "chunks of {chunk_bytes}");
        }
        whole
    }

    pub(super) fn lines(&self, body: impl AsRef<[u8]>) -> Vec<String> {
        self.run(body).unwrap().0
    }

    pub(super) fn fault(&self, body: impl AsRef<[u8]>) -> String {
        self.run(body).unwrap_err().to_string()
    }
}

/// Watched values as text.
pub(super) fn watched(page: &Page) -> Vec<Option<String>> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    page.watched.iter().map(|value| value.as_deref().map(text)).collect()
}

fn csv() -> Format {
    Format::Csv { delimiter: b',', columns: None }
}

/// I10: an empty body is a page without its records' path, in every format, and no fault.
#[rstest]
fn i10_an_empty_body_is_no_fault(
    #[values(Format::Json, Format::Ndjson, Format::Xml, csv())] format: Format,
    #[values(&b""[..], b"\xef\xbb\xbf")] body: &[u8],
) {
    let mut case = Case::new(format, "$.a");
    case.watched = &["$.b"];
    let (lines, page) = case.run(body).unwrap();
    assert!(lines.is_empty() && !page.records_found);
    assert_eq!(page.watched, [None]);
    assert_eq!(page.num_bytes, body.len() as u64);
}

/// Trap 18: a byte order mark is no part of the document; offsets start behind it.
#[rstest]
#[case(Format::Json, "$", "[{\"a\":\"1\"}]")]
#[case(Format::Ndjson, "$", "{\"a\":\"1\"}\n")]
#[case(csv(), "$", "a\n1\n")]
#[case(Format::Xml, "$.r.i", "<r><i><a>1</a></i></r>")]
fn i10_marks_are_skipped(
    #[case] format: Format,
    #[case] records: &'static str,
    #[case] body: &str,
) {
    let case = Case::new(format, records);
    assert_eq!(case.lines(body), ["{\"a\":\"1\"}"]);
    assert_eq!(case.lines(format!("\u{feff}{body}")), ["{\"a\":\"1\"}"]);
}

/// UTF-16 is told by its mark; half a mark is garbage like any other.
#[test]
fn i10_utf_16_is_named() {
    let case = Case::json("$", &[]);
    assert_eq!(case.fault(b"\xff\xfe[\0]\0"), "body, byte 0: expected UTF-8, found UTF-16");
    assert_eq!(case.fault(b"\xef\xbb"), "body, byte 0, at `$`: expected a value, found byte 0xef");
}

/// I7: a body that stopped early may come whole the next time.
#[rstest]
#[case(Format::Json, "{\"a\":[{}", "body ends early, at byte 8 inside `$.a`: expected `,` or `]`")]
#[case(
    Format::Json,
    "{\"a\":[{\"b\":",
    "body ends early, at byte 11 inside `$.a[0]`: expected a value"
)]
#[case(Format::Xml, "<r><a/>", "body ends early, at byte 7 inside `$.r`: expected an end tag")]
#[case(csv(), "a\n\"x", "body ends early, at byte 4 inside `$[0]`: expected a closing quote")]
fn i7_cut_off(#[case] format: Format, #[case] body: &str, #[case] expected: &str) {
    let fault = Case::new(format, "$.a").run(body).unwrap_err();
    assert!(fault.is_cut_off());
    assert_eq!(fault.to_string(), expected);
}

/// I10: the limit on a body holds for plain bytes too.
#[rstest]
fn i10_plain_bodies_have_a_limit(
    #[values(Format::Json, Format::Ndjson, Format::Xml, csv())] format: Format,
) {
    let mut case = Case::new(format, "$");
    case.limits.max_body_bytes = 3;
    assert_eq!(
        case.fault("      "),
        "body is over the limit of `max_body_bytes`, 3, behind its compression"
    );
}

/// I10: and so does the one on a record.
#[rstest]
#[case(Format::Json, "$", "[{},{\"a\":\"12345\"}]", "$[1]")]
#[case(Format::Ndjson, "$", "{}\n{\"a\":\"12345\"}\n", "$[1]")]
#[case(Format::Ndjson, "$", "{}\n{\"a\":\"12345\"", "$[1]")]
#[case(csv(), "$", "a\n1\n12345\n", "$[1]")]
#[case(csv(), "$", "a,b,c,d,e,f,g,h,i,j,k,l\n1", "$[0]")]
#[case(Format::Xml, "$.r.i", "<r><i/><i><a>1</a></i></r>", "$.r.i")]
fn i10_records_have_a_limit(
    #[case] format: Format,
    #[case] records: &'static str,
    #[case] body: &str,
    #[case] at: &str,
) {
    let mut case = Case::new(format, records);
    case.limits.max_record_bytes = 11;
    for chunk_bytes in CHUNK_BYTES {
        let fault = case.decode(body.as_bytes(), chunk_bytes).unwrap_err().to_string();
        let end = "record is over the limit of `max_record_bytes`, 11";
        assert!(fault.contains(at) && fault.ends_with(end), "{fault}");
    }
}

/// How fast the formats are: `cargo test --release -- --ignored --nocapture format_speed`.
#[test]
#[ignore = "a measurement"]
fn format_speed() {
    let text = "The quick brown fox jumps over the lazy dog";
    let json = |index: usize| {
        let fields = (0..18).map(|field| format!("\"field_{field}\":\"{text}{index}\""));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    let pretty = |index: usize| json(index).replace("\",", "\",\n      ");
    let row = |index: usize| vec![format!("\"{text}\",{text}{index}"); 10].join(",");
    let item = |index: usize| format!("<i>{}</i>", format!("<f>{text}{index}</f>").repeat(18));
    let all = |record: &dyn Fn(usize) -> String, between: &str| {
        (0..50_000).map(record).collect::<Vec<_>>().join(between)
    };
    let header = (0..20).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let array = format!("[{}]", all(&json, ","));
    let zipped = super::inflate::tests::gzip(array.as_bytes());
    let bodies = [
        ("json", Format::Json, "$", array.into_bytes()),
        ("json.gz (its compressed bytes)", Format::Json, "$", zipped),
        ("json, indented", Format::Json, "$", format!("[{}]", all(&pretty, ",\n")).into_bytes()),
        ("ndjson", Format::Ndjson, "$", all(&json, "\n").into_bytes()),
        ("csv", csv(), "$", format!("{header}\n{}", all(&row, "\n")).into_bytes()),
        ("xml", Format::Xml, "$.r.i", format!("<r>{}</r>", all(&item, "\n")).into_bytes()),
    ];
    for (name, format, records, body) in bodies {
        let mut best = f64::MAX;
        let mut num_plain = 0;
        for _ in 0..5 {
            let path = records.parse().unwrap();
            let mut decoder = Decoder::new(&format, &path, &[], Limits::default());
            let mut into = Records::default();
            let start = std::time::Instant::now();
            for chunk in body.chunks(64 * 1024) {
                let full = &mut |records: &mut Records| {
                    records.clear();
                    Ok::<_, BodyFault>(())
                };
                decoder.feed(chunk, &mut into, full).unwrap();
            }
            let page = decoder.finish(&mut into).unwrap();
            assert_eq!(page.num_records, 50_000);
            num_plain = page.num_bytes;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name}: {:.0} MB/s of plain bytes", num_plain as f64 / best / 1e6);
    }
}
