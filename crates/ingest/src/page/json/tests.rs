use crate::page::tests::{Case, watched};
use crate::page::{Decoder, Format, Limits, MAX_WATCHED_BYTES, Records};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value};

/// Writes documents in all the ways JSON allows.
pub(in crate::page) struct Style {
    seed: u64,
    is_compact: bool,
}

impl Style {
    pub(in crate::page) fn new(seed: u64) -> Self {
        Self { seed: seed | 1, is_compact: seed.is_multiple_of(3) }
    }

    fn compact() -> Self {
        Self { seed: 1, is_compact: true }
    }

    /// A number below `bound`.
    fn draw(&mut self, bound: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % bound
    }

    fn space(&mut self) -> &'static str {
        let spaces = ["", "", " ", "\n", "\r\n", "\t", "\r", "  \n  "];
        if self.is_compact { "" } else { spaces[self.draw(spaces.len())] }
    }

    fn text(&mut self, text: &str) -> String {
        let mut written = String::from("\"");
        for character in text.chars() {
            if !self.is_compact && self.draw(4) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    written += &format!("\\u{unit:04X}");
                }
            } else {
                let plain = Value::from(character.to_string()).to_string();
                written += &plain[1..plain.len() - 1];
            }
        }
        written + "\""
    }

    fn list(&mut self, brackets: [&str; 2], items: Vec<String>) -> String {
        let mut written = brackets[0].to_owned() + self.space();
        for (index, item) in items.iter().enumerate() {
            written += if index > 0 { "," } else { "" };
            written += self.space();
            written += item;
            written += self.space();
        }
        written + brackets[1]
    }

    fn object(&mut self, members: Vec<(&str, String)>) -> String {
        let members = members.into_iter().map(|(name, value)| {
            [&self.text(name), self.space(), ":", self.space(), &value].concat()
        });
        let members = members.collect();
        self.list(["{", "}"], members)
    }

    pub(in crate::page) fn render(&mut self, value: &Value) -> String {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => {
                let items = values.iter().map(|value| self.render(value)).collect();
                self.list(["[", "]"], items)
            }
            Value::Object(members) => {
                let render = |(name, value): (&String, &Value)| (name.clone(), value.clone());
                let members: Vec<_> = members.iter().map(render).collect();
                let members =
                    members.iter().map(|(name, value)| (name.as_str(), self.render(value)));
                let members = members.collect();
                self.object(members)
            }
            _ => value.to_string(),
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["(data|items|next|meta|a|b)", "[a-z\"\\\\ ü😀\n]{0,5}", any::<String>()]
}

/// Any JSON value.
pub(in crate::page) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        name().prop_map(Value::from),
        "[a-z]{60,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

const WATCHED: [&str; 7] =
    ["$.meta.next", "$.has_more", "$.missing", "$.data.after", "$.meta", "$.before[1]", "$.meta.a"];
const POINTERS: [&str; 7] =
    ["/meta/next", "/has_more", "/missing", "/data/after", "/meta", "/before/1", "/meta/a"];

