use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::{Value, json};

use super::{CatalogReport, Column, Database, Format, Outcome, Table, register};
use crate::aws::test_server::{Answer, Request, Server};

/// A Glue Data Catalog in memory.
#[derive(Clone, Default)]
struct Glue {
    /// By database and table; a database is there when it is a key.
    tables: Arc<Mutex<BTreeMap<String, BTreeMap<String, Value>>>>,
    /// Answers that come before any other, by operation.
    instead: Arc<Mutex<Vec<(&'static str, Value)>>>,
}

impl Glue {
    fn with_database(name: &str) -> Self {
        let glue = Self::default();
        glue.tables.lock().unwrap().insert(name.to_owned(), BTreeMap::new());
        glue
    }

    fn start(&self) -> Server {
        let glue = self.clone();
        Server::start(move |request| glue.answer(request))
    }

    /// The next call of an operation fails so.
    fn fail_once(&self, operation: &'static str, code: &str) {
        let error = json!({ "__type": code, "Message": "says why" });
        self.instead.lock().unwrap().push((operation, error));
    }

    fn put(&self, database: &str, name: &str, table: Value) {
        let mut tables = self.tables.lock().unwrap();
        tables.entry(database.to_owned()).or_default().insert(name.to_owned(), table);
    }

    fn table(&self, database: &str, name: &str) -> Value {
        self.tables.lock().unwrap()[database][name].clone()
    }

    fn answer(&self, request: &Request) -> Answer {
        assert!(request.authorization.starts_with("AWS4-HMAC-SHA256 "));
        let refused = |code: &str, message: String| {
            Some((400, json!({ "__type": code, "Message": message }).to_string()))
        };
        let mut instead = self.instead.lock().unwrap();
        if let Some(at) = instead.iter().position(|(name, _)| *name == request.operation) {
            return Some((400, instead.remove(at).1.to_string()));
        }
        let body = &request.body;
        let input = &body["TableInput"];
        let database = body["DatabaseName"].as_str().or(body["Name"].as_str()).unwrap();
        let name = input["Name"].as_str().or(body["Name"].as_str()).unwrap();
        let mut databases = self.tables.lock().unwrap();
        let Some(tables) = databases.get_mut(database) else {
            return refused("EntityNotFoundException", format!("Database {database} not found."));
        };
        let answer = match (request.operation.as_str(), tables.get(name).cloned()) {
            ("GetDatabase", _) => json!({ "Database": { "Name": database } }),
            ("GetTable", Some(table)) => json!({ "Table": table }),
            ("CreateTable", Some(_)) => {
                return refused("AlreadyExistsException", "Table already exists.".to_owned());
            }
            ("CreateTable", None) => {
                let mut table = input.clone();
                table["CreateTime"] = json!(1_700_000_000.5);
                table["VersionId"] = json!("0");
                tables.insert(name.to_owned(), table);
                json!({})
            }
            ("UpdateTable", Some(before)) => {
                assert_eq!(body["SkipArchive"], true);
                let mut table = input.clone();
                table["CreateTime"] = before["CreateTime"].clone();
                tables.insert(name.to_owned(), table);
                json!({})
            }
            (_, None) => {
                return refused("EntityNotFoundException", format!("Entity {name} not found."));
            }
            (other, _) => panic!("nobody calls {other}"),
        };
        Some((200, answer.to_string()))
    }
}

fn column(name: &str, data_type: &str, comment: &str) -> Column {
    Column { name: name.to_owned(), data_type: data_type.to_owned(), comment: comment.to_owned() }
}

fn donors() -> Table {
    Table {
        name: "donors".to_owned(),
        location: "s3://bucket/curated/donors".to_owned(),
        format: Format::Parquet,
        description: "$ of donors".to_owned(),
        columns: vec![column("id", "bigint", "$.id"), column("email", "string", "$.email")],
    }
}

fn named(name: &str) -> Table {
    let location = format!("s3://bucket/curated/{name}");
    Table { name: name.to_owned(), location, ..donors() }
}

async fn registered(server: &Server, tables: &[Table]) -> CatalogReport {
    let database: Database = "glue://crm".parse().unwrap();
    register(&server.client(), &database, tables).await
}

fn outcomes(report: &CatalogReport) -> Vec<(&str, Outcome)> {
    report.tables.iter().map(|table| (table.table.as_str(), table.outcome)).collect()
}

fn told(report: CatalogReport) -> (u8, String) {
    let error = report.outcome().unwrap_err();
    let mut text = error.to_string();
    for cause in solder_landing::causes(&error) {
        text = format!("{text}: {cause}");
    }
    (error.exit_code(), text)
}

#[tokio::test]
async fn g2_a_parquet_table_is_as_athena_wants_it() {
    let glue = Glue::with_database("crm");
    let report = registered(&glue.start(), &[donors()]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Created)]);
    report.outcome().unwrap();
    let table = glue.table("crm", "donors");
    assert_eq!(table["TableType"], "EXTERNAL_TABLE");
    assert_eq!(table["Description"], "$ of donors");
    assert_eq!(
        table["Parameters"],
        json!({ "EXTERNAL": "TRUE", "classification": "parquet", "solder.made_by": "engine" })
    );
    let storage = &table["StorageDescriptor"];
    assert_eq!(storage["Location"], "s3://bucket/curated/donors/");
    assert_eq!(
        storage["SerdeInfo"]["SerializationLibrary"],
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    );
    assert_eq!(
        storage["Columns"],
        json!([
            { "Name": "id", "Type": "bigint", "Comment": "$.id" },
            { "Name": "email", "Type": "string", "Comment": "$.email" },
        ])
    );
}

