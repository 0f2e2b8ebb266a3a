//! `engine nest` (R18) example by example; `round_trip` has the property.

use std::fs;

use rstest::rstest;
use solder_relationalize::relation::Naming;
use solder_relationalize::shape::Selector;
use solder_relationalize::{Error, Settings};

use crate::round_trip::json::{Json, Normal};
use crate::support::{Lab, corpus, files_below, glue, resolve};

/// R18: what every way to keep values (R14) gives back.
#[rstest]
#[case("make_cols", r#"{"a":1} {"a":"1"} {"a":true} {"a":0.5} {"a":[1]}"#, None)]
#[case("make_struct", r#"{"a":1} {"a":"1"} {"a":true} {"a":0.5} {"a":{"b":1}}"#, None)]
#[case("list", r#"{"a":[1,null,2]} {"a":[]} {"a":[null]} {"a":{"b":1}} {"a":"x"}"#, None)]
#[case("json", r#"{"a":{"b":[1,"\"é\\",null]}} {"a":"x"} {"a":[]}"#, None)]
#[case("cast:decimal(10,2)", r#"{"a":12.5} {"a":"-0.05"}"#, Some(r#"{"a":12.50} {"a":-0.05}"#))]
#[case("cast:date", r#"{"a":"2024-02-29"}"#, None)]
#[case(
    "cast:timestamp",
    r#"{"a":"2024-01-01T01:00:00+01:00"}"#,
    Some(r#"{"a":"2024-01-01T00:00:00Z"}"#)
)]
#[case(
    "cast:string",
    r#"{"a":1} {"a":"1"} {"a":true}"#,
    Some(r#"{"a":"1"} {"a":"1"} {"a":"true"}"#)
)]
#[case("project:long", r#"{"a":1} {"a":"1"} {"a":[1]}"#, Some(r#"{"a":1} {} {"a":[1]}"#))]
#[case("drop", r#"{"a":1,"b":[1]} {"a":{"c":1}}"#, Some(r#"{"b":[1]} {}"#))]
fn r18_every_action_comes_back(
    #[values(Naming::Sql, Naming::Glue)] naming: Naming,
    #[case] action: &str,
    #[case] records: &str,
    #[case] expected: Option<&str>,
) {
    let lab = Lab::of(&lines(records));
    lab.run(|settings| {
        settings.naming = naming;
        settings.rules = vec![resolve("$.a", action)];
    });
    assert_eq!(lab.nested("orders"), lines(expected.unwrap_or(records)));
}

