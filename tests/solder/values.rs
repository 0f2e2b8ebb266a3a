//! R12 to R15: what becomes of scalars.

use rstest::rstest;
use solder_relationalize::Settings;
use solder_relationalize::shape::{OnCastError, Selector};

use crate::support::{Lab, key, resolve};

/// One record per value, in the column `v`.
fn lab_of(values: &[&str]) -> Lab {
    let record = |value: &&str| format!("{{\"v\":{value}}}\n");
    Lab::of(&values.iter().map(record).collect::<String>())
}

/// Checks column `v`: one cell per record.
#[track_caller]
fn holds(lab: &Lab, data_type: &str, cells: &[&str]) {
    assert_eq!(lab.column_type("orders", "v"), data_type);
    lab.shows("orders", &format!("| v |\n| {} |", cells.join(" |\n| ")));
}

const D38: &str = "Decimal128(38, 0)";
const TIMESTAMP: &str = "Timestamp(µs, \"UTC\")";

/// R12: the type of a column, by its values.
#[rstest]
#[case(&["true", "false", "null"], "Boolean", &["true", "false", "null"])]
#[case(&["1", "-5", "-0"], "Int64", &["1", "-5", "0"])]
#[case(&["9223372036854775807", "-9223372036854775808"], "Int64",
    &["9223372036854775807", "-9223372036854775808"])]
#[case(&["9223372036854775808"], D38, &["9223372036854775808"])]
#[case(&["-9223372036854775809", "1"], D38, &["-9223372036854775809", "1"])]
#[case(&["99999999999999999999999999999999999999"], D38, &["99999999999999999999999999999999999999"])]
#[case(&["1.5", "-2e3"], "Float64", &["1.5", "-2000.0"])]
#[case(&["\"a\"", "\"\""], "Utf8", &["a", ""])]
#[case(&["\"2024-01-01T00:00:00Z\""], "Utf8", &["2024-01-01T00:00:00Z"])]
#[case(&["\"12\"", "\"true\""], "Utf8", &["12", "true"])]
fn r12_types(#[case] values: &[&str], #[case] data_type: &str, #[case] cells: &[&str]) {
    let lab = lab_of(values);
    lab.run(|_| {});
    holds(&lab, data_type, cells);
    assert_eq!(lab.table("orders").num_columns(), 3, "no type column beside a plain one");
}

/// R13: types that meet, in both orders.
#[rstest]
#[case(&["1", "2.5"], "Float64", &["1.0", "2.5"])]
#[case(&["9007199254740992", "0.5"], "Float64", &["9007199254740992.0", "0.5"])]
#[case(&["-9007199254740992", "0.5"], "Float64", &["-9007199254740992.0", "0.5"])]
#[case(&["9007199254740993", "0.5"], "Utf8", &["9007199254740993", "0.5"])]
#[case(&["-9007199254740993", "0.5"], "Utf8", &["-9007199254740993", "0.5"])]
#[case(&["1", "9223372036854775808"], D38, &["1", "9223372036854775808"])]
#[case(&["0.5", "9223372036854775808"], "Utf8", &["0.5", "9223372036854775808"])]
#[case(&["1", "123456789012345678901234567890123456789"], "Utf8",
    &["1", "123456789012345678901234567890123456789"])]
#[case(&["2.5", "1e400"], "Utf8", &["2.5", "1e400"])]
#[case(&["-1e400"], "Utf8", &["-1e400"])]
#[case(&["null", "1"], "Int64", &["null", "1"])]
fn r13_types_that_meet(#[case] values: &[&str], #[case] data_type: &str, #[case] cells: &[&str]) {
    let lab = lab_of(values);
    lab.run(|_| {});
    holds(&lab, data_type, cells);
    let lab = lab_of(&values.iter().rev().copied().collect::<Vec<_>>());
    lab.run(|_| {});
    holds(&lab, data_type, &cells.iter().rev().copied().collect::<Vec<_>>());
}

/// R13: decimals beyond float64's digits are rounded and counted, or kept as text.
#[test]
fn r13_long_decimals() {
    let values = ["0.1", "0.12345678901234567890", "3.141592653589793"];
    let lab = lab_of(&values);
    assert_eq!(lab.run(|_| {}).counts.rounded_numbers, 1);
    holds(&lab, "Float64", &["0.1", "0.12345678901234568", "3.141592653589793"]);

    let lab = lab_of(&values);
    let report = lab.run(|settings| settings.exact_numbers = true);
    assert_eq!(report.counts.rounded_numbers, 0);
    holds(&lab, "Utf8", &values);
}

