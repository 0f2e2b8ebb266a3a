use crate::page::Format;
use crate::page::tests::Case;
use proptest::prelude::*;

/// I10: lines are records, blank ones are not.
#[test]
fn i10_lines() {
    let case = Case::new(Format::Ndjson, "$");
    let body = b"{\"a\":1}\r\n\n  \r\n {\"b\" : \xff} \n\r\nnot json\rtoo\n{\"c\":3}\r";
    let (lines, page) = case.run(body).unwrap();
    assert_eq!(lines, ["{\"a\":1}", " {\"b\" : \u{fffd}} ", "not json\rtoo", "{\"c\":3}"]);
    assert!(page.records_found);
    assert_eq!(page.num_bytes, body.len() as u64);
}

proptest! {
    /// I13: what is written as lines is read as them.
    #[test]
    fn i13_lines_are_their_own_bytes(
        lines in prop::collection::vec("[a-z\r ]{0,9}x", 0..9), crlf: bool, ends: bool,
    ) {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let mut body = lines.join(line_end);
        if ends {
            body += line_end;
        }
        prop_assert_eq!(Case::new(Format::Ndjson, "$").lines(body), lines);
    }
}
