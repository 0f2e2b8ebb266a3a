//! The grammar by tables of errors, the tape against `serde_json`, and the JSON test suite.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Number, Value};

use super::super::number::{Float, Integer, parse_float, parse_int, write_number};
use super::super::text::{skip_whitespace, unescape};
use super::{Kind, Limits, SyntaxError, SyntaxErrorKind, Tape, Token};

const LIMITS: Limits = Limits { max_depth: 512 };

/// Parses `text` as one value with nothing but white space around it.
fn parse_whole(text: &[u8]) -> Result<Tape, SyntaxError> {
    let mut tape = Tape::new();
    let end = tape.parse(text, 0, LIMITS)?;
    let end = skip_whitespace(text, end);
    match text.get(end) {
        None => Ok(tape),
        Some(&byte) => {
            Err(SyntaxError::new(end, SyntaxErrorKind::ExpectedValue(super::Found(byte))))
        }
    }
}

fn string_of(token: Token, text: &[u8]) -> String {
    let raw = token.bytes(text);
    match token.kind {
        Kind::String => String::from_utf8(raw.to_vec()).unwrap(),
        Kind::EscapedString => {
            let mut decoded = Vec::new();
            assert_eq!(unescape(raw, &mut decoded), 0);
            String::from_utf8(decoded).unwrap()
        }
        kind => panic!("{kind:?} is no string"),
    }
}

/// The value at token `index`, built by the tape alone.
fn rebuild(tape: &Tape, index: usize, text: &[u8]) -> Value {
    let token = tape.tokens()[index];
    let after = tape.after(index);
    match token.kind {
        Kind::Null => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Int => match parse_int(token.bytes(text)) {
            Integer::Small(value) => Value::Number(value.into()),
            Integer::Big(value) if u64::try_from(value).is_ok() => {
                Value::Number((value as u64).into())
            }
            _ => Value::Number(Number::from_f64(parse_float(token.bytes(text)).value).unwrap()),
        },
        Kind::Float => {
            Value::Number(Number::from_f64(parse_float(token.bytes(text)).value).unwrap())
        }
        Kind::String | Kind::EscapedString => Value::String(string_of(token, text)),
        Kind::Array => {
            let mut elements = Vec::new();
            let mut at = index + 2;
            while at < after {
                elements.push(rebuild(tape, at, text));
                at = tape.after(at);
            }
            assert_eq!((at, elements.len()), (after, tape.count(index) as usize));
            Value::Array(elements)
        }
        Kind::Object => {
            let mut members = Map::new();
            let mut num_members = 0;
            let mut at = index + 2;
            while at < after {
                members.insert(string_of(tape.tokens()[at], text), rebuild(tape, at + 1, text));
                num_members += 1;
                at = tape.after(at + 1);
            }
            assert_eq!((at, num_members), (after, tape.count(index)));
            Value::Object(members)
        }
        Kind::Extent => panic!("an extent is no value"),
    }
}

/// What must hold of every tape: brackets where containers say they are, extents behind
/// containers and nowhere else, each container within the one around it.
fn check_invariants(tape: &Tape, text: &[u8]) {
    let mut open: Vec<(usize, u32)> = Vec::new();
    let mut index = 0;
    while index < tape.tokens().len() {
        while open.last().is_some_and(|(after, _)| *after == index) {
            open.pop();
        }
        let token = tape.tokens()[index];
        assert!(token.start <= token.end && token.end as usize <= text.len());
        if let Some(&(after, end)) = open.last() {
            assert!(tape.after(index) <= after && token.end < end);
        }
        let brackets = match token.kind {
            Kind::Object => Some((b'{', b'}')),
            Kind::Array => Some((b'[', b']')),
            Kind::Extent => panic!("an extent stands alone"),
            _ => None,
        };
        index += 1;
        if let Some((first, last)) = brackets {
            let bytes = token.bytes(text);
            assert_eq!((bytes.first(), bytes.last()), (Some(&first), Some(&last)));
            assert_eq!(tape.tokens()[index].kind, Kind::Extent);
            open.push((tape.after(index - 1), token.end));
            index += 1;
        }
    }
}

