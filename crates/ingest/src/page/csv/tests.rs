use crate::page::Format;
use crate::page::tests::Case;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value};

fn case(delimiter: u8, columns: Option<&[&str]>) -> Case {
    let columns = columns.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    Case::new(Format::Csv { delimiter, columns }, "$")
}

/// The table of the module.
#[rstest]
#[case("a,b\n1,2\n", &[r#"{"a":"1","b":"2"}"#])]
#[case("a,b\r\n1,\r\n,2", &[r#"{"a":"1","b":""}"#, r#"{"a":"","b":"2"}"#])]
#[case("a,b\r1,2\r", &[r#"{"a":"1","b":"2"}"#])]
#[case("a,b\n,", &[r#"{"a":"","b":""}"#])]
#[case("a,b\n\"\",\"x\"", &[r#"{"a":"","b":"x"}"#])]
#[case("\n\na\n\n1\n\n2\n\n", &[r#"{"a":"1"}"#, r#"{"a":"2"}"#])]
#[case("\"a \"\"q\"\"\"\n\"1,\"\"\r\n2\"\n", &[r#"{"a \"q\"":"1,\"\r\n2"}"#])]
#[case("a\n5\" pipe\n", &[r#"{"a":"5\" pipe"}"#])]
#[case("a\n\t\\\u{1}\n", &[r#"{"a":"\t\\\u0001"}"#])]
#[case("a\n 1 \n", &[r#"{"a":" 1 "}"#])]
#[case("a,b\n", &[])]
#[case("größe\nü\n", &[r#"{"größe":"ü"}"#])]
fn i10_rows(#[case] body: &str, #[case] records: &[&str]) {
    let (lines, page) = case(b',', None).run(body).unwrap();
    assert_eq!(lines, records);
    assert!(page.records_found);
}

#[test]
fn i10_given_columns_and_delimiter() {
    let case = case(b';', Some(&["x", "y"]));
    assert_eq!(case.lines("1,5;2\n"), [r#"{"x":"1,5","y":"2"}"#]);
    assert!(case.run("").unwrap().1.records_found);
}

/// Bytes that are no UTF-8 are kept for the engine to judge.
#[test]
fn i13_bytes_are_kept() {
    let mut records = crate::page::Records::default();
    let format = Format::Csv { delimiter: b',', columns: None };
    let root = crate::page::JsonPath::root();
    let mut decoder = crate::page::Decoder::new(&format, &root, &[], Default::default());
    decoder.feed(b"a\n\xff\n", &mut records, &mut |_| Ok::<_, crate::page::BodyFault>(())).unwrap();
    assert_eq!(records.last(), Some(&b"{\"a\":\"\xff\"}"[..]));
}

#[rstest]
#[case("a,b\n1,2\n\n3\n", "body, line 4: expected 2 fields, found 1")]
#[case("a,b\r\n\"x\r\ny\",2\r\n1,2,3", "body, line 4: expected 2 fields, found 3")]
#[case("a,b\r\"x\ry\",2\r1", "body, line 4: expected 2 fields, found 1")]
#[case(
    "a\n\"x\"y\n",
    "body, byte 5, row at line 2: expected a delimiter or the end of the line behind a closing quote"
)]
#[case("a,b,a\n", "body, line 1: columns 1 and 3 have the same name")]
fn i10_faults_name_the_line(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(case(b',', None).fault(body), expected);
}

proptest! {
    /// Agrees with the `csv` crate on what that crate writes.
    #[test]
    fn i10_rows_are_those_of_the_csv_crate(
        rows in prop::collection::vec(prop::collection::vec("[a\",\n\r;\\\\ é]{0,5}", 3), 0..6),
        crlf: bool,
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer =
            csv::WriterBuilder::new().terminator(terminator).delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["x", "y\"", "z"]).unwrap();
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        let body = writer.into_inner().unwrap();
        let lines = case(delimiter, None).lines(body);
        let found: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let object = |row: &Vec<String>| {
            let members = ["x", "y\"", "z"].iter().zip(row);
            Value::from(members.map(|(&key, value)| (key.to_owned(), Value::from(value.as_str()))).collect::<Map<_, _>>())
        };
        prop_assert_eq!(found, rows.iter().map(object).collect::<Vec<_>>());
    }

    /// No bytes make it panic, and the outcome does not depend on chunks.
    #[test]
    fn any_bytes(body in "[a,\"\n\r]{0,24}") {
        let _ = case(b',', None).run(&body);
        let _ = case(b',', Some(&["a", "b"])).run(&body);
    }
}
