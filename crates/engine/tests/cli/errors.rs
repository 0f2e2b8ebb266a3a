//! Errors and exit codes: everything that goes wrong says what to do about it, once.

use std::io::Write as _;

use rstest::rstest;

use crate::support::{Folder, ORDERS, filters, snapshot_name};

fn orders() -> Folder {
    Folder::new().with("raw/1.ndjson", ORDERS)
}

/// Name, code and arguments; the text is in the snapshot of the name.
#[rstest]
#[case::missing_input(66, "relationalize nowhere curated")]
#[case::glob_without_match(66, "relationalize raw/*.zip curated")]
#[case::bad_glob(64, "relationalize raw/a{ curated")]
#[case::folder_without_data(66, "relationalize texts curated")]
#[case::file_url_of_another_host(64, "relationalize file://host/x curated")]
#[case::unknown_store(64, "relationalize ftp://host/raw curated")]
#[case::credentials_in_url(77, "relationalize s3://key:secret@bucket/raw curated")]
#[case::output_below_a_file(73, "relationalize raw file/curated")]
#[case::damaged_gzip(65, "relationalize cut.json.gz curated")]
#[case::bad_key(64, "relationalize raw curated --key items[")]
#[case::resolve_bad_path(64, "relationalize raw curated --resolve items[.price=drop")]
#[case::resolve_bad_type(64, "relationalize raw curated --resolve items[].price=cast:money")]
#[case::resolve_no_action(64, "relationalize raw curated --resolve price")]
#[case::records_bad_path(64, "relationalize raw curated --records data[*]")]
#[case::bad_threshold(64, "relationalize raw curated --error-threshold five")]
#[case::threshold(65, "relationalize bad curated --error-threshold 0.5%")]
#[case::too_many_tables(65, "relationalize raw curated --max-tables 1")]
#[case::too_many_columns(65, "relationalize raw curated --max-columns 3")]
#[case::bad_size(64, "relationalize raw curated --max-record 10x")]
#[case::manifest_no_file(64, "relationalize raw curated --manifest s3://bucket/")]
#[case::maps_in_glue(64, "relationalize raw curated --naming glue --map customer")]
#[case::g1_catalog_of_a_local_place(64, "relationalize raw curated --catalog glue://crm")]
#[case::g1_catalog_of_another_store(
    64,
    "merge --staging s --into gs://b/lake --catalog glue://crm"
)]
#[case::g1_catalog_that_is_none(64, "relationalize raw s3://bucket/curated --catalog crm")]
#[case::g1_catalog_in_a_plan(64, "plan raw s3://bucket/curated --catalog glue://crm")]
#[case::g1_catalog_without_a_table(64, "sql -c x --catalog glue://crm")]
#[case::unknown_option(64, "relationalize raw curated --treshold 3")]
fn errors(#[case] code: i32, #[case] arguments: &str) {
    let folder = orders()
        .with("bad/1.ndjson", "{\"a\":1}\n[1]\n")
        .with("texts/a.txt", "a")
        .with("file", "")
        .with("cut.json.gz", &gzip(ORDERS.as_bytes())[..60]);
    assert_fails(&folder, code, arguments);
    assert!(folder.names("curated/_solder/manifests").is_empty(), "nothing is committed");
    for part in ["staging", "running", "shapes"] {
        let names = folder.names(&format!("curated/_solder/{part}"));
        assert!(names.is_empty(), "nothing stays behind in {part}: {names:?}");
    }
}

/// The text of the error is the snapshot named like the test.
fn assert_fails(folder: &Folder, code: i32, arguments: &str) {
    let outcome = folder.engine(&format!("{arguments} --log text"));
    let _filters = filters();
    let text = format!("$ engine {arguments}\n{}=> {}\n", outcome.stderr, outcome.code);
    insta::assert_snapshot!(snapshot_name("error"), text);
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert_eq!(outcome.stdout, "", "stdout is for results");
}

#[test]
fn other_key_than_before() {
    let folder = orders();
    assert_eq!(folder.engine("relationalize raw curated --key id").code, 0);
    assert_fails(&folder, 64, "relationalize raw curated --key customer.name");
}

#[test]
fn r11_drift_freeze() {
    let folder = orders();
    assert_eq!(folder.engine("relationalize raw curated").code, 0);
    folder.write("raw/2.ndjson", "{\"id\":\"x\",\"tags\":[{\"a\":1}],\"note\":\"n\"}\n");
    assert_fails(&folder, 65, "relationalize raw curated --drift freeze");
}

#[test]
fn damaged_manifest() {
    let folder = orders();
    assert_eq!(folder.engine("relationalize raw curated").code, 0);
    let names = folder.names("curated/_solder/manifests");
    folder.write(&format!("curated/_solder/manifests/{}", names[0]), "{");
    assert_fails(&folder, 74, "relationalize raw curated");
}

#[test]
fn newer_manifest() {
    let folder = orders();
    let newer = r#"{"format":999,"sequence":1,"runs":[],"entities":{},"quarantine":[]}"#;
    folder.write("curated/_solder/manifests/00000000000000000001.json", newer);
    assert_fails(&folder, 74, "relationalize raw curated");
}

/// Where permissions mean something: who is root is refused nothing.
#[cfg(unix)]
#[rstest]
#[case::unreadable_input("relationalize locked/1.ndjson curated")]
#[case::unwritable_output("relationalize raw sealed/curated")]
fn no_permission(#[case] arguments: &str) {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let folder = orders().with("locked/1.ndjson", ORDERS).with("sealed/file", "");
    let set = |path: &str, mode| {
        fs::set_permissions(folder.path().join(path), Permissions::from_mode(mode)).unwrap();
    };
    set("locked/1.ndjson", 0o000);
    set("sealed", 0o500);
    if fs::File::open(folder.path().join("locked/1.ndjson")).is_ok() {
        eprintln!("skipped: this user may read everything");
    } else {
        assert_fails(&folder, 77, arguments);
    }
    set("sealed", 0o700);
}

/// R2: a document that lacks the records path is set aside; the summary says why.
#[test]
fn r2_records_path_not_there() {
    let folder = Folder::new().with("page.json", "{\"items\":[{\"a\":1}]}");
    let outcome = folder.engine("relationalize page.json curated --records $.data[*]");
    assert_eq!(outcome.code, 0);
    assert!(outcome.stdout.contains("nothing at `$.data`"), "{}", outcome.stdout);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