proptest! {
    /// I10, I13: records are the bytes that were put in (line breaks left out), and watched values those of
    /// serde_json, at every chunk size, compressed or not, wherever the members stand in their object.
    #[test]
    fn i13_records_are_their_own_bytes(
        records in prop::collection::vec(value(), 0..6),
        others in prop::collection::vec(value(), 6),
        order in Just([0, 1, 2, 3, 4]).prop_shuffle(),
        seed: u64,
    ) {
        let mut style = Style::new(seed);
        let written: Vec<String> = records.iter().map(|record| style.render(record)).collect();
        let others: Vec<String> = others.iter().map(|other| style.render(other)).collect();
        let items = style.list(["[", "]"], written.clone());
        let [before, decoy, after, next, has_more, same] = others.try_into().unwrap();
        let data = vec![("decoy", decoy), ("items", items), ("after", after)];
        let data = style.object(data);
        let meta = style.object(vec![("x", same.clone()), ("next", next)]);
        let mut members =
            [("before", before), ("data", data), ("meta", meta), ("has_more", has_more), ("items", same)].map(Some);
        let members = order.iter().map(|&index| members[index].take().unwrap()).collect();
        let body = [style.space(), &style.object(members), style.space()].concat();

        let case = Case::json("$.data.items[*]", &WATCHED);
        let (lines, page) = case.run(&body).unwrap();
        let expected: Vec<String> =
            written.iter().map(|record| record.replace(['\n', '\r'], "")).collect();
        prop_assert_eq!(&lines, &expected);
        prop_assert!(page.records_found && page.num_repaired == 0);
        prop_assert_eq!(page.num_bytes, body.len() as u64);
        let document: Value = serde_json::from_str(&body).unwrap();
        for (value, pointer) in page.watched.iter().zip(POINTERS) {
            let value = value.as_ref().map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
            prop_assert_eq!(value.as_ref(), document.pointer(pointer));
        }
        let zipped = crate::page::inflate::tests::gzip(body.as_bytes());
        let zipped = case.decode(&zipped, 1 + (seed % 97) as usize).unwrap();
        prop_assert_eq!(zipped, (lines, page));
    }

    /// Any document is its own record, and its elements are when it is an array.
    #[test]
    fn i13_documents_are_records(value in value(), seed: u64) {
        let body = Style::new(seed).render(&value);
        let (lines, page) = Case::json("$", &[]).run(&body).unwrap();
        let parsed: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let document: Value = serde_json::from_str(&body).unwrap();
        let expected = match document {
            Value::Array(values) => values,
            Value::Null => vec![],
            other => vec![other],
        };
        prop_assert_eq!(parsed, expected);
        prop_assert!(page.records_found);
    }

    /// A compact record inside a compact page comes out byte for byte.
    #[test]
    fn i13_compact_records(values in prop::collection::vec(value(), 0..4)) {
        let mut style = Style::compact();
        let written: Vec<_> = values.iter().map(|value| style.render(value)).collect();
        let body = format!("{{\"a\":[{}]}}", written.join(","));
        prop_assert_eq!(Case::json("$.a", &[]).lines(body), written);
    }

    /// No bytes make it panic, and the outcome does not depend on chunks.
    #[test]
    fn any_bytes(body in "[\\[\\]{}\",:\\\\an1 \n\r]{0,32}") {
        let _ = Case::json("$.a", &["$.n", "$.a[0]"]).run(&body);
        let _ = Case::json("$", &["$"]).run(&body);
        let _ = Case::json("$[*].a[*]", &["$[0]"]).run(&body);
    }
}

/// The table of the module: what is at the records' path.
#[rstest]
#[case("$.a", r#"{"b":1}"#, &[], false)]
#[case("$.a", r#"{"a":null}"#, &[], true)]
#[case("$.a[*]", r#"{"a":null}"#, &[], true)]
#[case("$.a", r#"{"a":[]}"#, &[], true)]
#[case("$.a[*]", r#"{"a":[{"b":1},null,3,[4]]}"#, &[r#"{"b":1}"#, "null", "3", "[4]"], true)]
#[case("$.a", r#"{"a":{"b":1}}"#, &[r#"{"b":1}"#], true)]
#[case("$.a[*]", r#"{"a":{"b":1}}"#, &[], false)]
#[case("$.a", r#"{"a":"x"}"#, &["\"x\""], true)]
#[case("$.a[*]", r#"{"a":"x"}"#, &[], false)]
#[case("$", "[1,2]", &["1", "2"], true)]
#[case("$[*]", "[1,2]", &["1", "2"], true)]
#[case("$", "{}", &["{}"], true)]
#[case("$[*]", "{}", &[], false)]
#[case("$", "17", &["17"], true)]
#[case("$", "null", &[], true)]
#[case("$[1]", "[[1],[2,3]]", &["2", "3"], true)]
#[case("$[*].i", r#"[{"i":[1]},{},{"i":{"x":2}}]"#, &["1", r#"{"x":2}"#], true)]
#[case("$[*].i[*]", "[]", &[], true)]
#[case("$.a.b", r#"{"a":[{"b":1}]}"#, &[], false)]
#[case("$.a", r#"{"a":[1],"a":[2]}"#, &["1", "2"], true)]
#[case("$.a", r#"{"x":{"a":[1]}}"#, &[], false)]
fn i7_what_is_at_the_path(
    #[case] path: &'static str,
    #[case] body: &str,
    #[case] records: &[&str],
    #[case] is_found: bool,
) {
    let (lines, page) = Case::json(path, &[]).run(body).unwrap();
    assert_eq!(lines, records);
    assert_eq!(page.records_found, is_found);
}

