//! SQL over lake, curated tables and files (S1 to S5), as its users see it.

use rstest::rstest;

use crate::support::{Folder, ORDERS, Outcome, filters, snapshot_name};

/// Two orders in `curated/` and in `lake/`, the first of them changed in version 2.
fn lake() -> Folder {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    folder.succeeds("relationalize raw curated --key id");
    folder.succeeds("merge --staging curated --into lake");
    folder.write(
        "raw/orders/1.ndjson",
        "{\"id\":1,\"customer\":{\"name\":\"Adele\"},\"items\":[]}\n",
    );
    folder.succeeds("relationalize raw curated --key id");
    folder.succeeds("merge --staging curated --into lake");
    folder
}

impl Folder {
    fn succeeds(&self, arguments: &str) -> String {
        let outcome = self.engine(arguments);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }

    /// Runs a script over all there is.
    fn sql(&self, script: &str, arguments: &str) -> Outcome {
        self.write("query.sql", script);
        self.engine(&format!("sql query.sql --lake lake --log text {arguments}"))
    }

    /// What a script tells that works.
    fn succeeds_sql(&self, script: &str, arguments: &str) -> String {
        let outcome = self.sql(script, arguments);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }

    /// The rows of a script.
    fn rows(&self, script: &str, arguments: &str) -> String {
        let outcome = self.sql(script, &format!("--format csv {arguments}"));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }
}

#[test]
fn s1_tables_of_lake_and_curated_and_files_have_their_names() {
    let folder = lake().with("public/cities.csv", "id,city\n1,Bergen\n2,Turku\n");
    let folder = folder.with("notes.ndjson", "{\"id\":1,\"tags\":[\"a\",\"b\"]}\n");
    let script = "
        select o.id, o.customer__name, c.customer__name as curated, city, cardinality(n.tags) as tags
        from orders o
        left join curated.orders c on c.id = o.id
        left join cities on cities.id = o.id
        left join n on n.id = o.id
        order by o.id";
    let rows =
        folder.rows(script, "--curated curated --file public/cities.csv --file n=notes.ndjson");
    assert_eq!(
        rows,
        "id,customer__name,curated,city,tags\n1,Adele,Adele,Bergen,2\n2,Bob,,Turku,\n"
    );
    assert_eq!(folder.rows("select count(*) as n from lake.orders__items", ""), "n\n0\n");
    // The curated table numbers its rows, and that of the lake does not.
    assert_eq!(
        folder.rows("select max(_seq) as n from curated.orders", "--curated curated"),
        "n\n0\n"
    );
}

/// What `--resolve PATH=json` keeps as text, and any other column of JSON, is read by paths.
#[test]
fn s1_json_in_columns_is_read_by_functions_and_operators() {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    folder.succeeds("relationalize raw curated --key id --resolve $.items=json");
    folder.succeeds("merge --staging curated --into lake");
    let script = "
        select id,
          json_length(items) as n,
          json_get_str(items, 0, 'sku') as sku,
          json_get_float(items, 1, 'price') as price,
          items -> 0 ->> 'sku' as arrow,
          json_contains(items, 0) as some
        from orders order by id";
    assert_eq!(
        folder.rows(script, ""),
        "id,n,sku,price,arrow,some\n1,2,a,2.5,a,true\n2,0,,,,false\n"
    );
}

#[test]
fn s2_earlier_versions_by_number_and_by_instant() {
    let folder = lake();
    let name = |table: &str| {
        folder.rows(&format!("select customer__name as n from {table} where id = 1"), "")
    };
    assert_eq!(name("orders"), "n\nAdele\n");
    assert_eq!(name("orders@v1"), "n\nAda\n");
    assert_eq!(name("\"orders@2100-01-01T00:00:00Z\""), "n\nAdele\n");
    let missing = folder.sql("select * from \"orders@2001-01-01T00:00:00Z\"", "");
    assert_eq!(missing.code, 64, "{missing:?}");
    assert!(missing.stderr.contains("no version of 2001-01-01T00:00:00Z or before"), "{missing:?}");
}

