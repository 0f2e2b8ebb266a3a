//! R5, R6, R8 to R10: which tables and columns there are, and how they are called.

use std::collections::HashSet;

use rstest::rstest;
use solder_relationalize::shape::Selector;

use crate::support::{Lab, key};

/// R5: arrays at any depth and arrays of arrays are tables, objects are columns.
#[test]
fn r5_arrays_at_any_depth() {
    let lab = Lab::of(
        r#"{"id":"a","buyer":{"name":"Ann","address":{"city":"Ulm"}},"items":[{"sku":"x","discounts":[{"pct":5}]},{"sku":"y"}],"grid":[[1,2],[],[3]]}"#,
    );
    lab.run(|settings| settings.keys = key("id"));
    assert_eq!(
        lab.tables(),
        [
            "orders",
            "orders__grid",
            "orders__grid__value",
            "orders__items",
            "orders__items__discounts"
        ]
    );
    lab.is(
        "orders",
        "| _seq | id | buyer__name | buyer__address__city | items__len | grid__len |
         | 0    | a  | Ann         | Ulm                  | 2          | 3         |",
    );
    lab.is(
        "orders__items",
        "| _root_id | _index_1 | _seq | sku | discounts__len |
         | a        | 0        | 0    | x   | 1              |
         | a        | 1        | 0    | y   | null           |",
    );
    lab.is(
        "orders__items__discounts",
        "| _root_id | _index_1 | _index_2 | _seq | pct |
         | a        | 0        | 0        | 0    | 5   |",
    );
    lab.is(
        "orders__grid",
        "| _root_id | _index_1 | _seq | value__len |
         | a        | 0        | 0    | 2          |
         | a        | 1        | 0    | 0          |
         | a        | 2        | 0    | 1          |",
    );
    lab.is(
        "orders__grid__value",
        "| _root_id | _index_1 | _index_2 | _seq | value |
         | a        | 0        | 0        | 0    | 1     |
         | a        | 0        | 1        | 0    | 2     |
         | a        | 2        | 0        | 0    | 3     |",
    );
}