/// R13: scalars that truly differ keep their type beside them; `"1"` and `1` stay apart.
#[test]
fn r13_mixed_scalars() {
    let lab = lab_of(&["1", "\"1\"", "true", "\"true\"", "null", "2.50", "9223372036854775808"]);
    let report = lab.run(|_| {});
    lab.shows(
        "orders",
        "| v    | _v__type |
         | 1    | number   |
         | 1    | string   |
         | true | boolean  |
         | true | string   |
         | null | null     |
         | 2.5  | number   |
         | 9223372036854775808 | number |",
    );
    let choice = &report.choices[0];
    assert_eq!(choice.path, "$.v");
    assert_eq!(choice.kept_as, ["orders.v", "orders._v__type"]);
}

/// R13: object, array and scalar at one path live side by side.
#[test]
fn r13_object_array_and_scalar() {
    let lab = lab_of(&["{\"a\":1}", "[1,2]", "3", "{}", "[]", "null"]);
    lab.run(|_| {});
    lab.shows(
        "orders",
        "| v    | v__a | v__len |
         | null | 1    | null   |
         | null | null | 2      |
         | 3    | null | null   |
         | null | null | null   |
         | null | null | 0      |
         | null | null | null   |",
    );
    lab.shows("orders__v", "| _index_1 | _seq | value |\n| 0 | 1 | 1 |\n| 1 | 1 | 2 |");
}

/// R12: `--timestamps` converts a column whose values all are RFC 3339 and convert without loss.
#[rstest]
#[case(&["\"2024-02-29T12:00:00Z\"", "null"], TIMESTAMP, &["2024-02-29T12:00:00Z", "null"])]
#[case(&["\"2024-02-29T12:00:00.123456+02:00\""], TIMESTAMP, &["2024-02-29T10:00:00.123456Z"])]
#[case(&["\"2024-02-29T12:00:00.1234567Z\""], "Utf8", &["2024-02-29T12:00:00.1234567Z"])]
#[case(&["\"2024-02-29T12:00:00+02:00\"", "\"soon\""], "Utf8", &["2024-02-29T12:00:00+02:00", "soon"])]
#[case(&["\"2024-02-30T12:00:00Z\""], "Utf8", &["2024-02-30T12:00:00Z"])]
#[case(&["\"2024-02-29\""], "Utf8", &["2024-02-29"])]
fn r12_timestamps(#[case] values: &[&str], #[case] data_type: &str, #[case] cells: &[&str]) {
    let lab = lab_of(values);
    lab.run(|settings| settings.timestamps = true);
    holds(&lab, data_type, cells);
}

/// R4, R12: a late value that is none leaves the strings as they were, also those in files that
/// were written before it came.
#[test]
fn r12_a_late_value_that_is_no_timestamp() {
    let mut lines = "{\"v\":\"2024-02-29T12:00:00.500+02:00\"}\n".repeat(500);
    lines += "{\"v\":\"soon\"}\n";
    let read = |memory_bytes: usize, block_bytes: usize| {
        let lab = Lab::of(&lines);
        lab.run(|settings| {
            settings.timestamps = true;
            settings.memory_bytes = memory_bytes;
            settings.block_bytes = block_bytes;
        });
        lab.table("orders")
    };
    let whole = read(1 << 30, 8 << 20);
    let text = crate::support::pretty(&whole);
    assert_eq!(text.matches("2024-02-29T12:00:00.500+02:00").count(), 500);
    assert!(whole == read(4_000, 200), "memory decides what the column holds");
}

/// R12, R19: in a later run the column becomes text, and the instants stay.
#[test]
fn r12_a_later_run_with_no_timestamp() {
    let lab = lab_of(&["\"2024-02-29T12:00:00Z\""]);
    let change = |settings: &mut Settings| {
        settings.timestamps = true;
        settings.bookmark = true;
    };
    lab.run(change);
    lab.write("orders/2.ndjson", "{\"v\":\"soon\"}");
    lab.run(change);
    holds(&lab, "Utf8", &["2024-02-29T12:00:00Z", "soon"]);
}

