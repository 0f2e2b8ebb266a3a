use crate::page::Format;
use crate::page::tests::{Case, watched};
use proptest::prelude::*;
use rstest::rstest;

fn case(records: &'static str) -> Case {
    Case::new(Format::Xml, records)
}

/// The table of the module.
#[rstest]
#[case("<i><a>1</a><b/></i>", r#"{"a":"1","b":""}"#)]
#[case("<i x='1' y=\"&lt;&#65;&#x1F600;\"/>", r#"{"@x":"1","@y":"<A😀"}"#)]
#[case("<i><a>1</a><b>2</b><a>3</a><a k='v'/></i>", r#"{"a":["1","3",{"@k":"v"}],"b":"2"}"#)]
#[case("<i><a k='v'>t</a></i>", r##"{"a":{"@k":"v","#text":"t"}}"##)]
#[case("<i>t</i>", r##"{"#text":"t"}"##)]
#[case("<i/>", "{}")]
#[case("<i>\n  <a>\n x</a>\n</i>", r#"{"a":"\n x"}"#)]
#[case("<i> one <b>two</b> three </i>", r##"{"b":"two","#text":"one  three"}"##)]
#[case("<i><a>x<!-- <b> -->y<![CDATA[<&]]>]]&gt;z<?p ?></a></i>", r#"{"a":"xy<&]]>z"}"#)]
#[case("<i><ns:a xmlns:ns='u'>1</ns:a></i>", r##"{"ns:a":{"@xmlns:ns":"u","#text":"1"}}"##)]
#[case("<i><a b='x>y' /></i >", r#"{"a":{"@b":"x>y"}}"#)]
#[case("<i><a>l1\r\nl2\rl3</a></i>", r#"{"a":"l1\nl2\nl3"}"#)]
#[case("<i><a b='1\n2&#10;3'/></i>", r#"{"a":{"@b":"1 2\n3"}}"#)]
fn i10_elements_are_objects(#[case] element: &str, #[case] record: &str) {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r><d>{element}</d></r>\n");
    let (lines, page) = case("$.r.d.i[*]").run(body).unwrap();
    assert_eq!(lines, [record]);
    assert!(page.records_found);
}

#[rstest]
#[case("$.r.d.i", "<r><d/></r>", 0, true)]
#[case("$.r.d.i", "<r><e/></r>", 0, false)]
#[case("$.r.d.i", "<r><x><d><i/></d></x></r>", 0, false)]
#[case("$.r.d[*].i[*]", "<r><d><i/></d><d><i/><j/><i/></d></r>", 3, true)]
#[case("$", "<r><i/></r>", 1, true)]
#[case("$.r", "<r><i/></r>", 1, true)]
#[case("$.x", "<r><i/></r>", 0, false)]
fn i7_what_is_at_the_path(
    #[case] records: &'static str,
    #[case] body: &str,
    #[case] num_records: usize,
    #[case] is_found: bool,
) {
    let (lines, page) = case(records).run(body).unwrap();
    assert_eq!((lines.len(), page.records_found), (num_records, is_found));
}