#[rstest]
#[case("table")]
#[case("csv")]
#[case("json")]
fn s3_rows_come_as_people_and_programs_want_them(#[case] format: &str) {
    let folder = lake();
    let script = "select id, customer__name as name, id / 0.5 as twice, null as nothing from orders order by id";
    let outcome = folder.sql(script, &format!("--format {format}"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let _filters = filters();
    insta::assert_snapshot!(format!("sql_{format}"), outcome.stdout);
}

#[test]
fn s3_a_result_without_rows_keeps_its_columns() {
    let folder = lake();
    assert_eq!(
        folder.rows("select id, customer__name from orders where id > 9", ""),
        "id,customer__name\n"
    );
}

#[rstest]
#[case::view("view named", "Named")]
#[case::table("table Named", "named")]
#[case::quoted("table \"Named\"", "\"Named\"")]
fn s3_the_rows_of_the_last_statement_are_the_result(#[case] made: &str, #[case] name: &str) {
    let folder = lake();
    let script = format!(
        "create {made} as select id, customer__name as name from orders;
        -- What the statement before made has its name.
        select name from {name} where id = 2;"
    );
    assert_eq!(folder.rows(&script, ""), "name\nBob\n");
}

#[test]
fn s4_rows_come_into_the_lake_in_one_commit() {
    let folder = lake();
    let first = "select customer__name as name, id, 1.5 as share, date '2026-11-24' as day, ['a'] as tags from orders";
    let told = folder.succeeds_sql(first, "--into lake --table names --key id");
    assert!(told.starts_with("names: 2 rows (overwrite), 2 inserted; version 0\n"), "{told}");

    // A row that is there gets its new values, the other stays; a column that is new is null there.
    let second = "select id, 'Ada' as name, 7 as age from orders where id = 1";
    let told = folder.succeeds_sql(second, "--into lake --table names --key id --mode upsert");
    assert!(told.contains("1 updated") && told.contains("new columns age"), "{told}");
    let rows = "select id, name, share, day, tags[1] as tag, age from names order by id";
    assert_eq!(
        folder.rows(rows, ""),
        "id,name,share,day,tag,age\n1,Ada,,,,7\n2,Bob,1.5,2026-11-24,a,\n"
    );

    folder.succeeds_sql("select 3 as id", "--into lake --table names --mode append");
    assert_eq!(folder.rows("select count(*) as n from names", ""), "n\n3\n");
    folder.succeeds_sql("select 4 as id", "--into lake --table names");
    assert_eq!(folder.rows("select id, name from names", ""), "id,name\n4,\n");
    assert_eq!(folder.rows("select count(*) as n from names@v0", ""), "n\n2\n");
}

#[test]
fn s4_a_run_that_came_in_does_not_come_again() {
    let folder = lake();
    let append = "--into lake --table log --mode append --run-id 2026-11-24";
    folder.succeeds_sql("select id from orders", append);
    let again = folder.succeeds_sql("select id from orders", append);
    assert_eq!(again, "log: the rows of this run came into lake before: nothing to do\n");
    assert_eq!(folder.rows("select count(*) as n from log", ""), "n\n2\n");
}

/// Name, code, script and arguments; the text is in the snapshot of the name.
#[rstest]
#[case::unknown_table(64, "select *\nfrom order", "")]
#[case::table_of_no_likeness(64, "select * from persons", "")]
#[case::column(64, "select id,\n  customer_name\nfrom orders", "")]
#[case::column_of_an_alias(64, "select o.ids from orders o", "")]
#[case::function(64, "select cont(*) from orders", "")]
#[case::syntax(64, "select id\nfrm orders x", "")]
#[case::open_text(64, "select 'a from orders", "")]
#[case::empty(64, "-- nothing\n", "")]
#[case::version(64, "select * from orders@v9", "")]
#[case::version_of_no_kind(64, "select * from orders@old", "")]
#[case::writes(64, "insert into orders select * from orders", "")]
#[case::drops(64, "drop table orders", "")]
#[case::ambiguous(64, "select id from orders a join orders b on a.id = b.id", "")]
#[case::fails(65, "select id / (id - id) from orders", "")]
#[case::file_of_no_kind(64, "select 1", "--file raw/orders/1.txt")]
#[case::file_that_is_not_there(66, "select * from x", "--file x=none.csv")]
#[case::into_without_name(64, "select count(*) from orders", "--into lake --table n")]
#[case::into_unknown_type(64, "select {a: 1} as s", "--into lake --table n")]
#[case::into_key_twice(65, "select 1 as id from orders", "--into lake --table n --key id")]
#[case::into_key_null(65, "select null as id, 1 as n", "--into lake --table n --key id")]
#[case::into_no_key(64, "select 1 as id", "--into lake --table n --mode upsert")]
#[case::into_unknown_key(64, "select 1 as id", "--into lake --table n --key ids")]
#[case::into_records(65, "select 1 as id", "--into lake --table orders")]
#[case::into_other_type(65, "select 'x' as id", "--into lake --table names --mode append")]
fn s5_mistakes_say_where_and_what_was_meant(
    #[case] code: i32,
    #[case] script: &str,
    #[case] arguments: &str,
) {
    let folder = lake();
    folder.succeeds_sql("select true as id", "--into lake --table names");
    let outcome = folder.sql(script, arguments);
    let _filters = filters();
    let text = format!("{script}\n\n{}=> {}\n", outcome.stderr, outcome.code);
    insta::assert_snapshot!(snapshot_name("sql"), text);
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert_eq!(outcome.stdout, "", "stdout is for results");
    assert!(folder.names("lake/n").is_empty(), "nothing is written");
}
