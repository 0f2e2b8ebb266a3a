//! `engine tables`: the tables of a small data set in every format.

use std::path::Path;
use std::sync::Arc;

use solder_relationalize::curated::Curated;
use solder_relationalize::progress::NoProgress;
use solder_relationalize::relation::Naming;
use solder_relationalize::shape::{Action, Selector};
use solder_relationalize::tables::{Catalog, athena_ddl, duckdb_ddl, mermaid, text};
use solder_relationalize::{Crew, Io, Pool, Settings, Stop, relationalize};

/// Three levels of arrays, a map, a mixed column, odd names, a list, a struct, a bad record.
const ORDERS: &str = r#"
{"id": 1, "customer": {"name": "Ada", "odd key's": "x"}, "code": 7, "price": 12.5, "items": [{"sku": "a", "n": 1, "discounts": [{"pct": 0.5, "why": ["new", "late"]}]}, {"sku": "b", "n": 2}], "labels": {"red": 1, "blue": 2}, "tags": ["x", null, "y"], "weight": 3}
{"id": 2, "customer": {"name": null}, "code": "A7", "items": [], "labels": {}, "pk": true, "tags": [], "weight": "heavy"}
{"id": 3, "code": true, "items": [{"sku": "c", "n": 3, "discounts": []}], "made_at": "2026-01-02T03:04:05Z", "never": null, "big": 123456789012345678901234567890}
{"id": 4, broken}
"#;

fn crew() -> Crew {
    Crew {
        io: Arc::new(Io::start().unwrap()),
        pool: Arc::new(Pool::start(2).unwrap()),
        progress: Arc::new(NoProgress),
        stop: Arc::new(Stop::default()),
    }
}

/// Relationalizes [`ORDERS`] into `curated/` of a folder.
fn write_orders(folder: &Path, naming: Naming) -> Curated {
    let raw = folder.join("raw");
    std::fs::create_dir_all(raw.join("orders")).unwrap();
    std::fs::create_dir_all(raw.join("visits")).unwrap();
    std::fs::write(raw.join("orders/1.ndjson"), ORDERS.trim_start()).unwrap();
    std::fs::write(raw.join("visits/1.ndjson"), "{\"site\": \"north\"}\n").unwrap();
    let rule = |path: &str, action| (Selector::parse(path).unwrap(), action);
    let output = folder.join("curated").display().to_string();
    let mut settings = Settings {
        keys: vec!["orders=id".parse().unwrap()],
        rules: vec![rule("tags", Action::List), rule("weight", Action::MakeStruct)],
        naming,
        timestamps: true,
        run_id: "run-1".to_owned(),
        started_at: "2026-11-23T10:46:06Z".to_owned(),
        ..Settings::new(&raw.display().to_string(), &output)
    };
    if naming == Naming::Sql {
        settings.maps = vec![Selector::parse("labels").unwrap()];
    }
    let crew = crew();
    relationalize(&settings, &crew).unwrap();
    Curated::open(crew.io, &output).unwrap()
}

fn catalog(naming: Naming, table: Option<&str>) -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let curated = write_orders(folder.path(), naming);
    let catalog = Catalog::read(&curated, table).unwrap();
    (folder, catalog)
}

/// Compares with the snapshot, where the folder and the sizes of files stand for what they are.
fn assert_snapshot(name: &str, folder: &Path, text: &str) {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let text = text.replace(&folder.display().to_string(), "[folder]");
    insta::with_settings!({
        filters => vec![
            (r" +\d+(\.\d)? k?B\b", "  [size]"),
            (r#""size_bytes": \d+"#, r#""size_bytes": "[bytes]""#),
        ],
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, { insta::assert_snapshot!(name, text); });
}

#[test]
fn r5_r8_as_text() {
    let (folder, catalog) = catalog(Naming::Sql, None);
    assert_snapshot("tables_text", folder.path(), &text(&catalog));
}

#[test]
fn r6_as_json() {
    let (folder, catalog) = catalog(Naming::Sql, None);
    let json = serde_json::to_string_pretty(&catalog).unwrap();
    assert_snapshot("tables_json", folder.path(), &json);
}

#[test]
fn r12_as_ddl_for_athena() {
    let (folder, catalog) = catalog(Naming::Sql, None);
    assert_snapshot("tables_athena", folder.path(), &athena_ddl(&catalog));
}

#[test]
fn r19_as_ddl_for_duckdb() {
    let (folder, catalog) = catalog(Naming::Sql, None);
    assert_snapshot("tables_duckdb", folder.path(), &duckdb_ddl(&catalog));
}

#[test]
fn r8_as_mermaid() {
    let (folder, catalog) = catalog(Naming::Sql, None);
    assert_snapshot("tables_mermaid", folder.path(), &mermaid(&catalog));
}

#[test]
fn r7_glue_names_join_by_their_array_columns() {
    let (folder, catalog) = catalog(Naming::Glue, None);
    assert_snapshot("tables_glue_text", folder.path(), &text(&catalog));
    assert_snapshot("tables_glue_mermaid", folder.path(), &mermaid(&catalog));
}

#[test]
fn one_table_comes_with_those_below_it() {
    let (_folder, catalog) = catalog(Naming::Sql, Some("orders__items"));
    let names: Vec<_> = catalog.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(
        names,
        ["orders__items", "orders__items__discounts", "orders__items__discounts__why"]
    );
    assert!(mermaid(&catalog).contains("orders__items ||--o{ orders__items__discounts"));
    assert!(!mermaid(&catalog).contains("orders ||"));
}

#[test]
fn unknown_tables_and_empty_places_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = Curated::open(crew().io, &folder.path().display().to_string()).unwrap();
    let error = Catalog::read(&nothing, None).unwrap_err();
    assert_eq!(error.exit_code(), 66);
    assert!(error.to_string().starts_with("nothing is committed in"), "{error}");

    let curated = write_orders(folder.path(), Naming::Sql);
    let error = Catalog::read(&curated, Some("order")).unwrap_err();
    assert_eq!(error.exit_code(), 66);
    assert!(error.to_string().contains("there are `orders`, `orders__items`"), "{error}");
}