/// R18, R10: maps come back with all of their entries, null ones too.
#[test]
fn r18_maps_come_back() {
    let record = r#"{"m":{"a b":1,"":null,"é\"":{"x":[1,{"y":2}]}},"n":1}"#;
    let text = lines(&format!(r#"{record} {{"m":{{}}}} {{"m":"no map"}}"#));
    let lab = Lab::of(&text);
    lab.run(|settings| settings.maps = vec![Selector::parse("m").unwrap()]);
    assert_eq!(lab.nested("orders"), text);
}

/// R18, R2: what `--records` picked comes back as it is, objects or not.
#[test]
fn r18_records_need_not_be_objects() {
    let lab = Lab::of(r#"{"data":[1,"x",{"value":2},[3,[4]],true,{},null]}"#);
    lab.run(|settings| settings.records = Some("$.data[*]".parse().unwrap()));
    assert_eq!(lab.nested("orders"), lines(r#"1 "x" {"value":2} [3,[4]] true {} {}"#));
}

/// R18: a record is one line, however its subtrees were laid out.
#[test]
fn r18_a_record_is_one_line() {
    let lab = Lab::new();
    lab.write("orders/1.json", "{\n \"a\": {\r\n  \"b\": \"x\\ny\"\n }\n}\n");
    lab.run(|settings| settings.rules = vec![resolve("a", "json")]);
    let text = lab.nested("orders");
    assert_eq!(text.lines().count(), 1);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["a"]["b"], "x\ny");
}

/// R17, R18: as deep as records may be.
#[test]
fn r18_deep_records_come_back() {
    let depth = 1_000;
    let deep = |open: &str, close: &str| {
        let count = depth / open.matches(['{', '[']).count();
        format!("{{\"a\":{}1{}}}", open.repeat(count), close.repeat(count))
    };
    let records = [deep("{\"a\":", "}"), deep("{\"b\":{\"c\":", "}}")];
    let lab = Lab::of(&format!("{}\n{}\n", records[0], records[1]));
    lab.run(|settings| settings.max_depth = 1_100);
    assert_eq!(lab.nested("orders"), format!("{}\n{}\n", records[0], records[1]));
    let nested = format!("{{\"a\":{}1{}}}\n", "[".repeat(60), "]".repeat(60));
    let lab = Lab::of(&nested);
    lab.run(|_| {});
    assert_eq!(lab.nested("orders"), nested);
}

/// R18: tables larger than a batch of rows, over many row groups and files.
#[rstest]
fn r18_many_rows_come_back(#[values(Naming::Sql, Naming::Glue)] naming: Naming) {
    let record = |number: usize| {
        let items: Vec<String> =
            (0..number % 4).map(|at| format!("{{\"n\":{at},\"t\":[{number},\"x\"]}}")).collect();
        format!("{{\"id\":{number},\"items\":[{}]}}\n", items.join(","))
    };
    let text: String = (0..30_000).map(record).collect();
    let lab = Lab::of(&text);
    lab.run(|settings| {
        settings.naming = naming;
        settings.block_bytes = 50_000;
        settings.memory_bytes = 500_000;
    });
    assert!(lab.nested("orders") == text);
}

/// R18: rows that belong to other records are an error that says where, never other records.
#[test]
fn r18_tables_that_do_not_fit_are_refused() {
    let lab = Lab::of(&lines(r#"{"a":[1]}"#));
    lab.run(|settings| settings.bookmark = true);
    lab.write("orders/2.ndjson", lines(r#"{"a":[2]}"#));
    lab.run(|settings| settings.bookmark = true);
    let file = |run: usize| lab.curated().join(format!("orders__a/run-{run}-0.parquet"));
    fs::copy(file(1), file(2)).unwrap();
    let error = lab.try_nest("orders").unwrap_err();
    assert_eq!(
        error.to_string(),
        "table `orders__a` does not fit its parent at record 1: its next row is of record 0"
    );
    assert_eq!(error.exit_code(), 65);
}

#[rstest]
#[case(
    r#"{"a":[1,2]} {"a":[]}"#,
    r#"{"a":[1]} {"a":[2]}"#,
    "at record 0: its next row is of record 1"
)]
#[case(r#"{"a":[1]} {}"#, r#"{"a":[1,1]} {}"#, "at record 0: it has more rows")]
#[case(r#"{"a":[1,2]} {}"#, r#"{"a":[1]} {}"#, "at record 0: it has fewer rows")]
#[case(
    r#"{"a":[[1],[2]]} {}"#,
    r#"{"a":[[1,2],[]]} {}"#,
    "at record 0: positions in its arrays are not in order"
)]
fn r18_rows_are_counted(#[case] records: &str, #[case] other: &str, #[case] problem: &str) {
    let lab = Lab::of(&lines(records));
    lab.run(|_| {});
    let others = Lab::of(&lines(other));
    others.run(|_| {});
    let table = lab.tables().pop().unwrap();
    let file = format!("{table}/run-1-0.parquet");
    fs::copy(others.curated().join(&file), lab.curated().join(&file)).unwrap();
    let error = lab.try_nest("orders").unwrap_err();
    assert!(error.to_string().contains(problem), "{error}");
}

/// R18, R7: in the Glue profile it is the join keys that have to agree.
#[test]
fn r18_join_keys_are_checked() {
    let lab = Lab::of(&lines(r#"{"a":[1]}"#));
    let run = |settings: &mut Settings| {
        glue("orders")(settings);
        settings.bookmark = true;
    };
    lab.run(run);
    lab.write("orders/2.ndjson", lines(r#"{"a":[2]}"#));
    lab.run(run);
    let file = |run: usize| lab.curated().join(format!("orders_a/run-{run}-0.parquet"));
    fs::copy(file(1), file(2)).unwrap();
    let error = lab.try_nest("orders").unwrap_err().to_string();
    assert!(error.contains("table `orders_a` does not fit its parent at record 0"), "{error}");
}

#[test]
fn a_file_of_another_table_is_refused() {
    let lab = Lab::of(&lines(r#"{"a":[1]}"#));
    lab.run(|_| {});
    let file = |table: &str| lab.curated().join(format!("{table}/run-1-0.parquet"));
    fs::copy(file("orders"), file("orders__a")).unwrap();
    assert!(matches!(lab.try_nest("orders"), Err(Error::Decode { .. })));
}

#[test]
fn unknown_tables_are_named() {
    let lab = Lab::of(&lines(r#"{"a":[1]}"#));
    lab.write("visits/1.json", "{}");
    lab.run(|_| {});
    let message = |table: &str| lab.try_nest(table).unwrap_err().to_string();
    assert!(message("order").ends_with("; there are `orders`, `visits`"), "{}", message("order"));
    assert!(message("orders__a").ends_with("take its root table, `orders`"));
    assert_eq!(lab.try_nest("order").unwrap_err().exit_code(), 66);
}

/// R18: real data comes back, value by value.
#[rstest]
fn r18_the_corpus_comes_back(#[values(Naming::Sql, Naming::Glue)] naming: Naming) {
    let Some(corpus) = corpus("r18_the_corpus_comes_back") else { return };
    for folder in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()) {
        // The suite of JSON syntax is no data.
        if !folder.is_dir() || folder.ends_with("json_test_suite") {
            continue;
        }
        let lab = Lab::new();
        let mut expected = Vec::new();
        for file in files_below(&folder) {
            let key = file.strip_prefix(&folder).unwrap().to_str().unwrap();
            let is_hidden = key.split('/').any(|part| part.starts_with(['_', '.']));
            let is_data =
                !is_hidden && [".json", ".ndjson", ".jsonl"].iter().any(|end| key.ends_with(end));
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let Some(records) = documents(&text).filter(|_| is_data) else { continue };
            lab.write(key, &text);
            expected.extend(records.into_iter().flat_map(|document| match document {
                Json::Array(records) => records,
                record => vec![record],
            }));
        }
        expected.retain(|record| matches!(record, Json::Object(_)));
        if expected.is_empty() {
            continue;
        }
        lab.run(|settings| {
            settings.table = Some("all".to_owned());
            settings.naming = naming;
            settings.block_bytes = 100_000;
            settings.memory_bytes = 8 << 20;
        });
        let text = lab.nested("all");
        let normal = Normal { timestamps: false, exact_numbers: false };
        assert_eq!(text.lines().count(), expected.len(), "{}", folder.display());
        for (found, record) in text.lines().zip(&expected) {
            let found = normal.of(&Json::parse(found).expect(found));
            assert!(found == normal.of(record), "{}: {record}", folder.display());
        }
    }
}

/// The documents of a text; `None` when it is no JSON.
fn documents(text: &str) -> Option<Vec<Json>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let mut documents = Vec::new();
    let mut start = 0;
    while let Some(value) = values.next() {
        value.ok()?;
        let end = values.byte_offset();
        documents.push(Json::parse(text[start..end].trim_start_matches('\u{feff}'))?);
        start = end;
    }
    Some(documents)
}

/// The documents of a text, one a line.
fn lines(text: &str) -> String {
    let documents = documents(text).unwrap();
    documents.iter().map(|document| format!("{document}\n")).collect()
}
