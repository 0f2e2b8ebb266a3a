//! `plan`: the first requests of three common kinds of API, secrets masked and none of them read.

use rstest::rstest;

use crate::support::{Folder, filters, test_name};

#[rstest]
#[case::plan_issues(include_str!("sources/issues.yaml"))]
#[case::plan_payments(include_str!("sources/payments.yaml"))]
#[case::plan_orders(include_str!("sources/orders.yaml"))]
fn i14_plan(#[case] source: &str) {
    let _filters = filters();
    let folder = Folder::new().with("api.yaml", source);
    let outcome = folder.ingest("plan api.yaml --log text");
    insta::assert_snapshot!(test_name(), outcome.shown("plan api.yaml"));
    assert_eq!(outcome.code, 0);
}

/// A header and a parameter with secrets, and a child.
#[test]
fn i14_plan_masks_secrets() {
    let _filters = filters();
    let source = "version: 1
connection:
  base_url: https://api.example/v1
  headers: { X-Tenant: \"${secret:env:TENANT_KEY}\" }
streams:
  lists:
    path: /lists
  members:
    path: /lists/{parent.id}/members
    parent: { stream: lists }
    method: POST
    body: { token: \"key-${secret:env:TENANT_KEY}\", since: \"{run.date}\" }
    params: { key: \"${secret:env:TENANT_KEY}\" }
";
    let folder = Folder::new().with("api.yaml", source);
    let mut command = folder.command("plan api.yaml --log text --stream members");
    let output = command.env("TENANT_KEY", "hidden-secret-1").output().unwrap();
    let outcome = crate::support::Outcome::from(output);
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    let shown = outcome.shown("plan api.yaml --stream members").replace(&today, "[today]");
    assert!(!shown.contains("hidden-secret"), "{shown}");
    insta::assert_snapshot!("plan_masked", shown);
}