/// I4: watched values, also in and around records, the last one counting.
#[rstest]
#[case("$.a", &["$.n"], r#"{"n":1,"a":[],"n":"x"}"#, &[Some("\"x\"")])]
#[case("$.a", &["$"], r#"{"a": [1]}"#, &[Some(r#"{"a": [1]}"#)])]
#[case("$.a", &["$.a"], r#"{"a":[ {}]}"#, &[Some("[ {}]")])]
#[case("$.a.b", &["$.a", "$.a.c"], r#"{"a":{"b":[1],"c":2}}"#, &[Some(r#"{"b":[1],"c":2}"#), Some("2")])]
#[case("$", &["$.n.m", "$"], r#"{"n":{"m":true}}"#, &[Some("true"), Some(r#"{"n":{"m":true}}"#)])]
#[case("$.a", &["$.a[*].id", "$.a[0]"], r#"{"a":[{"id":1},{"id":2},{}]}"#, &[Some("2"), Some(r#"{"id":1}"#)])]
#[case("$.a", &["$.l[*].u"], r#"{"a":[],"l":[{"u":1},{"u":2}]}"#, &[Some("2")])]
#[case("$.a", &["$.n"], r#"{"a":[{"n":1}]}"#, &[None])]
#[case("$.a", &["$.n", "$.n"], r#"{"n":null}"#, &[Some("null"), Some("null")])]
#[case("$.a", &["$['@odata.nextLink']"], r#"{"\u0040odata.nextLink":"u"}"#, &[Some("\"u\"")])]
fn i4_watched_values(
    #[case] path: &'static str,
    #[case] paths: &'static [&'static str],
    #[case] body: &str,
    #[case] expected: &[Option<&str>],
) {
    let (_, page) = Case::json(path, paths).run(body).unwrap();
    let found = watched(&page);
    assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
}

/// Trap 18: what is inside a record is the engine's to judge.
#[rstest]
#[case(&br#"{"a":NaN,"b":-Infinity,"c":+1,"d":.5,"e":0123}"#[..])]
#[case(br#"{"a":123456789012345678901234567890,"a":1e999}"#)]
#[case(br#"{"a":"\u0000\ud800","\udfff":"\q"}"#)]
#[case(b"{\"a\":\"\x00\t\x1f\"}")]
#[case(b"{\"a\":\"\xff\xfe\"}")]
fn i13_odd_records_pass(#[case] record: &[u8]) {
    let body = [b"{\"d\":[", record, b",1]}"].concat();
    let records = Case::json("$.d", &[]).lines(body);
    assert_eq!(records, [&*String::from_utf8_lossy(record), "1"]);
}