#[tokio::test]
async fn g2_a_delta_table_says_what_it_is() {
    let glue = Glue::with_database("crm");
    registered(&glue.start(), &[Table { format: Format::Delta, ..donors() }]).await;
    let table = glue.table("crm", "donors");
    assert_eq!(table["Parameters"]["table_type"], "DELTA");
    assert_eq!(table["Parameters"]["spark.sql.sources.provider"], "delta");
    let serde = &table["StorageDescriptor"]["SerdeInfo"]["Parameters"];
    assert_eq!(serde["path"], "s3://bucket/curated/donors/");
    assert_eq!(table["StorageDescriptor"]["Columns"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn g2_names_are_lower_case_and_comments_fit() {
    let long = format!("$.{}", "é".repeat(400));
    let wide = format!("$.{}", "😀".repeat(200));
    let columns = vec![
        column("Total", "double", &long),
        column("b", "string", "$.\"a\nb\""),
        column("c", "string", &wide),
    ];
    let table = Table { name: "Root_Lines".to_owned(), columns, ..donors() };
    let glue = Glue::with_database("crm");
    let report = registered(&glue.start(), &[table]).await;
    assert_eq!(outcomes(&report), [("root_lines", Outcome::Created)]);
    let columns = glue.table("crm", "root_lines")["StorageDescriptor"]["Columns"].clone();
    assert_eq!(columns[0]["Name"], "total");
    let comment = columns[0]["Comment"].as_str().unwrap();
    assert_eq!((comment.chars().count(), comment.chars().last()), (255, Some('…')));
    assert_eq!(columns[1]["Comment"], "$.\"a b\"");
    // The catalog counts units of UTF-16, of which these signs have two.
    let comment = columns[2]["Comment"].as_str().unwrap();
    assert_eq!(comment, format!("$.{}…", "😀".repeat(126)));
    assert_eq!(comment.encode_utf16().count(), 255);
}

#[rstest]
#[case::same_columns("a", vec![column("x", "string", "$.x"), column("X", "string", "$.X")], "more than one column `x`")]
#[case::no_name("a", vec![column("", "string", "$.\"\"")], "that of `$.\"\"` has 0")]
#[case::long_name(&"a".repeat(300), vec![], "this one has 300")]
#[tokio::test]
async fn g2_what_the_catalog_cannot_hold_is_told_and_the_others_come(
    #[case] name: &str,
    #[case] columns: Vec<Column>,
    #[case] why: &str,
) {
    let glue = Glue::with_database("crm");
    let tables = [Table { columns, ..named(name) }, donors()];
    let report = registered(&glue.start(), &tables).await;
    assert_eq!(outcomes(&report), [(name, Outcome::Refused), ("donors", Outcome::Created)]);
    let (code, text) = told(report);
    assert!(code == 73 && text.contains(why), "{code} {text}");
}

#[tokio::test]
async fn g2_two_tables_of_one_name_are_one_too_many() {
    let glue = Glue::with_database("crm");
    let report = registered(&glue.start(), &[named("donors"), named("Donors")]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Created), ("donors", Outcome::Refused)]);
    let location = &glue.table("crm", "donors")["StorageDescriptor"]["Location"];
    assert_eq!(location, "s3://bucket/curated/donors/");
}

#[tokio::test]
async fn g3_a_table_of_somebody_else_stays_and_the_others_come() {
    let theirs = json!({ "Name": "donors", "StorageDescriptor": { "Location": "s3://theirs/x/" } });
    let glue = Glue::with_database("crm");
    glue.put("crm", "donors", theirs.clone());
    let server = glue.start();
    let report = registered(&server, &[donors(), named("gifts")]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Refused), ("gifts", Outcome::Created)]);
    let json = json!(report);
    assert_eq!((&json["catalog"], &json["exit_code"]), (&json!("glue://crm"), &json!(73)));
    let (code, text) = told(report);
    assert_eq!(code, 73);
    assert_eq!(
        text,
        "`crm.donors` is not registered: a table of this name is there that Solder did not make (at `s3://theirs/x/`); remove or rename it, or use another database"
    );
    assert_eq!(glue.table("crm", "donors"), theirs);
    assert!(!server.operations().contains(&"UpdateTable".to_owned()));
}