/// R5: elements of several kinds stand in one table, none is lost.
#[test]
fn r5_elements_of_several_kinds() {
    let lab = Lab::of(r#"{"a":[1,{"b":2},[3],null,"4"]}"#);
    lab.run(|_| {});
    lab.shows(
        "orders__a",
        "| _index_1 | value | _value__type | b    | value__len |
         | 0        | 1     | number       | null | null       |
         | 1        | null  | null         | 2    | null       |
         | 2        | null  | null         | null | 1          |
         | 3        | null  | null         | null | null       |
         | 4        | 4     | string       | null | null       |",
    );
    lab.shows("orders__a__value", "| _index_1 | _index_2 | value |\n| 2 | 0 | 3 |");
}

/// R6: keys become snake case segments.
#[rstest]
#[case("userName", "user_name")]
#[case("HTTPServer", "http_server")]
#[case("order id", "order_id")]
#[case("größe", "grosse")]
#[case("1st", "_1st")]
#[case("select", "select")]
#[case("a__b", "a_b")]
#[case("@type", "_type")]
#[case("", "_")]
fn r6_snake_case(#[case] json_key: &str, #[case] column: &str) {
    let lab = Lab::of(&format!("{{\"{json_key}\":1}}"));
    lab.run(|_| {});
    lab.shows("orders", &format!("| {column} |\n| 1 |"));
}

/// R6: names that meet get a suffix from their path, whichever came first.
#[test]
fn r6_collisions_do_not_depend_on_order() {
    let columns = |record: &str| {
        let lab = Lab::of(record);
        lab.run(|_| {});
        let stored = lab.shape("orders");
        let columns = stored.layout.tables[0].columns.iter();
        let mut names: Vec<_> =
            columns.map(|column| (column.path.clone(), column.name.clone())).collect();
        names.sort();
        names
    };
    let forth = columns(r#"{"a-b":1,"a_b":2,"a.b":3,"Id":4,"id":5,"x":{"y":6},"x__y":7}"#);
    let back = columns(r#"{"x__y":7,"x":{"y":6},"id":5,"Id":4,"a.b":3,"a_b":2,"a-b":1}"#);
    assert_eq!(forth, back);
    let names: HashSet<&str> = forth.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names.len(), forth.len(), "every column has its own name: {forth:?}");
    let name = |path: &str| &forth.iter().find(|(found, _)| **found == *path).unwrap().1;
    assert_eq!((name("$.a_b").as_str(), name("$.id").as_str()), ("a_b", "id"));
    for path in ["$['a-b']", "$['a.b']"] {
        assert!(name(path).starts_with("a_b_") && name(path).len() == 12, "{}", name(path));
    }
}

/// R6: a name that is taken already stays with its path in later runs.
#[test]
fn r6_committed_names_stay() {
    let lab = Lab::of(r#"{"a-b":1}"#);
    lab.run(|_| {});
    lab.shows("orders", "| a_b |\n| 1 |");
    lab.write("orders/1.ndjson", r#"{"a_b":2,"a-b":1}"#);
    lab.run(|_| {});
    lab.shows("orders", "| a_b |\n| 1 |");
    assert_eq!(lab.table("orders").num_columns(), 4);
}

/// R6: no name is longer than 128 characters, and long ones still differ.
#[test]
fn r6_long_names() {
    let long = "k".repeat(200);
    let lab = Lab::of(&format!(r#"{{"{long}1":1,"{long}2":[2]}}"#));
    lab.run(|_| {});
    let tables = lab.tables();
    assert!(tables.iter().all(|name| name.chars().count() <= 128), "{tables:?}");
    let names = lab.columns("orders").len();
    assert_eq!((tables.len(), names), (2, 4));
}

/// R3, R6: tables of two entities never share a name.
#[test]
fn r6_tables_of_entities_differ() {
    let lab = Lab::new();
    lab.write("a/1.json", r#"{"b":[1],"x":1}"#).write("a__b/1.json", r#"{"x":2}"#);
    lab.run(|_| {});
    let tables = lab.tables();
    assert_eq!(tables.iter().collect::<HashSet<_>>().len(), 3, "{tables:?}");
    lab.shows("a__b", "| value |\n| 1 |");
}

/// R6: the manifest says which path a column comes from.
#[test]
fn r6_manifest_maps_columns_to_paths() {
    let lab = Lab::of(r#"{"buyer":{"E-Mail":"x"},"items":[{"sku":1}]}"#);
    lab.run(|_| {});
    let tables = lab.shape("orders").layout.tables;
    let path = |table: usize, name: &str| {
        tables[table].columns.iter().find(|c| c.name == name).map(|c| c.path.clone()).unwrap()
    };
    assert_eq!(&*path(0, "buyer__e_mail"), "$.buyer['E-Mail']");
    assert_eq!(&*path(1, "sku"), "$.items[*].sku");
    assert_eq!(tables[1].path, "$.items[*]");
}

/// R8: without a key a record is known by object and position, in every run alike.
#[test]
fn r8_row_ids_do_not_depend_on_the_run() {
    let lab = Lab::of("{\"a\":[1]}\n{\"a\":[2,3]}\n{\"a\":[1]}\n");
    lab.run(|_| {});
    let (root, child) = (lab.table("orders"), lab.table("orders__a"));
    let texts = |batch: &arrow_array::RecordBatch, name: &str| -> Vec<String> {
        let column = batch.column_by_name(name).unwrap();
        let column = column.as_any().downcast_ref::<arrow_array::StringArray>().unwrap();
        column.iter().map(|id| id.unwrap().to_owned()).collect()
    };
    let ids = texts(&root, "_row_id");
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3);
    let expected: Vec<_> = [0, 1, 1, 2].map(|row: usize| ids[row].clone()).to_vec();
    assert_eq!(texts(&child, "_root_row_id"), expected);

    lab.run(|settings| settings.block_bytes = 1);
    assert_eq!((lab.table("orders"), lab.table("orders__a")), (root, child));
}

/// R8: a key of several parts, nested and renamed ones too, stands in every child.
#[rstest]
#[case("buyer.id,number")]
#[case("buyer__id,number")]
#[case("$.buyer.id,orders.number")]
fn r8_composite_keys(#[case] columns: &str) {
    let lab = Lab::of(
        r#"{"buyer":{"id":"b"},"number":7,"tags":["x"]}
           {"buyer":{"id":"c"},"number":7,"tags":[]}"#,
    );
    lab.run(|settings| settings.keys = key(columns));
    lab.is(
        "orders",
        "| _seq | buyer__id | number | tags__len |
         | 0    | b         | 7      | 1         |
         | 1    | c         | 7      | 0         |",
    );
    lab.is(
        "orders__tags",
        "| _root_buyer__id | _root_number | _index_1 | _seq | value |
         | b               | 7            | 0        | 0    | x     |",
    );
}

/// R8, R16: a record without its key is set aside, its neighbours are not.
#[test]
fn r8_records_without_key_go_to_quarantine() {
    let lab = Lab::of(
        r#"{"id":1,"tags":["x"]}
{"tags":["lost?"]}
{"id":null}
{"id":{"a":1}}
{"id":2}"#,
    );
    let report = lab.run(|settings| settings.keys = key("id"));
    assert_eq!((report.records_read, report.records_quarantined), (2, 3));
    lab.shows("orders", "| id |\n| 1 |\n| 2 |");
    lab.shows("orders__tags", "| _root_id | value |\n| 1 | x |");
    lab.quarantine_shows(
        "| line | raw                | reason                                  |
         | 2    | 7b2274616773223a5b226c6f73743f225d7d | the key `id` is missing, null or no scalar |
         | 3    | 7b226964223a6e756c6c7d | the key `id` is missing, null or no scalar |
         | 4    | 7b226964223a7b2261223a317d7d | the key `id` is missing, null or no scalar |",
    );
}

/// R8: a key that no record has is a mistake in the option, and says so.
#[test]
fn r8_a_key_that_nothing_has() {
    let lab = Lab::of(r#"{"id":1}"#);
    let (error, text) = lab.fail(|settings| settings.keys = key("uid"));
    assert!(text.contains("`uid`") && error.exit_code() == 65, "{text}");
}

/// R8: an input without records needs no key: there is nothing to identify.
#[test]
fn r8_a_key_over_nothing() {
    let lab = Lab::of("");
    lab.run(|settings| settings.keys = key("id"));
    assert_eq!(lab.table("orders").num_rows(), 0);
    lab.write("orders/1.ndjson", r#"{"id":1,"a":[1]}"#);
    lab.run(|settings| settings.keys = key("id"));
    lab.shows("orders__a", "| _root_id | value |\n| 1 | 1 |");
}

/// R8: user columns give way to generated ones, and are not lost.
#[test]
fn r8_user_columns_that_clash() {
    let lab = Lab::of(
        r#"{"_seq":"mine","_row_id":"mine","items":[{"_index_1":"mine","_root_row_id":"mine"}],"items__len":"mine"}"#,
    );
    lab.run(|_| {});
    lab.shows("orders", "| _seq | items__len |\n| 0 | 1 |");
    let text = crate::support::pretty(&lab.table("orders"));
    assert_eq!(text.matches("mine").count(), 3, "{text}");
    lab.shows("orders__items", "| _index_1 | _seq |\n| 0 | 0 |");
    let text = crate::support::pretty(&lab.table("orders__items"));
    assert_eq!(text.matches("mine").count(), 2, "{text}");
}

/// R9: null and missing are null, `[]` is 0, and the child has as many rows as the parent says.
#[test]
fn r9_lengths() {
    let lab = Lab::of(
        r#"{"n":1,"a":[7,8]}
           {"n":2,"a":[]}
           {"n":3,"a":null}
           {"n":4}"#,
    );
    lab.run(|_| {});
    lab.shows("orders", "| n | a__len |\n| 1 | 2 |\n| 2 | 0 |\n| 3 | null |\n| 4 | null |");
    assert_eq!(lab.column_type("orders", "a__len"), "Int32");
    assert_eq!(lab.table("orders__a").num_rows(), 2);
}

/// R10: a declared map is a table with its keys, at any depth; its length stands in the parent.
#[test]
fn r10_declared_maps() {
    let lab = Lab::of(
        r#"{"id":1,"prices":{"EUR":{"net":1.5},"USD":{"net":2}},"items":[{"labels":{"a":"x"}}]}
           {"id":2,"prices":{}}
           {"id":3,"prices":null}"#,
    );
    lab.run(|settings| {
        settings.keys = key("id");
        settings.maps = ["prices", "items[].labels"].map(|m| Selector::parse(m).unwrap()).to_vec();
    });
    lab.is(
        "orders",
        "| _seq | id | prices__len | items__len |
         | 0    | 1  | 2           | 1          |
         | 1    | 2  | 0           | null       |
         | 2    | 3  | null        | null       |",
    );
    lab.is(
        "orders__prices",
        "| _root_id | _key_1 | _seq | net |
         | 1        | EUR    | 0    | 1.5 |
         | 1        | USD    | 0    | 2.0 |",
    );
    lab.is(
        "orders__items__labels",
        "| _root_id | _index_1 | _key_2 | _seq | value |
         | 1        | 0        | a      | 0    | x     |",
    );
}

/// Records of which each has a key of its own in `stock`.
fn ever_new_keys(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("{{\"id\":{n},\"stock\":{{\"sku-{n}\":{n}}}}}\n")).collect()
}

/// R10: an object with more than 512 rare keys is found to be a map; one with fewer is not.
#[rstest]
#[case(512, false)]
#[case(513, true)]
fn r10_maps_are_found(#[case] num_keys: usize, #[case] is_map: bool) {
    let lab = Lab::of(&ever_new_keys(0..num_keys));
    let report = lab.run(|settings| settings.keys = key("id"));
    if !is_map {
        assert_eq!(lab.tables(), ["orders"]);
        assert_eq!(lab.table("orders").num_columns(), 2 + num_keys);
        return;
    }
    let found: Vec<_> = report.maps.iter().map(|m| (m.path.as_str(), m.kept_as_table)).collect();
    assert_eq!(found, [("$.stock", true)]);
    let stock = lab.table("orders__stock");
    crate::support::compare(&stock.slice(0, 1), "| _root_id | _key_1 | value |\n| 0 | sku-0 | 0 |");
    assert_eq!(stock.num_rows(), num_keys);
    assert_eq!(lab.columns("orders").len(), 3);
}

/// R10: what comes late in the input decides as well: the result is the same, block by block.
#[test]
fn r10_late_discovery_restarts() {
    let plain: String = (0..50).map(|n| format!("{{\"id\":{n},\"stock\":null}}\n")).collect();
    let lines = plain + &ever_new_keys(50..700);
    let tables = [64, 8 << 20].map(|block_bytes| {
        let lab = Lab::of(&lines);
        let report = lab.run(|settings| {
            settings.keys = key("id");
            settings.block_bytes = block_bytes;
        });
        assert_eq!((report.maps.len(), report.records_read), (1, 700));
        (lab.table("orders"), lab.table("orders__stock"))
    });
    assert_eq!(tables[0], tables[1]);
}

/// R10: what a first reading rejected is not quarantined twice by the second.
#[test]
fn r10_late_discovery_counts_once() {
    let lab = Lab::of(&format!("{}nonsense\n", ever_new_keys(0..600)));
    let report = lab.run(|_| {});
    assert_eq!((report.records_read, report.records_quarantined), (600, 1));
    assert_eq!(lab.quarantine().unwrap().num_rows(), 1);
}

/// R10: a map stays one in later runs, also when few keys are left.
#[test]
fn r10_maps_stay() {
    let lab = Lab::of(&ever_new_keys(0..600));
    lab.run(|settings| settings.bookmark = true);
    lab.write("orders/2.ndjson", r#"{"id":1000,"stock":{"a":1,"b":2}}"#);
    let report = lab.run(|settings| settings.bookmark = true);
    assert!(report.changes.is_empty(), "{:?}", report.changes);
    assert_eq!(lab.table("orders__stock").num_rows(), 602);
}

/// R10: a committed path keeps its columns; that it looks like a map is only reported.
#[test]
fn r10_committed_columns_stay() {
    let lab = Lab::of(&ever_new_keys(0..10));
    lab.run(|settings| settings.bookmark = true);
    lab.write("orders/2.ndjson", ever_new_keys(10..600));
    let report = lab.run(|settings| settings.bookmark = true);
    let found: Vec<_> = report.maps.iter().map(|m| (m.path.as_str(), m.kept_as_table)).collect();
    assert_eq!(found, [("$.stock", false)]);
    assert_eq!(lab.tables(), ["orders"]);
    assert_eq!(lab.table("orders").num_rows(), 600);
}
