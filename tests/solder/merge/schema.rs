//! M7: the lake's columns follow those of staging, and no value is lost.

use rstest::rstest;
use serde_json::Value;
use solder_lake::merge::Rule;

use super::lab::{LakeLab, table};

/// The type of a column as the log has it.
fn column_type(lab: &LakeLab, name: &str, column: &str) -> String {
    let text = lab.action(name, "metaData")["schemaString"].as_str().unwrap().to_owned();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["name"] == column);
    field.unwrap_or_else(|| panic!("no {column} in {text}"))["type"].as_str().unwrap().to_owned()
}

/// M7: new columns are null in older rows, whose files stay as they are.
#[test]
fn m7_new_columns() {
    let lab = LakeLab::of("{\"id\":1,\"v\":\"a\"}\n");
    let report = lab.take("{\"id\":2,\"w\":{\"x\":2}}\n", Rule::default());
    assert_eq!(table(&report, "orders").columns_added, ["w__x"]);
    assert_eq!(table(&report, "orders").metrics.num_target_files_removed, 0);
    lab.shows("orders", "| id | v | w__x |\n| 1 | a | null |\n| 2 | null | 2 |");
}

/// M7: an array that is new brings a child table.
#[test]
fn m7_new_child_tables() {
    let lab = LakeLab::of("{\"id\":1,\"v\":\"a\"}\n");
    assert_eq!(lab.tables(), ["orders"]);
    lab.take("{\"id\":2,\"t\":[{\"u\":[1]}]}\n", Rule::default());
    assert_eq!(lab.tables(), ["orders", "orders__t", "orders__t__u"]);
    lab.shows("orders", "| id | t__len |\n| 1 | null |\n| 2 | 1 |");
    lab.shows("orders__t__u", "| _root_id | _index_1 | _index_2 | value |\n| 2 | 0 | 0 | 1 |");
}

/// M7: types widen without loss, in root and child table; the older rows keep their values.
#[rstest]
#[case::int_to_float("1", "2.5", "double", "1.0", "2.5")]
#[case::float_to_int("2.5", "3", "double", "2.5", "3.0")]
#[case::int_to_decimal("1", "99999999999999999999", "decimal(38,0)", "1", "99999999999999999999")]
#[case::null_to_int("null", "7", "long", "null", "7")]
fn m7_types_widen(
    #[case] first: &str,
    #[case] second: &str,
    #[case] delta_type: &str,
    #[case] one: &str,
    #[case] two: &str,
) {
    let lab = LakeLab::of(&format!("{{\"id\":1,\"v\":{first},\"t\":[{first}]}}\n"));
    lab.take(&format!("{{\"id\":2,\"v\":{second},\"t\":[{second}]}}\n"), Rule::default());
    assert_eq!(column_type(&lab, "orders", "v"), delta_type);
    assert_eq!(column_type(&lab, "orders__t", "value"), delta_type);
    lab.shows("orders", &format!("| id | v |\n| 1 | {one} |\n| 2 | {two} |"));
    lab.shows("orders__t", &format!("| _root_id | value |\n| 1 | {one} |\n| 2 | {two} |"));
}

/// M7, R13: values that truly differ become text, and beside it stands what they are, for the older rows,
/// too.
#[rstest]
#[case::int("1", "1", "number")]
#[case::float("2.5", "2.5", "number")]
#[case::boolean("true", "true", "boolean")]
fn m7_mixed_values(#[case] first: &str, #[case] as_text: &str, #[case] kind: &str) {
    let lab = LakeLab::of(&format!("{{\"id\":1,\"v\":{first},\"t\":[{first}]}}\n{{\"id\":3}}\n"));
    let report = lab.take("{\"id\":2,\"v\":\"1\",\"t\":[\"1\"]}\n", Rule::default());
    assert_eq!(table(&report, "orders").columns_added, ["_v__type"]);
    assert_eq!(table(&report, "orders").columns_widened.len(), 1);
    lab.shows(
        "orders",
        &format!("| id | v | _v__type |\n| 1 | {as_text} | {kind} |\n| 2 | 1 | string |\n| 3 | null | null |"),
    );
    lab.shows(
        "orders__t",
        &format!(
            "| _root_id | value | _value__type |\n| 1 | {as_text} | {kind} |\n| 2 | 1 | string |"
        ),
    );
}

/// M7: the columns change, and the table is still the same one: id, name, properties, time of creation.
#[test]
fn m7_the_table_keeps_its_identity() {
    let lab = LakeLab::of("{\"id\":1,\"v\":1,\"t\":[1]}\n");
    let before = lab.action("orders", "metaData");
    assert_eq!(before["name"], "orders");
    assert_eq!(before["configuration"]["solder.root"], "orders");
    lab.take("{\"id\":2,\"v\":\"x\",\"w\":true,\"t\":[]}\n", Rule::default());
    let after = lab.action("orders", "metaData");
    assert_ne!(before["schemaString"], after["schemaString"]);
    for key in ["id", "name", "configuration", "createdTime", "partitionColumns"] {
        assert_eq!(before[key], after[key], "{key}");
    }
}

/// M7: no column of staging's own, and no column mapping.
#[test]
fn m7_columns_of_a_new_table() {
    let lab = LakeLab::of("{\"id\":1,\"v\":1,\"t\":[1]}\n");
    let names = |name: &str| {
        let batch = lab.read(name);
        let schema = batch.schema();
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("orders"), ["id", "v", "t__len"]);
    assert_eq!(names("orders__t"), ["_root_id", "_index_1", "value"]);
}

/// M7: a change that would lose data is refused with column, path and both types, and nothing of it is
/// done.
#[test]
fn m7_a_refused_change() {
    let lab = LakeLab::of("{\"id\":1,\"v\":{\"a b\":true},\"t\":[1]}\n");
    let before = lab.bytes();
    // A staging area made anew does not know what the lake has.
    let other = LakeLab::new();
    other.stage("{\"id\":2,\"v\":{\"a b\":5},\"t\":[2]}\n");
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    let error = lab.try_merge(Rule::default(), |settings| settings.staging = staging).unwrap_err();
    assert_eq!(error.exit_code(), 65);
    let text = error.to_string();
    for part in ["`v__a_b`", "`orders`", "boolean", "int64", "$.v"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(lab.bytes(), before);
}

/// M7: an integer that no float holds is not rounded by a change of its column.
#[test]
fn m7_integers_that_no_float_holds() {
    let lab = LakeLab::of("{\"id\":1,\"v\":9007199254740993}\n");
    let other = LakeLab::new();
    other.stage("{\"id\":2,\"v\":0.5}\n");
    let staging = other.staging.curated().to_str().unwrap().to_owned();
    let error = lab.try_merge(Rule::default(), |settings| settings.staging = staging).unwrap_err();
    assert_eq!(error.exit_code(), 65);
    assert!(error.to_string().contains("9007199254740993"), "{error}");
    lab.shows("orders", "| id | v |\n| 1 | 9007199254740993 |");
}

/// M7: a key that changes its type would match nothing.
#[test]
fn m7_a_key_of_another_type() {
    let lab = LakeLab::of("{\"id\":1}\n");
    lab.stage("{\"id\":\"x\"}\n");
    let (code, text) = lab.fail(Rule::default());
    assert_eq!(code, 65, "{text}");
    assert!(text.contains("`id` of `orders`"), "{text}");
    lab.shows("orders", "| id |\n| 1 |");
}