#[tokio::test]
async fn g3_a_table_of_another_place_stays() {
    let glue = Glue::with_database("crm");
    let server = glue.start();
    registered(&server, &[donors()]).await;
    let moved = Table { location: "s3://bucket/lake/donors".to_owned(), ..donors() };
    let (code, text) = told(registered(&server, &[moved]).await);
    assert_eq!(code, 73);
    assert!(text.contains("that of `s3://bucket/curated/donors/`, and not of"), "{text}");
    let location = &glue.table("crm", "donors")["StorageDescriptor"]["Location"];
    assert_eq!(location, "s3://bucket/curated/donors/");
}

#[tokio::test]
async fn g3_what_others_added_stays() {
    let glue = Glue::with_database("crm");
    let server = glue.start();
    registered(&server, &[donors()]).await;
    let mut table = glue.table("crm", "donors");
    table["Owner"] = json!("finance");
    table["Description"] = json!("Who gives");
    table["Parameters"]["team"] = json!("crm");
    table["StorageDescriptor"]["Columns"][1]["Parameters"] = json!({ "class": "personal" });
    glue.put("crm", "donors", table.clone());
    // It is no change.
    let report = registered(&server, &[donors()]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Unchanged)]);
    // And it outlives one.
    let mut wider = donors();
    wider.columns.push(column("score", "double", "$.score"));
    let report = registered(&server, &[wider]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Updated)]);
    let after = glue.table("crm", "donors");
    for key in ["Owner", "Description", "Parameters"] {
        assert_eq!(after[key], table[key]);
    }
    let columns = &after["StorageDescriptor"]["Columns"];
    assert_eq!(columns[1], table["StorageDescriptor"]["Columns"][1]);
    assert_eq!(columns[2]["Name"], "score");
}

#[tokio::test]
async fn g4_nothing_is_written_when_nothing_has_changed() {
    let glue = Glue::with_database("crm");
    let server = glue.start();
    registered(&server, &[donors(), named("gifts")]).await;
    let before = server.operations().len();
    let report = registered(&server, &[donors(), named("gifts")]).await;
    assert_eq!(report.num(Outcome::Unchanged), 2);
    assert_eq!(server.operations()[before..], ["GetDatabase", "GetTable", "GetTable"]);
}

#[tokio::test]
async fn g4_new_wider_and_lost_columns_are_told() {
    let glue = Glue::with_database("crm");
    let server = glue.start();
    registered(&server, &[donors()]).await;
    let columns = vec![column("id", "string", "$.id"), column("age", "int", "$.age")];
    let report = registered(&server, &[Table { columns, ..donors() }]).await;
    let table = &report.tables[0];
    assert_eq!(table.outcome, Outcome::Updated);
    assert_eq!(table.columns_added, ["age"]);
    assert_eq!(table.columns_changed, ["id"]);
    assert_eq!(table.columns_removed, ["email"]);
    let columns = glue.table("crm", "donors")["StorageDescriptor"]["Columns"].clone();
    assert_eq!(columns[0], json!({ "Name": "id", "Type": "string", "Comment": "$.id" }));
}

