//! Sources that cannot be used: each says where it is wrong, and what would be right.

use rstest::rstest;

use crate::support::{Folder, filters, test_name};

const RIGHT: &str = "\
version: 1
parameters: { region: null, size: 50 }
connection:
  base_url: https://shop.example/{param.region}
  auth: { type: bearer, token: \"${secret:env:TOKEN}\" }
streams:
  orders:
    path: /orders/{partition.kind}
    partitions: { kind: [open, closed] }
    records: $.data[*]
    primary_key: [id]
    paginate: { type: page, size: 100, size_param: per_page }
    incremental: { cursor: updated_at, initial: 2024-01-01T00:00:00Z, lookback: 5m, order: asc }
";

/// The source with one text put for another; the message is the snapshot of the case's name.
#[rstest]
#[case::source_unknown_key("records:", "recrods:")]
#[case::source_unknown_type("type: page", "type: pages")]
#[case::source_wrong_kind("size: 100", "size: many")]
#[case::source_missing_key("    path: /orders/{partition.kind}\n", "")]
#[case::source_wrong_value("order: asc", "order: ascending")]
#[case::source_unknown_placeholder("{partition.kind}", "{partiton.kind}")]
#[case::source_unknown_partition("{partition.kind}", "{partition.sort}")]
#[case::source_window_without_window("/{partition.kind}", "/{partition.kind}/{window.start}")]
#[case::source_secret_in_path("/{partition.kind}", "/{partition.kind}/${secret:env:TOKEN}")]
#[case::source_bad_secret("secret:env:TOKEN", "secret:vault:TOKEN")]
#[case::source_bad_duration("lookback: 5m", "lookback: P1M")]
#[case::source_bad_initial("2024-01-01T00:00:00Z", "yesterday")]
#[case::source_bad_url("https://shop.example", "shop.example")]
#[case::source_bad_records_path("$.data[*]", "$.data[?(@.x)]")]
#[case::source_other_version("version: 1", "version: 2")]
#[case::source_overlap_without_key(
    "primary_key: [id]\n    paginate: { type: page, size: 100, size_param: per_page }",
    "paginate: { type: offset, size: 100, overlap: 5 }"
)]
#[case::source_key_twice("    records:", "    path: /x\n    records:")]
#[case::source_bad_yaml("  orders:", "  orders: {")]
#[case::source_several("path:", "paht:\n    primry_key: [x]\n    mode: apend\n    path:")]
fn i1_wrong_sources(#[case] text: &str, #[case] instead: &str) {
    assert!(RIGHT.contains(text));
    let folder = Folder::new().with("shop.yaml", RIGHT.replace(text, instead));
    assert_refused(&folder, 78, "plan shop.yaml --param region=eu");
}

#[rstest]
#[case::source_missing_param(78, "plan shop.yaml")]
#[case::source_unknown_param(78, "plan shop.yaml --param region=eu --param sise=3")]
#[case::source_bad_param(64, "plan shop.yaml --param region")]
#[case::source_unknown_stream(64, "plan shop.yaml --param region=eu --stream order")]
#[case::source_no_file(66, "plan shpo.yaml")]
#[case::source_no_place(64, "run shop.yaml")]
#[case::source_unknown_store(64, "run shop.yaml --param region=eu --to ftp://host/raw")]
#[case::source_bad_run_id(64, "run shop.yaml --param region=eu --to raw --run-id ../x")]
#[case::source_unknown_option(64, "run shop.yaml --to raw --ful")]
fn i14_wrong_calls(#[case] code: i32, #[case] arguments: &str) {
    let folder = Folder::new().with("shop.yaml", RIGHT);
    assert_refused(&folder, code, arguments);
    assert!(folder.files("raw").is_empty());
}

fn assert_refused(folder: &Folder, code: i32, arguments: &str) {
    let _filters = filters();
    let outcome = folder.ingest(&format!("{arguments} --log text"));
    insta::assert_snapshot!(test_name(), outcome.shown(arguments));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:?}");
}

#[test]
fn source_no_streams() {
    let (head, _) = RIGHT.split_once("streams:").unwrap();
    let folder = Folder::new().with("shop.yaml", format!("{head}streams: {{}}\n"));
    assert_refused(&folder, 78, "plan shop.yaml --param region=eu");
}

#[test]
fn the_source_that_they_are_made_of_is_right() {
    let folder = Folder::new().with("shop.yaml", RIGHT);
    let outcome = folder.ingest("plan shop.yaml --param region=eu");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}