/// I4: watched elements and attributes, around, besides and in records.
#[test]
fn i4_watched_values() {
    let mut case = case("$.r.d.i");
    case.watched = &["$.r.next", "$.r.@total", "$.r.d", "$.r.d.i.id", "$.r.none", "$.r.meta"];
    let body = "<r total='7'><next>a&amp;b</next><d><i><id>1</id></i><i><id>2</id></i></d><meta p='1'/></r>";
    let (lines, page) = case.run(body).unwrap();
    assert_eq!(lines, [r#"{"id":"1"}"#, r#"{"id":"2"}"#]);
    let expected = [
        Some("\"a&b\""),
        Some("\"7\""),
        Some(r#"{"i":[{"id":"1"},{"id":"2"}]}"#),
        Some("\"2\""),
        None,
        Some(r#"{"@p":"1"}"#),
    ];
    assert_eq!(watched(&page).iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    let long = format!("<r><next>{}</next></r>", "x".repeat(70_000));
    let fault = case.decode(long.as_bytes(), 1000).unwrap_err().to_string();
    assert!(fault.contains("`$.r.next`, which a rule"), "{fault}");
}

/// Trap 17 and well-formedness.
#[rstest]
#[case(
    "<!DOCTYPE html><html/>",
    "body, byte 0, at `$`: a declaration (`<!DOCTYPE`, `<!ENTITY`) is refused"
)]
#[case("<r><i>&lol;</i></r>", "body, byte 6, at `$.r.i`: a reference that is none of XML's own")]
#[case("<r><i>&#0;</i></r>", "body, byte 6, at `$.r.i`: a reference that is none of XML's own")]
#[case("<r><i>&#+1;</i></r>", "body, byte 6, at `$.r.i`: a reference that is none of XML's own")]
#[case("<r><i>a & b</i></r>", "body, byte 6, at `$.r.i`: expected `;` behind a reference")]
#[case("<r><a></b></r>", "body, byte 6, at `$.r.a`: the end tag of another element")]
#[case("</r>", "body, byte 0, at `$`: the end tag of another element")]
#[case("<r/><r/>", "body, byte 4, at `$`: a second root element")]
#[case("<r/>x<r/>", "body, byte 4, at `$`: text outside of the root element")]
#[case("<r a=1/>", "body, byte 0, at `$`: expected a quote behind an attribute's `=`")]
#[case("<r a/>", "body, byte 0, at `$`: expected `=` behind an attribute")]
#[case("<r a='1'b='2'/>", "body, byte 0, at `$`: expected a space before an attribute")]
#[case("<r a='1' a='2'/>", "body, byte 0, at `$`: two attributes of one name")]
#[case("<r a='<'/>", "body, byte 0, at `$`: `<` in an attribute's value")]
#[case("<<r>/>", "body, byte 0, at `$`: expected a name")]
#[case("<>", "body, byte 0, at `$`: expected a name")]
#[case("{\"a\":1}", "body, byte 0, at `$`: text outside of the root element")]
#[case(
    "<?xml version='1.0' encoding='ISO-8859-1'?><r/>",
    "body, byte 0: expected UTF-8, found the declaration of another encoding"
)]
#[case("<r", "body ends early, at byte 2 inside `$`: expected the end of a tag")]
#[case("<r><i>", "body ends early, at byte 6 inside `$.r.i`: expected an end tag")]
fn i10_faults_name_the_place(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(case("$.r.i").fault(body), expected);
}

#[test]
fn i10_bytes_that_are_no_utf_8() {
    let fault = case("$.r.i").fault(b"<r><i>a\xff</i></r>");
    assert_eq!(fault, "body, byte 7: expected UTF-8, found other bytes");
}

#[test]
fn i10_nesting_is_limited() {
    let fault = case("$").decode("<a>".repeat(600).as_bytes(), 7).unwrap_err().to_string();
    assert!(fault.ends_with("nested deeper than 512 levels"));
    let body = ["<a>".repeat(512), "</a>".repeat(512)].concat();
    assert!(case("$").decode(body.as_bytes(), 7).is_ok());
}

proptest! {
    /// No bytes make it panic, and the outcome does not depend on chunks.
    #[test]
    fn any_bytes(body in "(<|>|/|a|<a>|</a>|<!--|-->|<!|\\[CDATA\\[|\\]\\]>|\\?|=|'|\"|&|;| ){0,16}") {
        let _ = case("$.a").run(&body);
    }

    /// Text of any kind comes out as it went in.
    #[test]
    fn i13_text_is_kept(text in "[ -~é😀\n\t]{0,40}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        let lines = case("$.r.i").lines(format!("<r><i><a>{escaped}</a></i></r>"));
        let record: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        prop_assert_eq!(record["a"].as_str(), Some(text.as_str()));
    }
}