#[test]
fn tape_lays_out_tokens_as_documented() {
    let mut tape = Tape::new();
    let text = br#"{"a":[1,2]}"#;
    assert_eq!(tape.parse(text, 0, LIMITS), Ok(11));
    let expected = [
        (Kind::Object, 0, 11),
        (Kind::Extent, 7, 1),
        (Kind::String, 2, 3),
        (Kind::Array, 5, 10),
        (Kind::Extent, 7, 2),
        (Kind::Int, 6, 7),
        (Kind::Int, 8, 9),
    ];
    let expected = expected.map(|(kind, start, end)| Token { kind, start, end });
    assert_eq!(tape.tokens(), expected);
    assert_eq!((tape.after(0), tape.count(0)), (7, 1));
    assert_eq!((tape.after(2), tape.count(2)), (3, 0));
    assert_eq!((tape.after(3), tape.count(3)), (7, 2));
    assert_eq!((tape.after(6), tape.count(6)), (7, 0));
    assert_eq!(tape.tokens()[3].bytes(text), b"[1,2]");
}

#[rstest]
#[case("[1] [2]", 0, 3, 3)]
#[case("[1] [2]", 3, 7, 3)]
#[case("{}{}", 2, 4, 2)]
#[case(" \t\r\n  12,", 0, 8, 1)]
#[case("[[],{},[ ],{ }]", 0, 15, 10)]
#[case("nullnull", 4, 8, 1)]
#[case("0", 0, 1, 1)]
#[case("-0.5e+10x", 0, 8, 1)]
#[case(r#"{"a":1,"a":2}"#, 0, 13, 6)]
fn parse_stops_behind_the_value(
    #[case] text: &str,
    #[case] start: usize,
    #[case] end: usize,
    #[case] num_tokens: usize,
) {
    let mut tape = Tape::new();
    assert_eq!(tape.parse(text.as_bytes(), start, LIMITS), Ok(end));
    assert_eq!(tape.tokens().len(), num_tokens);
    check_invariants(&tape, text.as_bytes());
    assert_eq!(tape.parse_str(text, start, LIMITS), Ok(end));
}

