//! S1 to S4 and S6: SQL over the tables of a lake, held against deltalake's own reader, which shares no code with
//! ours.

use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use solder_lake::merge::{Mode, Rule};
use solder_lake::sql::{Format, Into, Output, Script, SqlReport, SqlSettings, query};
use solder_relationalize::Io;

use crate::merge::lab::LakeLab;
use crate::support::chain;

fn settings(lab: &LakeLab) -> SqlSettings {
    SqlSettings {
        lake: Some(lab.lake().display().to_string()),
        memory_bytes: 64 << 20,
        threads: 2,
        ..SqlSettings::default()
    }
}

fn try_sql(settings: &SqlSettings, script: &str) -> Result<(SqlReport, String), String> {
    let mut rows = Vec::new();
    let io = Arc::new(Io::start_with(2).unwrap());
    let mut output = Output::new(Format::Csv, &mut rows);
    let report = query(&io, settings, &Script::new("script", script), &mut output);
    Ok((report.map_err(|error| chain(&error))?, String::from_utf8(rows).unwrap()))
}

fn sql(lab: &LakeLab, script: &str) -> String {
    try_sql(&settings(lab), script).unwrap().1
}

/// Appends orders `first` to `last`, so that the table has one file more.
fn append(lab: &LakeLab, first: i64, last: i64, more: &str) {
    let line = |id| format!("{{\"id\":{id},\"v\":\"v{:04}\"{more}}}\n", id * 7 % 1000);
    lab.stage(&(first..=last).map(line).collect::<String>());
    lab.merge(Rule { mode: Some(Mode::Append), ..Rule::default() });
}

/// The files that a plan reads.
fn files_read(lab: &LakeLab, statement: &str) -> usize {
    sql(lab, &format!("explain {statement}")).matches(".parquet").count()
}

/// S1: files whose values lie elsewhere are not opened, by what the log says of them.
#[rstest]
#[case::all("select id from orders", 4)]
#[case::equal("select v from orders where id = 15", 1)]
#[case::range("select v from orders where id > 19 and id <= 30", 2)]
#[case::either("select v from orders where id in (1, 31)", 2)]
#[case::null("select id from orders where late is null", 4)]
// The log says nothing of a column that a file lacks.
#[case::not_null("select id from orders where late is not null", 4)]
#[case::nowhere("select id from orders where id > 1000", 0)]
#[case::computed("select v from orders where id % 10 = 3", 4)]
fn s1_files_are_left_out_by_the_log(#[case] statement: &str, #[case] num_files: usize) {
    let lab = LakeLab::new();
    append(&lab, 1, 10, "");
    append(&lab, 11, 20, "");
    append(&lab, 21, 30, "");
    append(&lab, 31, 40, ",\"late\":true");
    assert_eq!(files_read(&lab, statement), num_files);
}

/// S1: rows that a deletion vector marks are not there.
#[test]
fn s1_rows_that_are_marked_as_deleted_are_not_there() {
    let lab = LakeLab::new();
    append(&lab, 1, 10, "");
    lab.stage("{\"id\":3,\"v\":\"new\"}\n");
    lab.merge(Rule { deletion_vectors: Some(true), ..Rule::default() });
    assert_eq!(
        sql(&lab, "select count(*) as n, count(distinct id) as d from orders"),
        "n,d\n10,10\n"
    );
    assert_eq!(sql(&lab, "select v from orders where id = 3"), "v\nnew\n");
    let before = "select v from orders@v0 where id = 3";
    assert_eq!(sql(&lab, before), "v\nv0021\n");
}

/// S1: a column that came later is null in the files before, and a number that became wider is itself.
#[test]
fn s1_tables_that_evolved_are_read_as_they_are() {
    let lab = LakeLab::new();
    append(&lab, 1, 2, ",\"price\":1");
    append(&lab, 3, 4, ",\"price\":2.5,\"city\":\"Turku\"");
    assert_eq!(
        sql(&lab, "select id, price, city from orders order by id"),
        "id,price,city\n1,1.0,\n2,1.0,\n3,2.5,Turku\n4,2.5,Turku\n"
    );
}

/// S4: a statement that fails over its rows leaves the lake as it was.
#[test]
fn s4_a_statement_that_fails_leaves_the_lake_as_it_was() {
    let lab = LakeLab::new();
    append(&lab, 1, 100, "");
    let into = |run_id: Option<&str>| Into {
        lake: lab.lake().display().to_string(),
        table: "mart".to_owned(),
        mode: Mode::Overwrite,
        key: vec!["id".to_owned()],
        run_id: run_id.map(str::to_owned),
    };
    let landing = SqlSettings { into: Some(into(None)), ..settings(&lab) };
    try_sql(&landing, "select id, v from orders").unwrap();
    let before = lab.bytes();
    let error = try_sql(&landing, "select id, 1 / (id - 57) as x from orders").unwrap_err();
    assert!(error.contains("mart") && error.contains("Divide by zero"), "{error}");
    let error = try_sql(&landing, "select id % 50 as id from orders").unwrap_err();
    assert!(error.contains("stands twice") && error.contains("50 in all"), "{error}");
    assert_eq!(lab.bytes(), before);

    let named = SqlSettings { into: Some(into(Some("monday"))), ..settings(&lab) };
    let (first, _) = try_sql(&named, "select id, v from orders where id < 3").unwrap();
    assert_eq!(first.num_rows, 2);
    let before = lab.bytes();
    let (again, _) = try_sql(&named, "select id, v from orders where id < 9").unwrap();
    assert!(again.table.unwrap().already_merged);
    assert_eq!(lab.bytes(), before);
}