/// R14: casts that succeed.
#[rstest]
#[case("cast:string", &["1", "1.50", "true", "\"x\""], "Utf8", &["1", "1.50", "true", "x"])]
#[case("cast:long", &["1", "\"2\"", "3.0", "true"], "Int64", &["1", "2", "3", "1"])]
#[case("cast:double", &["1", "\"2.5\"", "1e3"], "Float64", &["1.0", "2.5", "1000.0"])]
#[case("cast:boolean", &["true", "\"FALSE\"", "1", "0"], "Boolean", &["true", "false", "true", "false"])]
#[case("cast:timestamp", &["\"2024-02-29T12:00:00+02:00\""], TIMESTAMP, &["2024-02-29T10:00:00Z"])]
#[case("cast:date", &["\"2024-02-29\""], "Date32", &["2024-02-29"])]
#[case("cast:decimal", &["1", "\"99999999999999999999\""], D38, &["1", "99999999999999999999"])]
#[case("cast:decimal(10,2)", &["1", "\"2.5\"", "1e3"], "Decimal128(10, 2)", &["1.00", "2.50", "1000.00"])]
fn r14_casts(
    #[case] action: &str,
    #[case] values: &[&str],
    #[case] data_type: &str,
    #[case] cells: &[&str],
) {
    let lab = lab_of(values);
    lab.run(|settings| settings.rules = vec![resolve("v", action)]);
    holds(&lab, data_type, cells);
}

/// R14: casts that fail: the record goes to quarantine, or the value becomes null and is counted.
#[rstest]
#[case("cast:long", "\"x\"", "a string", "int64")]
#[case("cast:long", "2.5", "a number", "int64")]
#[case("cast:long", "9223372036854775808", "an integer", "int64")]
#[case("cast:double", "\"nan\"", "a string", "float64")]
#[case("cast:double", "1e400", "a number", "float64")]
#[case("cast:boolean", "\"yes\"", "a string", "boolean")]
#[case("cast:timestamp", "\"2024-02-29\"", "a string", "timestamp")]
#[case("cast:date", "\"2023-02-29\"", "a string", "date")]
#[case("cast:decimal(4,2)", "100", "an integer", "decimal(4,2)")]
#[case("cast:string", "{\"a\":1}", "an object", "string")]
#[case("cast:long", "[1]", "an array", "int64")]
fn r14_failed_casts(
    #[case] action: &str,
    #[case] value: &str,
    #[case] found: &str,
    #[case] to: &str,
) {
    let change = |on_cast_error: OnCastError| {
        move |settings: &mut Settings| {
            settings.rules = vec![resolve("v", action)];
            settings.on_cast_error = on_cast_error;
        }
    };
    let lab = lab_of(&["null", value, "null"]);
    let report = lab.run(change(OnCastError::Quarantine));
    assert_eq!((report.records_read, report.records_quarantined), (2, 1));
    lab.quarantine_shows(&format!(
        "| line | reason |\n| 2 | `$.v`: {found} here does not convert to {to} |"
    ));
    let lab = lab_of(&["null", value, "null"]);
    let report = lab.run(change(OnCastError::Null));
    assert_eq!((report.records_read, report.counts.cast_nulls), (3, 1));
    lab.shows("orders", "| v |\n| null |\n| null |\n| null |");
}

/// R14: `make_cols`, with Glue's names.
#[test]
fn r14_make_cols() {
    let lab = lab_of(&["1", "\"x\"", "2.5", "true", "null"]);
    lab.run(|settings| settings.rules = vec![resolve("v", "make_cols")]);
    lab.shows(
        "orders",
        "| v_long | v_string | v_double | v_boolean |
         | 1      | null     | null     | null      |
         | null   | x        | null     | null      |
         | null   | null     | 2.5      | null      |
         | null   | null     | null     | true      |
         | null   | null     | null     | null      |",
    );
}

/// R14: `make_struct`.
#[test]
fn r14_make_struct() {
    let lab = lab_of(&["1", "\"x\"", "null"]);
    lab.run(|settings| settings.rules = vec![resolve("v", "make_struct")]);
    lab.shows(
        "orders",
        "| v |
         | {long: 1, string: null} |
         | {long: null, string: x} |
         | null |",
    );
}