#[rstest]
#[case(r#"{"a":1]"#, 6, "expected `,` or `}` after a member, found `]`")]
#[case(r#"{"a":1 "b":2}"#, 7, "expected `,` or `}` after a member, found `\"`")]
#[case("[1}", 2, "expected `,` or `]` after an element, found `}`")]
#[case("[1 2]", 3, "expected `,` or `]` after an element, found `2`")]
#[case("[1.]", 3, "expected a digit in a number, found `]`")]
#[case("[,1]", 1, "expected a value or `]` after `[`, found `,`")]
#[case("[1,]", 3, "expected a value, found `]`")]
#[case("[1,,2]", 3, "expected a value, found `,`")]
#[case("{,}", 1, "expected a key or `}` after `{`, found `,`")]
#[case("{a:1}", 1, "expected a key or `}` after `{`, found `a`")]
#[case("{]", 1, "expected a key or `}` after `{`, found `]`")]
#[case(r#"{"a":1,}"#, 7, "expected a key after `,`, found `}`")]
#[case(r#"{"a":1,2:3}"#, 7, "expected a key after `,`, found `2`")]
#[case(r#"{"a" 1}"#, 5, "expected `:` after a key, found `1`")]
#[case(r#"{"a":}"#, 5, "expected a value, found `}`")]
#[case("NaN", 0, "expected a value, found `N`")]
#[case("// no", 0, "expected a value, found `/`")]
#[case("+1", 0, "expected a value, found `+`")]
#[case(".5", 0, "expected a value, found `.`")]
#[case("'a'", 0, "expected a value, found `'`")]
#[case("\u{feff}{}", 0, "expected a value, found byte 0xEF")]
#[case("[\u{c}]", 1, "expected a value, found U+000C")]
#[case("[\u{7f}]", 1, "expected a value, found U+007F")]
#[case("[01]", 1, "number with a leading zero")]
#[case("-012", 1, "number with a leading zero")]
#[case("00", 0, "number with a leading zero")]
#[case("-x", 1, "expected a digit in a number, found `x`")]
#[case("[-]", 2, "expected a digit in a number, found `]`")]
#[case("1.e5", 2, "expected a digit in a number, found `e`")]
#[case("1ex", 2, "expected a digit in a number, found `x`")]
#[case("1e+-2", 3, "expected a digit in a number, found `-`")]
#[case("[trux]", 4, "expected `true`, found `x` in it")]
#[case("nil", 1, "expected `null`, found `i` in it")]
#[case("\"a\nb\"", 2, "control character U+000A in a string")]
#[case("\"0123456789\u{0}\"", 11, "control character U+0000 in a string")]
#[case("\"\\n\u{1f}\"", 3, "control character U+001F in a string")]
#[case(r#""a\q""#, 2, "invalid escape `\\q`")]
#[case("\"\\\n\"", 1, "invalid escape `\\` before U+000A")]
#[case(r#""\u12g4""#, 5, "expected four hexadecimal digits after `\\u`, found `g`")]
#[case(r#""\u12""#, 5, "expected four hexadecimal digits after `\\u`, found `\"`")]
#[case("", 0, "expected a value, found the end")]
#[case(" \n", 2, "expected a value, found the end")]
#[case("\"abc", 4, "ends in the middle of a string")]
#[case("\"abc\\", 5, "ends in the middle of a string")]
#[case("\"abc\\u12", 8, "ends in the middle of a string")]
#[case("\"abc\\n", 6, "ends in the middle of a string")]
#[case("tru", 3, "ends in the middle of a literal")]
#[case("-", 1, "ends in the middle of a number")]
#[case("1.", 2, "ends in the middle of a number")]
#[case("1e", 2, "ends in the middle of a number")]
#[case("{", 1, "ends in the middle of an object")]
#[case(r#"{"a""#, 4, "ends in the middle of an object")]
#[case(r#"{"a":"#, 5, "ends in the middle of an object")]
#[case(r#"{"a":1"#, 6, "ends in the middle of an object")]
#[case(r#"{"a":1,"#, 7, "ends in the middle of an object")]
#[case("[", 1, "ends in the middle of an array")]
#[case("[1", 2, "ends in the middle of an array")]
#[case("[1, ", 4, "ends in the middle of an array")]
#[case("[{}", 3, "ends in the middle of an array")]
fn errors_name_place_and_reason(#[case] text: &str, #[case] offset: usize, #[case] message: &str) {
    let mut tape = Tape::new();
    let error = tape.parse(text.as_bytes(), 0, LIMITS).unwrap_err();
    assert_eq!((error.offset, error.to_string().as_str()), (offset, message));
    assert_eq!(tape.tokens(), []);
    assert_eq!(tape.parse_str(text, 0, LIMITS), Err(error));
}

#[rstest]
#[case(b"\"a\xffb\"", 2, "not UTF-8")]
#[case(b"[\"ok\",\"\xc3\xa4\",\"\xc3\"]", 12, "not UTF-8")]
#[case(b"\"\xed\xa0\x80\"", 1, "not UTF-8")] // a surrogate
#[case(b"\"\xc0\xaf\"", 1, "not UTF-8")] // overlong
#[case(b"{\"\xf5\":1,}", 2, "not UTF-8")] // before the other error
#[case(b"\"\xc3", 2, "ends in the middle of a string")]
#[case(b"\"\xc3\n\"", 2, "control character U+000A in a string")]
#[case(b"\xff", 0, "expected a value, found byte 0xFF")]
fn bytes_that_are_not_utf8_are_refused(
    #[case] text: &[u8],
    #[case] offset: usize,
    #[case] message: &str,
) {
    let error = Tape::new().parse(text, 0, LIMITS).unwrap_err();
    assert_eq!((error.offset, error.to_string().as_str()), (offset, message));
}

#[test]
fn bytes_around_the_value_may_be_anything() {
    assert_eq!(Tape::new().parse(b"\xff\xff[1]\xff", 2, LIMITS), Ok(5));
    assert_eq!(
        Tape::new().parse(b"1", 9, LIMITS),
        Err(SyntaxError::new(1, SyntaxErrorKind::Empty))
    );
}

