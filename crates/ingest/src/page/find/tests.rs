use super::*;
use crate::page::json::tests::{Style, value};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

fn found(record: &str, path: &str) -> Option<String> {
    let raw = find(record.as_bytes(), &path.parse().unwrap())?;
    Some(String::from_utf8(raw.to_vec()).unwrap())
}

#[rstest]
#[case(r#"{"a":{"b":[1,2.50]}}"#, "$.a.b[1]", Some("2.50"))]
#[case(r#" {"a" : 1 , "a" : "x" } "#, "$.a", Some("\"x\""))]
#[case(r#"{"a\u0062":null}"#, "$.ab", Some("null"))]
#[case(r#"{"a\"b":{}}"#, "$['a\\\"b']", Some("{}"))]
#[case(r#"{"\ud83d\ude00":1}"#, "$['😀']", Some("1"))]
#[case(r#"{"a":NaN,"b":-Infinity}"#, "$.b", Some("-Infinity"))]
#[case("{\"a\":\"x\ny\",\"b\":[ ]}", "$.b", Some("[ ]"))]
#[case("7", "$", Some("7"))]
#[case("[[],[0]]", "$[1][0]", Some("0"))]
#[case("[]", "$[0]", None)]
#[case("{}", "$.a", None)]
#[case("{\"a\":1}", "$.a.b", None)]
#[case("{\"0\":1}", "$[0]", None)]
#[case("[1]", "$[*]", None)]
#[case("{\"a\":1", "$.a", None)]
#[case("{\"a\":1]", "$.a", None)]
#[case("", "$", None)]
fn values_are_found(#[case] record: &str, #[case] path: &str, #[case] expected: Option<&str>) {
    assert_eq!(found(record, path).as_deref(), expected);
}

#[rstest]
#[case("\"a\\n\\u00e9\\/\"", Some("a\né/"))]
#[case(r#""\ud83d\ude00""#, Some("😀"))]
#[case(r#""\ud83dx\ude00""#, Some("\u{fffd}x\u{fffd}"))]
#[case(r#""\ud83d\u0041""#, Some("\u{fffd}A"))]
#[case(r#""\u12""#, Some(r"\u12"))]
#[case(r#""\u+123""#, Some(r"\u+123"))]
#[case(r#""\q""#, Some(r"\q"))]
#[case("\"\"", Some(""))]
#[case("12345678901234567890.50", Some("12345678901234567890.50"))]
#[case("1E400", Some("1E400"))]
#[case("true", Some("true"))]
#[case("null", None)]
#[case("{}", None)]
#[case("[1]", None)]
#[case("", None)]
fn values_become_text(#[case] raw: &str, #[case] expected: Option<&str>) {
    assert_eq!(text_of(raw.as_bytes()).as_deref(), expected);
}

/// A key is what its escapes mean, and not how it is written.
#[test]
fn i4_keys_with_backslashes() {
    let record = br#"{"\\n":"backslash and n","\n":"newline"}"#;
    let at = |name: &str| {
        let path = JsonPath::new(vec![Step::Name(name.to_owned())]);
        text_of(find(record, &path).unwrap()).unwrap().into_owned()
    };
    assert_eq!(at("\\n"), "backslash and n");
    assert_eq!(at("\n"), "newline");
}

#[test]
fn text_that_is_no_utf_8() {
    assert_eq!(text_of(b"\"a\xffb\"").as_deref(), Some("a\u{fffd}b"));
    assert_eq!(text_of(b"\"a\xff\\n\"").as_deref(), Some("a\u{fffd}\n"));
}

fn each_path(value: &Value, path: &mut Vec<Step>, check: &mut impl FnMut(&[Step], &Value)) {
    check(path, value);
    let mut inside = |step, value: &Value| {
        path.push(step);
        each_path(value, path, check);
        path.pop();
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| inside(Step::Name(name.clone()), value));
        }
        Value::Array(values) => {
            (0..).zip(values).for_each(|(index, value)| inside(Step::Index(index), value));
        }
        _ => {}
    }
}

proptest! {
    /// Agrees with serde_json at every path of any document, however it is written.
    #[test]
    fn i4_found_values_are_those_of_serde_json(value in value(), seed: u64) {
        let text = Style::new(seed).render(&value);
        let parsed: Value = serde_json::from_str(&text).unwrap();
        each_path(&parsed, &mut Vec::new(), &mut |steps, expected| {
            let raw = find(text.as_bytes(), &JsonPath::new(steps.to_vec())).unwrap();
            assert_eq!(&serde_json::from_slice::<Value>(raw).unwrap(), expected);
            if let Value::String(text) = expected {
                assert_eq!(&text_of(raw).unwrap(), text);
            }
        });
    }

    /// No bytes make it panic.
    #[test]
    fn any_bytes(bytes in "[\\[\\]{}\",:\\\\ua1 \n]{0,24}") {
        for path in ["$", "$.a", "$[1]", "$.a[0].u"] {
            let _ = find(bytes.as_bytes(), &path.parse().unwrap()).map(text_of);
        }
    }
}