#[tokio::test]
async fn g4_who_is_overtaken_looks_again() {
    let glue = Glue::with_database("crm");
    glue.fail_once("CreateTable", "AlreadyExistsException");
    let server = glue.start();
    let report = registered(&server, &[donors()]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Created)]);

    glue.fail_once("UpdateTable", "ConcurrentModificationException");
    let mut wider = donors();
    wider.columns.push(column("score", "double", "$.score"));
    let report = registered(&server, &[wider]).await;
    assert_eq!(outcomes(&report), [("donors", Outcome::Updated)]);
}

#[tokio::test]
async fn g4_who_is_always_overtaken_can_try_again() {
    let glue = Glue::with_database("crm");
    for _ in 0..5 {
        glue.fail_once("CreateTable", "AlreadyExistsException");
    }
    let (code, text) = told(registered(&glue.start(), &[donors()]).await);
    assert_eq!(code, 75);
    assert_eq!(text, "others changed the table `crm.donors` 5 times while it was being registered");
}

#[tokio::test]
async fn g1_a_database_that_is_missing_is_told_with_what_makes_it() {
    let glue = Glue::with_database("other");
    let server = glue.start();
    let (code, text) = told(registered(&server, &[donors()]).await);
    assert_eq!(code, 78);
    assert_eq!(
        text,
        "there is no database `crm` in the Glue Data Catalog of eu-central-1; `aws glue create-database --region eu-central-1 --database-input Name=crm` makes it"
    );
    assert_eq!(server.operations(), ["GetDatabase"]);
}

#[tokio::test]
async fn g5_a_missing_permission_names_action_and_table() {
    let glue = Glue::with_database("crm");
    let server = glue.start();
    registered(&server, &[named("a")]).await;
    glue.fail_once("CreateTable", "AccessDeniedException");
    let report = registered(&server, &[named("a"), named("b"), named("c")]).await;
    // Who may not make one may not make the next.
    assert_eq!(outcomes(&report), [("a", Outcome::Unchanged)]);
    assert_eq!(json!(report)["exit_code"], 77);
    let (code, text) = told(report);
    assert_eq!(code, 77);
    assert_eq!(
        text,
        "registering the table `crm.b` in the Glue Data Catalog, when 1 of 3 tables were done: calling `glue:CreateTable`: `AccessDeniedException`: says why"
    );
    // Said again, it goes on from there.
    let report = registered(&server, &[named("a"), named("b"), named("c")]).await;
    assert_eq!(report.num(Outcome::Created), 2);
}

#[tokio::test]
async fn g5_what_the_service_does_not_take_of_one_table_is_told() {
    let glue = Glue::with_database("crm");
    glue.fail_once("CreateTable", "InvalidInputException");
    let report = registered(&glue.start(), &[named("a"), named("b")]).await;
    assert_eq!(outcomes(&report), [("a", Outcome::Refused), ("b", Outcome::Created)]);
    let why = report.tables[0].why.clone().unwrap();
    assert_eq!(why, "calling `glue:CreateTable`: `InvalidInputException`: says why");
}

#[tokio::test]
async fn g1_without_tables_nothing_is_asked() {
    let server = Glue::default().start();
    registered(&server, &[]).await.outcome().unwrap();
    assert!(server.operations().is_empty());
}

#[rstest]
#[case("glue://crm", Some("crm"))]
#[case("glue://crm_2026/", Some("crm_2026"))]
#[case("crm", None)]
#[case("glue://", None)]
#[case("glue://CRM", None)]
#[case("glue://crm/donors", None)]
#[case("s3://crm", None)]
fn g1_a_text_names_a_database(#[case] text: &str, #[case] name: Option<&str>) {
    let database = text.parse::<Database>();
    assert_eq!(database.as_ref().ok().map(Database::name), name);
    if let Err(error) = database {
        assert_eq!(error.exit_code(), 64);
    }
}

#[rstest]
#[case("s3://bucket/curated", true)]
#[case("S3://bucket", true)]
#[case("curated/", false)]
#[case("gs://bucket/curated", false)]
#[case("file:///srv/curated", false)]
fn g1_only_tables_in_s3_are_registered(#[case] place: &str, #[case] is_good: bool) {
    let database: Database = "glue://crm".parse().unwrap();
    assert_eq!(database.check_place(place).is_ok(), is_good);
}
