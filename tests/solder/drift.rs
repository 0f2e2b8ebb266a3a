//! R11, R19: shapes only widen, every change is reported once, and all files of a table agree.

use rstest::rstest;
use solder_relationalize::{Drift, Error};

use crate::support::{Lab, key};

fn with_bookmark(settings: &mut solder_relationalize::Settings) {
    settings.bookmark = true;
    settings.keys = key("id");
}

/// R11: a batch without a column or an array still has them, in reload as in append.
#[rstest]
#[case(false)]
#[case(true)]
fn r11_columns_and_tables_stay(#[case] bookmark: bool) {
    let lab = Lab::of(r#"{"id":1,"note":"x","tags":["a"],"empty":[],"nothing":null}"#);
    let change = |settings: &mut solder_relationalize::Settings| {
        settings.keys = key("id");
        settings.bookmark = bookmark;
    };
    let first = lab.run(change);
    let columns = lab.columns("orders");
    assert_eq!(lab.tables(), ["orders", "orders__empty", "orders__tags"]);
    assert_eq!(lab.table("orders__empty").num_rows(), 0);

    lab.remove("orders/1.ndjson").write("orders/2.ndjson", r#"{"id":2}"#);
    let second = lab.run(change);
    assert_eq!(lab.tables(), ["orders", "orders__empty", "orders__tags"]);
    assert_eq!(lab.columns("orders"), columns);
    assert!(first.changes.is_empty() && second.changes.is_empty(), "{:?}", second.changes);
    let num_rows = if bookmark { (2, 1) } else { (1, 0) };
    assert_eq!((lab.table("orders").num_rows(), lab.table("orders__tags").num_rows()), num_rows);
}

/// R11: a column that only ever held null stays when objects or arrays come to its path.
#[test]
fn r11_open_columns_stay_beside_objects_and_arrays() {
    let lab = Lab::of(r#"{"id":1,"a":null,"b":null}"#);
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", r#"{"id":2,"a":{"x":1},"b":[1]}"#);
    lab.run(with_bookmark);
    let columns = lab.columns("orders");
    for name in ["a", "a__x", "b", "b__len"] {
        assert!(columns.iter().any(|column| column.contains(name)), "{name} in {columns:?}");
    }
    assert_eq!(lab.table("orders").column_by_name("a").map(|a| a.null_count()), Some(2));
    assert!(lab.table("orders").column_by_name("b").is_some());
}

/// R11: a table that never had a row still has its file, which says what it would hold.
#[test]
fn r11_empty_tables_have_a_file() {
    let lab = Lab::of(r#"{"id":1,"tags":[]}"#);
    lab.run(|settings| settings.keys = key("id"));
    assert_eq!(lab.columns("orders__tags"), ["_root_id: Int64", "_index_1: Int32", "_seq: Int64"]);
    assert_eq!(lab.manifest().entities["orders"].tables["orders__tags"].len(), 1);
}

/// R11: new columns, tables and types are reported by the run that brings them, and by no other.
#[test]
fn r11_each_change_is_reported_once() {
    let lab = Lab::of(r#"{"id":1,"n":1,"open":null}"#);
    assert!(lab.run(with_bookmark).changes.is_empty());
    lab.write("orders/2.ndjson", r#"{"id":2,"n":1.5,"tags":["x"],"m":"new","open":true}"#);
    let changes: Vec<String> =
        lab.run(with_bookmark).changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "orders.n was int64, is float64 now (from $.n)",
            "orders.open was open (only nulls so far), is boolean now (from $.open)",
            "new column orders.tags__len, int32 (from $.tags)",
            "new column orders.m, string (from $.m)",
            "new table orders__tags (from $.tags[*])",
        ]
    );
    lab.write("orders/3.ndjson", r#"{"id":3,"n":2.5,"tags":["y"],"m":"x","open":false}"#);
    assert!(lab.run(with_bookmark).changes.is_empty());
}

/// R11: `--drift freeze` fails with the list, and leaves all as it was.
#[test]
fn r11_freeze() {
    let lab = Lab::of(r#"{"id":1}"#);
    lab.run(with_bookmark);
    let (before, files) = (lab.manifest().sequence, lab.curated_files());
    lab.write("orders/2.ndjson", r#"{"id":"two","m":1}"#);
    let (error, text) = lab.fail(|settings| {
        with_bookmark(settings);
        settings.drift = Drift::Freeze;
    });
    let Error::Drift(lines) = &error else { panic!("{text}") };
    assert_eq!(error.exit_code(), 65);
    assert!(lines.iter().any(|line| line.contains("orders.id was int64")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("new column orders.m")), "{lines:?}");
    assert_eq!((lab.manifest().sequence, lab.curated_files()), (before, files));
    lab.remove("orders/2.ndjson").write("orders/3.ndjson", r#"{"id":3}"#);
    lab.run(|settings| {
        with_bookmark(settings);
        settings.drift = Drift::Freeze;
    });
    lab.shows("orders", "| id |\n| 1 |\n| 3 |");
}

/// R11: `--drift reset` forgets the shape, and so needs a run that replaces the tables.
#[test]
fn r11_reset() {
    let lab = Lab::of(r#"{"id":1,"old":1,"tags":[1]}"#);
    lab.run(|settings| settings.keys = key("id"));
    lab.write("orders/1.ndjson", r#"{"uid":"x"}"#);
    lab.run(|settings| {
        settings.keys = key("uid");
        settings.drift = Drift::Reset;
    });
    assert_eq!(lab.tables(), ["orders"]);
    lab.is("orders", "| _seq | uid |\n| 0 | x |");
    assert!(lab.curated_files().iter().all(|file| !file.starts_with("orders__tags")));
}

/// R11: under a bookmark there are rows to keep, so a reset is refused.
#[test]
fn r11_reset_under_a_bookmark() {
    let lab = Lab::of(r#"{"id":1}"#);
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", r#"{"id":2}"#);
    let (error, text) = lab.fail(|settings| {
        with_bookmark(settings);
        settings.drift = Drift::Reset;
    });
    assert!(matches!(error, Error::Conflict(_)) && text.contains("--bookmark"), "{text}");
}

/// R8, R11: another key or naming under tables that stay is refused by name.
#[test]
fn r11_another_key() {
    let lab = Lab::of(r#"{"id":1,"uid":2}"#);
    lab.run(|settings| settings.keys = key("id"));
    let (error, text) = lab.fail(|settings| settings.keys = key("uid"));
    assert_eq!(error.exit_code(), 64);
    assert!(text.contains("--key id") && text.contains("--key uid"), "{text}");
    let (_, text) = lab.fail(crate::support::glue("orders"));
    assert!(text.contains("--naming glue"), "{text}");
}

/// R13, R19: a value that does not fit widens its column in the files of earlier runs too. The
/// record of the first run, that of the second, and how the column reads then.
#[rstest]
#[case("1", "2.5", "Float64", ["1.0", "2.5"])]
#[case("1", "9223372036854775808", "Decimal128(38, 0)", ["1", "9223372036854775808"])]
#[case("1.5", "9007199254740993", "Utf8", ["1.5", "9007199254740993"])]
#[case("9007199254740993", "0.5", "Utf8", ["9007199254740993", "0.5"])]
#[case("9223372036854775808", "1e400", "Utf8", ["9223372036854775808", "1e400"])]
#[case("1", "\"x\"", "Utf8", ["1", "x"])]
#[case("true", "\"true\"", "Utf8", ["true", "true"])]
#[case("2.5", "false", "Utf8", ["2.5", "false"])]
#[case("null", "7", "Int64", ["null", "7"])]
#[case("null", "{\"a\":1}", "", ["", ""])]
fn r19_widening_rewrites_old_files(
    #[case] first: &str,
    #[case] second: &str,
    #[case] data_type: &str,
    #[case] values: [&str; 2],
) {
    let lab = Lab::of(&format!(r#"{{"id":1,"v":{first},"a":[{first}]}}"#));
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", format!(r#"{{"id":2,"v":{second},"a":[{second}]}}"#));
    lab.run(with_bookmark);
    // Reading a table checks that its files agree.
    let files = lab.manifest().entities["orders"].tables["orders"].len();
    assert_eq!((files, lab.table("orders").num_rows()), (2, 2));
    if data_type.is_empty() {
        lab.shows("orders", "| id | v__a |\n| 1 | null |\n| 2 | 1 |");
        return;
    }
    assert_eq!(lab.column_type("orders", "v"), data_type);
    assert_eq!(lab.column_type("orders__a", "value"), data_type);
    let [one, two] = values;
    lab.shows("orders", &format!("| v |\n| {one} |\n| {two} |"));
    lab.shows("orders__a", &format!("| _root_id | value |\n| 1 | {one} |\n| 2 | {two} |"));
}

/// R13, R19: in a rewritten file the type column says what the old values were.
#[test]
fn r19_types_of_rewritten_values() {
    let lab = Lab::of(r#"{"id":1,"v":1}"#);
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", r#"{"id":2,"v":"1"}"#);
    lab.run(with_bookmark);
    lab.write("orders/3.ndjson", r#"{"id":3,"v":true}"#);
    lab.run(with_bookmark);
    lab.shows(
        "orders",
        "| v    | _v__type |
         | 1    | number   |
         | 1    | string   |
         | true | boolean  |",
    );
}

/// R19: a key that widens does so in every child.
#[test]
fn r19_keys_widen_in_children() {
    let lab = Lab::of(r#"{"id":1,"a":[{"b":[1]}]}"#);
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", r#"{"id":"x","a":[{"b":[2]}]}"#);
    lab.run(with_bookmark);
    for table in ["orders__a", "orders__a__b"] {
        lab.shows(table, "| _root_id | _seq |\n| 1 | 0 |\n| x | 1 |");
    }
}

/// R4, R19: blocks, threads and row groups leave no trace in the tables, whatever types meet late.
#[test]
fn r19_results_do_not_depend_on_sizes() {
    let values =
        ["1", "2.50", "9007199254740993", "\"x\"", "true", "[1,{\"y\":2}]", "{\"z\":null}"];
    let mut lines = String::new();
    for (n, value) in values.iter().enumerate() {
        for m in 0..300 {
            let id = n * 300 + m;
            lines += &format!("{{\"id\":{id},\"v\":{value},\"w{n}\":[{value},{m}]}}\n");
        }
    }
    let read = |memory_bytes: usize, block_bytes: usize| {
        let lab = Lab::of(&lines);
        lab.run(|settings| {
            settings.memory_bytes = memory_bytes;
            settings.block_bytes = block_bytes;
        });
        lab.tables().into_iter().map(|t| (t.clone(), lab.table(&t))).collect::<Vec<_>>()
    };
    let whole = read(1 << 30, 8 << 20);
    for (memory_bytes, block_bytes) in [(1 << 30, 100), (20_000, 1_000), (4_000, 50)] {
        let other = read(memory_bytes, block_bytes);
        for ((name, expected), (_, found)) in whole.iter().zip(&other) {
            assert_eq!(expected.schema(), found.schema(), "{name}");
            assert!(expected == found, "{name} differs with {memory_bytes} and {block_bytes}");
        }
    }
}