/// A lake of 40 orders with ten items and three tags each: 40, 400 and 120 rows.
fn orders_with_items_and_tags() -> LakeLab {
    let order = |id: i64| {
        let items: Vec<Value> = (0..10).map(|number| json!({ "quantity": number })).collect();
        format!("{}\n", json!({ "id": id, "items": items, "tags": ["a", "b", "c"] }))
    };
    LakeLab::of(&(1..=40).map(order).collect::<String>())
}

/// The table whose rows the outermost join keeps in memory: a plan names that side first. The first of its
/// tables where that side is a join itself.
#[track_caller]
fn kept_in_memory(lab: &LakeLab, statement: &str) -> String {
    let plan = sql(lab, &format!("explain {statement}"));
    let (_, joined) = plan.split_once("HashJoinExec").expect("a join by hashes");
    let (_, file) = joined.split_once(&format!("{}/", lab.lake().display())[1..]).expect("a file");
    file.split('/').next().unwrap().to_owned()
}

const TWO: &str = "from orders o join orders__items i on i._root_id = o.id";
const TWO_TURNED: &str = "from orders__items i join orders o on i._root_id = o.id";
const THREE: &str = "from orders o join orders__items i on i._root_id = o.id \
    join orders__tags t on t._root_id = i._root_id";
const THREE_TURNED: &str = "from orders__tags t join ( \
    select i._root_id from orders__items i join orders o on i._root_id = o.id \
    ) x on x._root_id = t._root_id";

/// S6: the smaller side of a join is kept in memory, whichever a statement names first.
#[rstest]
#[case::two(TWO, "orders")]
#[case::two_turned(TWO_TURNED, "orders")]
#[case::three(THREE, "orders__tags")]
#[case::three_turned(THREE_TURNED, "orders__tags")]
fn s6_the_smaller_side_of_a_join_is_kept_in_memory(#[case] from: &str, #[case] smaller: &str) {
    let lab = orders_with_items_and_tags();
    let statement = format!("select count(*) as n {from}");
    assert_eq!(kept_in_memory(&lab, &statement), smaller);
    let num_rows = if smaller == "orders" { 400 } else { 1200 };
    assert_eq!(sql(&lab, &statement), format!("n\n{num_rows}\n"));
}

/// S6: it is the bounds of the log that tell how many rows a join gives. Where the log has none, 40 orders
/// and 400 items are taken for 40 rows.
#[rstest]
#[case::named_last(THREE)]
#[case::named_first(THREE_TURNED)]
fn s6_the_size_of_a_join_is_told_by_bounds_of_the_log(#[case] from: &str) {
    let lab = orders_with_items_and_tags();
    for table in lab.tables() {
        forget_bounds(&lab, &table);
    }
    assert_eq!(kept_in_memory(&lab, &format!("select count(*) as n {from}")), "orders");
}

/// Takes the bounds of values out of a table's log, and leaves the numbers of rows.
fn forget_bounds(lab: &LakeLab, table: &str) {
    let log = lab.folder(table).join("_delta_log");
    for entry in std::fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut kept = String::new();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let mut action: Value = serde_json::from_str(line).unwrap();
            if let Some(stats) = action.pointer_mut("/add/stats") {
                let told: Value = serde_json::from_str(stats.as_str().unwrap()).unwrap();
                *stats = json!(json!({ "numRecords": told["numRecords"] }).to_string());
            }
            kept.push_str(&format!("{action}\n"));
        }
        std::fs::write(&path, kept).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// S1: whatever was merged, our reading of a table and deltalake's give the same rows.
    #[test]
    fn s1_the_rows_are_those_that_deltalake_reads(
        batches in prop::collection::vec(
            (prop::collection::vec((0i64..40, prop::option::of("[a-c]{1,3}")), 1..12), any::<bool>()),
            1..5,
        ),
    ) {
        let lab = LakeLab::new();
        for (rows, marks) in &batches {
            let line = |(id, v): &(i64, Option<String>)| match v {
                Some(v) => format!("{{\"id\":{id},\"v\":\"{v}\"}}\n"),
                None => format!("{{\"id\":{id}}}\n"),
            };
            lab.stage(&rows.iter().map(line).collect::<String>());
            lab.merge(Rule { deletion_vectors: Some(*marks), ..Rule::default() });
        }
        let expected = lab.read("orders");
        let total = format!("n\n{}\n", expected.num_rows());
        prop_assert_eq!(sql(&lab, "select count(*) as n from orders"), total);
        let has_v = expected.schema().column_with_name("v").is_some();
        let columns = if has_v { "id, v" } else { "id" };
        let mut ours: Vec<String> =
            sql(&lab, &format!("select {columns} from orders")).lines().skip(1).map(str::to_owned).collect();
        let mut theirs = Vec::new();
        let text = |name: &str, row: usize| {
            let column = expected.column_by_name(name).unwrap();
            arrow_cast::display::array_value_to_string(column, row).unwrap()
        };
        for row in 0..expected.num_rows() {
            let mut line = text("id", row);
            if has_v {
                line = format!("{line},{}", text("v", row));
            }
            theirs.push(line);
        }
        ours.sort();
        theirs.sort();
        prop_assert_eq!(ours, theirs);
    }
}