#[rstest]
#[case(0, "1", None)]
#[case(0, "[]", Some(0))]
#[case(1, "[]", None)]
#[case(1, "[[],[]]", Some(1))]
#[case(2, "[[],[]]", None)]
#[case(2, r#"{"a":[{}]}"#, Some(6))]
#[case(3, r#"[{"a":[1]},{"a":[1]}]"#, None)]
fn r17_depth_counts_open_containers(
    #[case] max_depth: u32,
    #[case] text: &str,
    #[case] refused_at: Option<usize>,
) {
    let result = Tape::new().parse(text.as_bytes(), 0, Limits { max_depth });
    match refused_at {
        None => assert_eq!(result, Ok(text.len())),
        Some(offset) => {
            let error = SyntaxError::new(offset, SyntaxErrorKind::TooDeep { max_depth });
            assert_eq!(result, Err(error));
        }
    }
}

#[rstest]
#[case::arrays("[", "", "]")]
#[case::objects("{\"a\":", "1", "}")]
#[case::mixed("[{\"a\" : ", "null", "} ]")]
fn r17_depth_needs_no_stack(#[case] opening: &str, #[case] inside: &str, #[case] closing: &str) {
    for num_levels in [100_000, 1_000_000] {
        let text = [opening.repeat(num_levels), inside.into(), closing.repeat(num_levels)].concat();
        let mut tape = Tape::new();
        assert_eq!(tape.parse_str(&text, 0, Limits { max_depth: u32::MAX }), Ok(text.len()));
        assert_eq!(tape.after(0), tape.tokens().len());
        check_invariants(&tape, text.as_bytes());
        let error = tape.parse_str(&text, 0, LIMITS).unwrap_err();
        assert_eq!(error.to_string(), "nested deeper than 512 levels (--max-depth)");
    }
    let text = opening.repeat(10_000_000);
    let error = Tape::new().parse_str(&text, 0, LIMITS).unwrap_err();
    assert_eq!(error.kind, SyntaxErrorKind::TooDeep { max_depth: 512 });
}

#[test]
fn warm_tape_keeps_its_memory() {
    let mut tape = Tape::new();
    tape.parse(b"[1,2,3,4,5,6,7,8,9]", 0, LIMITS).unwrap();
    let capacity = tape.tokens.capacity();
    tape.parse(b"[", 0, LIMITS).unwrap_err();
    tape.parse(b"[1,2,3,4,5,6,7,8,9]", 0, LIMITS).unwrap();
    assert_eq!(tape.tokens.capacity(), capacity);
}

#[rstest]
#[case(r"plain", "plain", 0)]
#[case(r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t", 0)]
#[case(r"\u00e4\u20AC\u0000", "ä€\0", 0)]
#[case(r"\ud83d\ude00!", "😀!", 0)]
#[case(r"a\ud800b", "a\u{fffd}b", 1)]
#[case(r"\udc00\ud800", "\u{fffd}\u{fffd}", 2)]
#[case(r"\ud800\ud83d\ude00", "\u{fffd}😀", 1)]
#[case(r"\ud800\u0041", "\u{fffd}A", 1)]
#[case(r"\ud800\n", "\u{fffd}\n", 1)]
#[case(r"ää\\u0041", r"ää\u0041", 0)]
// The parser lets none of these through.
#[case(r"\", r"\", 0)]
#[case(r"\q\u12", r"\q\u12", 0)]
fn r15_lone_surrogates_are_replaced_and_counted(
    #[case] raw: &str,
    #[case] text: &str,
    #[case] num_replaced: u32,
) {
    let mut out = b"before".to_vec();
    assert_eq!(unescape(raw.as_bytes(), &mut out), num_replaced);
    assert_eq!(String::from_utf8(out).unwrap(), format!("before{text}"));
}

#[rstest]
#[case("", 0, 0)]
#[case("x ", 0, 0)]
#[case("  x", 0, 2)]
#[case(" \t\r\n                      \n  x", 0, 29)]
#[case("                ", 3, 16)]
#[case("\u{b}", 0, 0)]
#[case("\u{a0}", 0, 0)]
#[case("a", 7, 7)]
fn white_space_is_skipped(#[case] text: &str, #[case] at: usize, #[case] expected: usize) {
    assert_eq!(skip_whitespace(text.as_bytes(), at), expected);
}