/// I13: a record is one line. Breaks between tokens go, raw ones in strings become escapes.
#[test]
fn i13_line_breaks() {
    let body = "[{\r\n \"a\":\n\"x\r\ny\",\r\"k\n\":[\n1\n,\n2]\n}\n,\n3\n]\n";
    let (lines, page) = Case::json("$", &[]).run(body).unwrap();
    assert_eq!(lines, [r#"{ "a":"x\r\ny","k\n":[1,2]}"#, "3"]);
    assert_eq!(page.num_repaired, 3);
    let (lines, page) = Case::json("$", &[]).run("[\"a\\\nb\"]").unwrap();
    assert_eq!((lines, page.num_repaired), (vec![r#""a\nb""#.to_owned()], 1));
}

/// I13: a raw break is found wherever it is in a string, long or short, as are its end and its escapes.
#[test]
fn i13_line_breaks_in_long_strings() {
    for length in 0..160 {
        for at in 0..=length {
            let (before, after) = ("é-ABC~x".repeat(30), "\u{7f}zü~".repeat(40));
            let (before, after) = (before.as_bytes(), after.as_bytes());
            for (written, expected) in [("\n", "\\n"), ("\r", "\\r"), ("\\\"", "\\\""), ("", "")] {
                let text = |middle: &str| {
                    [b"\"", &before[..at], middle.as_bytes(), &after[..length - at], b"\""].concat()
                };
                let body = [b"[".as_slice(), &text(written), b"]"].concat();
                let lines = Case::json("$", &[]).decode(&body, usize::MAX).unwrap().0;
                assert_eq!(lines, [String::from_utf8_lossy(&text(expected))]);
            }
        }
    }
}

/// Faults say the offset, the path, what was expected and what was found.
#[rstest]
#[case("<html>", "body, byte 0, at `$`: expected a value, found `<`")]
#[case("{\"d\":[]} {}", "body, byte 9, at `$`: expected the end of the body, found `{`")]
#[case("{\"d\":[}", "body, byte 6, at `$.d[0]`: expected a value, found `}`")]
#[case("{\"d\":[1}", "body, byte 7, at `$.d`: expected `,` or `]`, found `}`")]
#[case("{\"d\":[1,]}", "body, byte 8, at `$.d[1]`: expected a value, found `]`")]
#[case("{\"d\":[1 2]}", "body, byte 8, at `$.d`: expected `,` or `]`, found `2`")]
#[case("{\"d\":[0,{\"a\":[1}]}", "body, byte 15, at `$.d[1]`: expected `,` or `]`, found `}`")]
#[case("{\"d\":[{\"a\" 1}]}", "body, byte 11, at `$.d[0]`: expected `:`, found `1`")]
#[case("{\"d\":[{1:1}]}", "body, byte 7, at `$.d[0]`: expected a key or `}`, found `1`")]
#[case("{\"d\":[{\"a\":1,}]}", "body, byte 13, at `$.d[0]`: expected a key, found `}`")]
#[case("{\"d\":1,}", "body, byte 7, at `$`: expected a key, found `}`")]
#[case("{\"x\":'a'}", "body, byte 5, at `$.x`: expected a value, found `'`")]
#[case("{\"x\":\u{0}}", "body, byte 5, at `$.x`: expected a value, found byte 0x00")]
#[case("{\"x\" 1}", "body, byte 5, at `$.x`: expected `:`, found `1`")]
#[case("]", "body, byte 0, at `$`: expected a value, found `]`")]
#[case("{\"d\":[\"x", "body ends early, at byte 8 inside `$.d[0]`: expected a closing quote")]
#[case("{\"d", "body ends early, at byte 3 inside `$`: expected a closing quote")]
fn i10_faults_name_the_place(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(Case::json("$.d", &[]).fault(body), expected);
}

/// A key that is data is cut in a message.
#[test]
fn i10_long_keys_are_cut_in_messages() {
    let body = format!("{{\"{}\":?}}", "k".repeat(100_000));
    let fault = Case::json("$.d", &[]).decode(body.as_bytes(), 7).unwrap_err().to_string();
    assert!(fault.contains(&"k".repeat(40)) && fault.len() < 200, "{fault}");
}

/// Trap 17: nesting is limited, in records, on the way to them, and besides.
#[rstest]
#[case("$", "[", "]", 1)]
#[case("$.d", "{\"d\":[", "]}", 2)]
#[case("$.d", "{\"x\":", "}", 1)]
fn i10_nesting_is_limited(
    #[case] path: &'static str,
    #[case] before: &str,
    #[case] after: &str,
    #[case] num_levels: usize,
) {
    let body = |levels: usize| {
        let levels = levels - num_levels;
        format!("{before}{}{}{after}", "[".repeat(levels), "]".repeat(levels))
    };
    let case = Case::json(path, &[]);
    assert!(case.decode(body(512).as_bytes(), 7).is_ok());
    let fault = case.decode(body(513).as_bytes(), 7).unwrap_err().to_string();
    assert!(fault.ends_with("nested deeper than 512 levels"), "{fault}");
    assert!(case.decode("[".repeat(1 << 20).as_bytes(), 4096).is_err());
}

/// I4: a watched value over its limit is a fault that names its path, in a record or besides.
#[rstest]
#[case("$.d", "$.n", "n")]
#[case("$", "$.n", "n")]
fn i4_watched_values_have_a_limit(
    #[case] path: &'static str,
    #[case] watched_path: &'static str,
    #[case] key: &str,
) {
    let body = |length: usize| format!("{{\"{key}\":\"{}\"}}", "x".repeat(length));
    let watched: &'static [&'static str] = Box::leak(Box::new([watched_path]));
    let case = Case::json(path, watched);
    assert!(case.run(body(MAX_WATCHED_BYTES - 2)).is_ok());
    for chunk_bytes in [3, 1000, usize::MAX] {
        let body = body(MAX_WATCHED_BYTES - 1);
        let fault = case.decode(body.as_bytes(), chunk_bytes).unwrap_err().to_string();
        assert!(fault.contains("`$.n`, which a rule") && fault.ends_with("65536 bytes"), "{fault}");
    }
}

/// JSONTestSuite: what is JSON is scanned, and nothing panics. Needs `SOLDER_CORPUS`, the folder of the corpora.
#[test]
fn i10_json_test_suite() {
    let Ok(corpus) = std::env::var("SOLDER_CORPUS") else { return };
    let folder = std::path::Path::new(&corpus).join("json_test_suite/test_parsing");
    let (mut num_files, mut num_accepted) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(&path).unwrap();
        let outcome = match body.len() {
            0..10_000 => Case::json("$", &["$.a"]).run(&body),
            _ => Case::json("$", &["$.a"]).decode(&body, 1000),
        };
        assert!(outcome.is_ok() || !name.starts_with("y_"), "{name}: {outcome:?}");
        if outcome.is_ok() && name.starts_with("n_") {
            num_accepted += 1;
        }
        num_files += 1;
    }
    // Their structure is known: the engine is the one to judge them.
    println!("{num_files} files, {num_accepted} of `n_` are left to the engine");
    assert!(num_files > 300);
}

/// How fast records of 1 kB are cut: `cargo test --release -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let text = "The quick brown fox jumps over the lazy dog, \\\"again\\\" and again.";
    let record = |index: usize| {
        let fields = (0..9).map(|field| {
            format!(
                "\"field_{field}\":\"{text}\",\"n{field}\":{}.25,\"b{field}\":true",
                index * 7 + field
            )
        });
        format!(
            "{{\"id\":{index},{},\"tags\":[\"a\",\"bc\"]}}",
            fields.collect::<Vec<_>>().join(",")
        )
    };
    let short = |index: usize| {
        let fields = (0..60).map(|field| format!("\"k{field}\":\"v{index}\""));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    type Kind<'a> = (&'a str, &'a str, &'a dyn Fn(usize) -> String);
    let kinds: [Kind<'_>; 3] = [
        ("mixed", ",", &record),
        ("short fields", ",", &short),
        ("mixed, a line each", ",\n  ", &record),
    ];
    for (name, between, record) in kinds {
        let records: Vec<String> = (0..100_000).map(record).collect();
        let size_bytes = records[50_000].len();
        let body = format!("{{\"meta\":{{\"next\":1}},\"data\":[{}]}}", records.join(between));
        for path in ["$.data[*]", "$.other"] {
            let mut best = f64::MAX;
            for _ in 0..7 {
                let mut decoder = Decoder::new(
                    &Format::Json,
                    &path.parse().unwrap(),
                    &["$.meta.next".parse().unwrap()],
                    Limits::default(),
                );
                let mut into = Records::default();
                let start = std::time::Instant::now();
                for chunk in body.as_bytes().chunks(64 * 1024) {
                    into.clear();
                    decoder
                        .feed(chunk, &mut into, &mut |_| Ok::<_, crate::page::BodyFault>(()))
                        .unwrap();
                }
                assert!(decoder.finish(&mut into).unwrap().watched[0].is_some());
                best = best.min(start.elapsed().as_secs_f64());
            }
            let speed = body.len() as f64 / best / 1e6;
            println!("{name}, {size_bytes} bytes, {path}: {speed:.0} MB/s");
        }
    }
}