/// R14: `project` keeps the values of one type and counts the others.
#[rstest]
#[case("project:long", "Int64", ["1", "null", "null"], 2)]
#[case("project:string", "Utf8", ["null", "x", "null"], 2)]
#[case("project:double", "Float64", ["null", "null", "2.5"], 2)]
fn r14_project(
    #[case] action: &str,
    #[case] data_type: &str,
    #[case] cells: [&str; 3],
    #[case] num_projected_away: u64,
) {
    let lab = lab_of(&["1", "\"x\"", "2.5"]);
    let report = lab.run(|settings| settings.rules = vec![resolve("v", action)]);
    holds(&lab, data_type, &cells);
    assert_eq!(report.counts.projected_away, num_projected_away);
}

/// R14: `json` keeps a subtree as text.
#[test]
fn r14_json() {
    let lab = lab_of(&["{\"a\": [1, {\"b\":null}]}", "[ ]", "\"x\\ty\"", "1.50", "null"]);
    lab.run(|settings| settings.rules = vec![resolve("v", "json")]);
    assert_eq!(lab.tables(), ["orders"]);
    holds(&lab, "Utf8", &["{\"a\": [1, {\"b\":null}]}", "[ ]", "\"x\\ty\"", "1.50", "null"]);
}

/// R14: `list` keeps arrays of scalars as lists, null elements and empty ones too.
#[test]
fn r14_list() {
    let lab = lab_of(&["[1,null,2]", "[]", "null"]);
    lab.run(|settings| settings.rules = vec![resolve("v", "list")]);
    assert_eq!(lab.tables(), ["orders"]);
    lab.shows("orders", "| v |\n| [1, null, 2] |\n| [] |\n| null |");
}

/// R14: a list widens with its elements, in files of earlier runs too.
#[test]
fn r14_lists_widen() {
    let lab = lab_of(&["[1]"]);
    let change = |settings: &mut Settings| {
        settings.rules = vec![resolve("v", "list")];
        settings.bookmark = true;
    };
    lab.run(change);
    lab.write("orders/2.ndjson", "{\"v\":[\"x\",2.5]}");
    lab.run(change);
    lab.shows("orders", "| v |\n| [1] |\n| [x, 2.5] |");
}

/// R14: structs and columns per kind get new ones in later runs.
#[test]
fn r14_structs_and_columns_widen() {
    for action in ["make_struct", "make_cols"] {
        let lab = lab_of(&["1"]);
        let change = |settings: &mut Settings| {
            settings.rules = vec![resolve("v", action)];
            settings.bookmark = true;
        };
        lab.run(change);
        lab.write("orders/2.ndjson", "{\"v\":\"x\"}");
        lab.run(change);
        if action == "make_struct" {
            let rows = "| {long: 1, string: null} |\n| {long: null, string: x} |";
            lab.shows("orders", &format!("| v |\n{rows}"));
        } else {
            lab.shows("orders", "| v_long | v_string |\n| 1 | null |\n| null | x |");
        }
    }
}