#[rstest]
#[case("0", Integer::Small(0))]
#[case("-0", Integer::Small(0))]
#[case("42", Integer::Small(42))]
#[case("-999999999999999999", Integer::Small(-999_999_999_999_999_999))]
#[case("9223372036854775807", Integer::Small(i64::MAX))]
#[case("-9223372036854775808", Integer::Small(i64::MIN))]
#[case("9223372036854775808", Integer::Big(9_223_372_036_854_775_808))]
#[case("-9223372036854775809", Integer::Big(-9_223_372_036_854_775_809))]
#[case(
    "99999999999999999999999999999999999999",
    Integer::Big(99_999_999_999_999_999_999_999_999_999_999_999_999)
)]
#[case("-99999999999999999999999999999999999999", Integer::Big(-99_999_999_999_999_999_999_999_999_999_999_999_999))]
#[case("100000000000000000000000000000000000000", Integer::Huge)]
#[case("-100000000000000000000000000000000000000", Integer::Huge)]
#[case("", Integer::Huge)]
#[case("-", Integer::Huge)]
#[case("1.5", Integer::Huge)]
#[case("123456789012345678x90", Integer::Huge)]
fn r12_integers_by_the_type_that_holds_them(#[case] text: &str, #[case] expected: Integer) {
    assert_eq!(parse_int(text.as_bytes()), expected);
}

#[rstest]
#[case("0.0", 0.0, true, false)]
#[case("-0.0", 0.0, true, false)]
#[case("0e999999999999999999999", 0.0, true, false)]
#[case("0.00000000000000000000000000000000", 0.0, true, false)]
#[case("1.5", 1.5, true, false)]
#[case("-52.520008", -52.520_008, true, false)]
#[case("1E2", 100.0, true, false)]
#[case("1e+22", 1e22, true, false)]
#[case("1e23", 1e23, true, false)]
#[case("1.10000000000000000000000", 1.1, true, false)]
#[case("000.1", 0.1, true, false)]
#[case("0.1", 0.1, true, false)]
#[case("0.10000000000000001", 0.1, false, false)]
#[case("0.1000000000000000055511151231257827", 0.1, false, false)]
#[case("0.30000000000000004", 0.300_000_000_000_000_04, true, false)]
#[case("52.520006599999995", 52.520_006_599_999_995, true, false)]
#[case("52.520006599999996", 52.520_006_599_999_995, false, false)]
// ….25, halfway between two shortest texts: the one that is written is the exact one.
#[case("570000000000000.2", 570_000_000_000_000.3, true, false)]
#[case("570000000000000.3", 570_000_000_000_000.3, false, false)]
#[case("9007199254740993.0", 9_007_199_254_740_992.0, false, false)]
#[case("9007199254740994", 9_007_199_254_740_994.0, true, false)]
#[case("123456789012345678901234567890", 1.234_567_890_123_456_8e29, false, false)]
#[case("1.7976931348623157e308", f64::MAX, true, false)]
#[case("5e-324", 5e-324, true, false)]
#[case("4.9e-324", 5e-324, false, false)]
#[case("1e400", f64::INFINITY, false, true)]
#[case("-1e400", f64::NEG_INFINITY, false, true)]
#[case("1e99999999999999999999", f64::INFINITY, false, true)]
#[case("1e-400", 0.0, false, true)]
#[case("-0.01e-9999999999999999999", 0.0, false, true)]
fn r13_floats_say_what_was_lost(
    #[case] text: &str,
    #[case] value: f64,
    #[case] exact: bool,
    #[case] overflow: bool,
) {
    assert_eq!(parse_float(text.as_bytes()), Float { value, exact, overflow });
}

#[rstest]
#[case(10.0, "10")]
#[case(-0.0, "0")]
#[case(-7.0, "-7")]
#[case(9_007_199_254_740_992.0, "9007199254740992")]
#[case(-9_007_199_254_740_992.0, "-9007199254740992")]
#[case(9_007_199_254_740_994.0, "9007199254740994.0")]
#[case(0.1, "0.1")]
#[case(-1.5e-9, "-1.5e-9")]
#[case(1e300, "1e300")]
#[case(f64::NAN, "null")]
#[case(f64::INFINITY, "null")]
fn numbers_have_one_canonical_text(#[case] value: f64, #[case] text: &str) {
    let mut out = Vec::new();
    write_number(value, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

/// Any JSON value, nested up to five levels.
fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-100_000..100_000).prop_map(|cents| Value::from(f64::from(cents) / 100.0)),
        "(?s).{0,24}".prop_map(Value::String),
        "[a-zäö😀\\\\\"\n]{0,40}".prop_map(Value::String),
    ];
    scalar.prop_recursive(5, 64, 8, |inner| {
        let key = prop_oneof!["[a-z_]{1,12}", "(?s).{0,12}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// One change to a text.
#[derive(Clone, Debug)]
enum Mutation {
    Delete,
    Insert(u8),
    Replace(u8),
    InsertText(&'static str),
    Cut,
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let byte = || {
        prop_oneof![
            4 => prop::sample::select(br#"{}[],:"\0123456789-+.eEtrufalsn/b "#.to_vec()),
            1 => any::<u8>(),
        ]
    };
    let texts = [
        "\\u",
        "\\ud800",
        "\\udc00",
        "\\ud83d\\ude00",
        "\\u12G4",
        "\\n",
        "\\",
        "\t",
        "null",
        "true",
        "-0",
        "0.5",
        "1e5",
        "1e400",
        "E-7",
        ",",
        "\"\"",
        "\"a\":1",
        "{}",
        "[]",
        "[[",
        "]]",
        "\u{feff}",
        "ä",
    ];
    prop_oneof![
        Just(Mutation::Delete),
        byte().prop_map(Mutation::Insert),
        byte().prop_map(Mutation::Replace),
        prop::sample::select(texts.to_vec()).prop_map(Mutation::InsertText),
        Just(Mutation::Cut),
    ]
}

fn mutate(text: &mut Vec<u8>, at: prop::sample::Index, mutation: &Mutation) {
    let at = at.index(text.len() + 1);
    match *mutation {
        Mutation::Delete if at < text.len() => drop(text.remove(at)),
        Mutation::Replace(byte) if at < text.len() => text[at] = byte,
        Mutation::Insert(byte) => text.insert(at, byte),
        Mutation::InsertText(inserted) => drop(text.splice(at..at, inserted.bytes())),
        Mutation::Cut if text.len() - at < 8 => text.truncate(at),
        _ => {}
    }
}

/// Whether the text holds what `serde_json` refuses although it is JSON: lone surrogates, and
/// numbers beyond float64.
fn is_beyond_serde_json(tape: &Tape, text: &[u8]) -> bool {
    tape.tokens().iter().any(|token| match token.kind {
        Kind::EscapedString => unescape(token.bytes(text), &mut Vec::new()) > 0,
        Kind::Int | Kind::Float => parse_float(token.bytes(text)).value.is_infinite(),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_read_back(value in any_value()) {
        for text in [serde_json::to_vec(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap()] {
            let tape = parse_whole(&text).unwrap();
            check_invariants(&tape, &text);
            prop_assert_eq!(rebuild(&tape, 0, &text), value.clone());
        }
    }

    #[test]
    fn a_text_is_accepted_exactly_when_it_is_json(
        value in any_value(),
        is_pretty in any::<bool>(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any_mutation()), 0..4),
    ) {
        let mut text = if is_pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        for (at, mutation) in &mutations {
            mutate(&mut text, *at, mutation);
        }
        let parsed = parse_whole(&text);
        let expected = serde_json::from_slice::<Value>(&text);
        match &parsed {
            Ok(tape) => {
                check_invariants(tape, &text);
                prop_assert!(expected.is_ok() || is_beyond_serde_json(tape, &text), "{expected:?}");
            }
            Err(error) => {
                prop_assert!(expected.is_err(), "{error}");
                prop_assert!(error.offset <= text.len());
            }
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            let mut tape = Tape::new();
            let by_bytes = tape.parse(text.as_bytes(), 0, LIMITS);
            prop_assert_eq!(tape.parse_str(text, 0, LIMITS), by_bytes);
        }
    }

    #[test]
    fn a_string_ends_where_it_ends_byte_by_byte(
        inside in prop::collection::vec(prop::sample::select(b"xy!#\x1f\x20\x21[]\"\"\\\\n\x7f\xc3\xa4".to_vec()), 0..40),
    ) {
        let text = [b"\"", inside.as_slice(), b"\""].concat();
        let mut at = 1;
        let end = loop {
            match text.get(at) {
                Some(b'"') => break Some(at + 1),
                Some(b'\\') if text.get(at + 1).is_some_and(|byte| br#""\n"#.contains(byte)) => at += 2,
                None | Some(b'\\' | 0x00..0x20) => break None,
                Some(_) => at += 1,
            }
        };
        let end = end.filter(|&end| std::str::from_utf8(&text[..end]).is_ok());
        prop_assert_eq!(Tape::new().parse(&text, 0, LIMITS).ok(), end);
    }

    #[test]
    fn r15_escaped_code_units_decode_as_utf16(
        units in prop::collection::vec(
            prop_oneof![any::<u16>(), 0xd800_u16..0xdc00, 0xdc00_u16..0xe000],
            0..12,
        ),
    ) {
        let raw: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let num_lone = char::decode_utf16(units.iter().copied()).filter(Result::is_err).count();
        let mut out = Vec::new();
        prop_assert_eq!(unescape(raw.as_bytes(), &mut out) as usize, num_lone);
        prop_assert_eq!(String::from_utf8(out).unwrap(), String::from_utf16_lossy(&units));
    }

    #[test]
    fn every_integer_is_read_back(value in any::<i128>(), shift in 0_u32..127) {
        let value = value >> shift;
        let expected = match i64::try_from(value) {
            Ok(value) => Integer::Small(value),
            Err(_) if value.unsigned_abs() < 10_u128.pow(38) => Integer::Big(value),
            Err(_) => Integer::Huge,
        };
        prop_assert_eq!(parse_int(value.to_string().as_bytes()), expected);
    }

    #[test]
    fn every_float_is_written_and_read_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut text = Vec::new();
        write_number(value, &mut text);
        prop_assert_eq!(parse_float(&text), Float { value, exact: true, overflow: false });
        prop_assert!(parse_whole(&text).is_ok());
    }

    /// The other way to the same answer: both texts as digits and a power of ten.
    #[test]
    fn r13_exact_means_the_canonical_text_is_the_same_number(
        integer in "0|[1-9][0-9]{0,20}",
        fraction in "[0-9]{1,20}",
        exponent in prop_oneof![Just(0), -30..30, -400..400],
    ) {
        let text = format!("{integer}.{fraction}e{exponent}");
        let float = parse_float(text.as_bytes());
        prop_assert_eq!(float.value.to_bits(), text.parse::<f64>().unwrap().to_bits());
        let mut canonical = Vec::new();
        write_number(float.value, &mut canonical);
        let same = normalized(&text) == normalized(std::str::from_utf8(&canonical).unwrap());
        prop_assert_eq!(float.exact, same, "{} as {:?}", text, canonical);
    }
}

/// The significant digits of a number and the power of ten of its last one.
fn normalized(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power = exponent.parse::<i64>().unwrap_or(i64::MAX / 2) - fraction.len() as i64
        + (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0').to_owned();
    if significant.is_empty() { (significant, 0) } else { (significant, power) }
}

/// A folder of the corpus; none where `SOLDER_CORPUS` is not set.
fn corpus(folder: &str) -> Option<PathBuf> {
    std::env::var_os("SOLDER_CORPUS").map(|corpus| PathBuf::from(corpus).join(folder))
}

#[test]
fn json_test_suite_is_judged_right() {
    let Some(folder) = corpus("json_test_suite/test_parsing") else {
        return;
    };
    let mut num_files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let accepted = parse_whole(&text);
        match path.file_name().and_then(|name| name.to_str()).and_then(|name| name.chars().next()) {
            Some('y') => assert!(accepted.is_ok(), "{}: {accepted:?}", path.display()),
            Some('n') => assert!(accepted.is_err(), "{}", path.display()),
            _ => {}
        }
        num_files += 1;
    }
    assert!(num_files > 300, "{num_files} files");
}

#[test]
fn recorded_webhooks_are_read_as_serde_json_reads_them() {
    let Some(folder) = corpus("github_webhooks") else {
        return;
    };
    let text = fs::read_to_string(folder.join("webhooks.ndjson")).unwrap();
    let mut tape = Tape::new();
    let mut at = 0;
    for line in text.lines() {
        let end = tape.parse_str(&text, at, LIMITS).unwrap();
        assert_eq!(
            rebuild(&tape, 0, text.as_bytes()),
            serde_json::from_str::<Value>(line).unwrap()
        );
        at = skip_whitespace(text.as_bytes(), end);
    }
    assert_eq!(at, text.len());
}