/// R14: `drop` leaves a subtree out, and only that.
#[test]
fn r14_drop() {
    let lab = Lab::of(r#"{"id":1,"secret":{"a":[1]},"items":[{"sku":"x","note":"n"}]}"#);
    lab.run(|settings| {
        settings.keys = key("id");
        settings.rules = vec![resolve("secret", "drop"), resolve("items[].note", "drop")];
    });
    assert_eq!(lab.tables(), ["orders", "orders__items"]);
    lab.is("orders", "| _seq | id | items__len |\n| 0 | 1 | 1 |");
    lab.is("orders__items", "| _root_id | _index_1 | _seq | sku |\n| 1 | 0 | 0 | x |");
}

/// R14: actions hold below arrays and in maps, by path or by column.
#[rstest]
#[case("items[].price")]
#[case("$.items[*].price")]
#[case("orders__items.price")]
fn r14_actions_below_arrays(#[case] path: &str) {
    let lab = Lab::of(r#"{"items":[{"price":"1.10"},{"price":2}],"price":"free"}"#);
    lab.run(|settings| settings.rules = vec![resolve(path, "cast:decimal(10,2)")]);
    lab.shows("orders__items", "| price |\n| 1.10 |\n| 2.00 |");
    lab.shows("orders", "| price |\n| free |");
}

/// R14, R11: an action stays with its path in later runs that do not name it.
#[test]
fn r14_actions_are_remembered() {
    let lab = lab_of(&["\"1\""]);
    lab.run(|settings| {
        settings.rules = vec![resolve("v", "cast:long")];
        settings.bookmark = true;
    });
    lab.write("orders/2.ndjson", "{\"v\":\"2\"}");
    assert!(lab.run(|settings| settings.bookmark = true).changes.is_empty());
    holds(&lab, "Int64", &["1", "2"]);
}

/// R15: of equal keys the last wins, wherever they stand; each is counted.
#[rstest]
#[case(r#"{"v":1,"v":2}"#, 1, "| v |\n| 2 |")]
#[case(r#"{"v":1,"\u0076":2,"v":3}"#, 2, "| v |\n| 3 |")]
#[case(r#"{"v":{"a":1,"a":2}}"#, 1, "| v__a |\n| 2 |")]
#[case(r#"{"v":"x","w":0,"v":{"b":2}}"#, 1, "| v__b |\n| 2 |")]
#[case(r#"{"v":[1,2],"v":[3]}"#, 1, "| v__len |\n| 1 |")]
fn r15_duplicate_keys(#[case] record: &str, #[case] num: u64, #[case] expected: &str) {
    let lab = Lab::of(record);
    assert_eq!(lab.run(|_| {}).counts.duplicate_keys, num);
    lab.shows("orders", expected);
}

/// R15: a value that lost leaves no trace: no column, no child row.
#[test]
fn r15_no_trace_of_the_first_value() {
    let lab = Lab::of(r#"{"v":[{"x":1},{"x":2}],"v":7}"#);
    lab.run(|_| {});
    assert_eq!(lab.tables(), ["orders"]);
    lab.is("orders", &lab_header(&lab));
    lab.shows("orders", "| v |\n| 7 |");
}

fn lab_header(lab: &Lab) -> String {
    let table = lab.table("orders");
    assert_eq!(table.num_columns(), 3);
    crate::support::pretty(&table)
}

/// R15: duplicate keys in maps and in elements.
#[test]
fn r15_duplicate_keys_in_maps_and_elements() {
    let lab = Lab::of(r#"{"m":{"a":1,"b":2,"a":3},"items":[{"x":1},{"x":1,"x":2}]}"#);
    let report = lab.run(|settings| settings.maps = vec![Selector::parse("m").unwrap()]);
    assert_eq!(report.counts.duplicate_keys, 2);
    lab.shows("orders__m", "| _key_1 | value |\n| b | 2 |\n| a | 3 |");
    lab.shows("orders", "| m__len | items__len |\n| 2 | 2 |");
    lab.shows("orders__items", "| x |\n| 1 |\n| 2 |");
}

/// R15: lone surrogates become U+FFFD, in values and keys; pairs stay what they are.
#[test]
fn r15_lone_surrogates() {
    let lab = lab_of(&[r#""a\ud800b""#, r#""\udc00""#, r#""\ud83d\ude00""#]);
    let report = lab.run(|_| {});
    assert_eq!(report.counts.replaced_surrogates, 2);
    holds(&lab, "Utf8", &["a\u{fffd}b", "\u{fffd}", "😀"]);
}

/// R13: null and empty string stay apart, and so do texts with zeros and line breaks in them.
#[test]
fn r12_odd_strings() {
    let lab = lab_of(&[r#""""#, "null", r#""\u0000""#, r#""a\u2028b""#]);
    lab.run(|_| {});
    let table = lab.table("orders");
    let column = table.column_by_name("v").unwrap();
    let column = column.as_any().downcast_ref::<arrow_array::StringArray>().unwrap();
    let values: Vec<_> = column.iter().collect();
    assert_eq!(values, [Some(""), None, Some("\0"), Some("a\u{2028}b")]);
}

/// R14: a path that no record has is most likely not spelled right, and is told.
#[test]
fn r14_a_rule_for_no_path_is_told() {
    let lab = lab_of(&["1", "2"]);
    let report = lab.run(|settings| {
        settings.rules = vec![resolve("$.nosuch", "cast:long"), resolve("v", "cast:string")];
    });
    assert_eq!(report.unused_options, ["--resolve '$.nosuch=cast:long'"]);
}
