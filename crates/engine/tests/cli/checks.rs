//! Expectations of a job file (C1 to C3), as their users see them.

use rstest::rstest;

use crate::support::{Folder, filters, snapshot_name};

const DONORS: &str = "\
{\"id\":1,\"email\":\"ada@example.org\",\"segment\":\"regular\",\"since\":\"2026-01-05T08:00:00Z\",\"gifts\":[{\"amount\":5,\"campaign\":\"A\"}]}
{\"id\":2,\"email\":\"bob\",\"segment\":\"lapsed\",\"since\":\"2026-02-05T08:00:00Z\",\"gifts\":[{\"amount\":-1,\"campaign\":\"B\"}]}
{\"id\":3,\"segment\":\"Regular\",\"since\":null,\"gifts\":[]}
";
const CAMPAIGNS: &str = "{\"code\":\"A\"}\n{\"code\":\"C\"}\n";

fn curated() -> Folder {
    let folder = Folder::new().with("raw/donors/1.ndjson", DONORS);
    let folder = folder.with("raw/campaigns/1.ndjson", CAMPAIGNS);
    let outcome = folder.engine("relationalize raw curated --key donors=id --key campaigns=code");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    folder
}

fn lake() -> Folder {
    let folder = curated();
    let outcome = folder.engine("merge --staging curated --into lake");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    folder
}

/// Name, code and the expectations; what is said of them is in the snapshot of the name.
#[rstest]
#[case::not_null(65, "donors: [{ not_null: email }]")]
#[case::not_null_of_several(65, "donors: [{ not_null: [id, since] }]")]
#[case::not_null_holds(0, "donors: [{ not_null: id }]")]
#[case::unique(65, "donors__gifts: [{ unique: _index_1 }]")]
#[case::unique_holds(0, "donors: [{ unique: [id, email] }]")]
#[case::accepted_values(
    65,
    "donors: [{ accepted_values: { column: segment, values: [regular, lapsed, 'it''s'] } }]"
)]
#[case::range(65, "donors__gifts: [{ range: { column: amount, min: 0, max: 10 } }]")]
#[case::range_from(65, "donors__gifts: [{ range: { column: amount, min: 0.5 } }]")]
#[case::range_of_texts(
    0,
    "donors: [{ range: { column: since, min: '2026-01-01', max: '2026-12-31' } }]"
)]
#[case::matches(65, "donors: [{ matches: { column: email, pattern: '^[^@]+@[^@]+$' } }]")]
#[case::row_count(65, "donors: [{ row_count: { min: 4, max: 2000 } }]")]
#[case::row_count_holds(0, "donors: [{ row_count: { min: 3, max: 3 } }]")]
#[case::fresh(65, "donors: [{ fresh: { column: since, within: 2d } }]")]
#[case::fresh_holds(0, "donors: [{ fresh: { column: since, within: 100000d } }]")]
#[case::references(
    65,
    "donors__gifts: [{ references: { column: campaign, table: campaigns, to: code } }]"
)]
#[case::no_rows(65, "donors: [{ no_rows: 'select id from donors where id > 2;' }]")]
#[case::warning(0, "donors: [{ not_null: email, level: warn }]")]
#[case::warning_and_failure(
    65,
    "donors: [{ not_null: email, level: warn }, { row_count: { max: 1 } }]"
)]
#[case::unknown_kind(78, "donors: [{ not_nul: email }]")]
#[case::two_kinds(78, "donors: [{ not_null: email, unique: id }]")]
#[case::no_kind(78, "donors: [{ level: warn }]")]
#[case::no_time(78, "donors: [{ fresh: { column: since, within: soon } }]")]
#[case::unknown_column(64, "donors: [{ not_null: e_mail }]")]
#[case::unknown_table(64, "donor: [{ not_null: email }]")]
#[case::bad_statement(64, "donors: [{ no_rows: 'selec 1' }]")]
fn c1_expectations(#[case] code: i32, #[case] checks: &str) {
    let folder = lake().with("solder.yaml", format!("checks:\n  {checks}\n"));
    let outcome = folder.engine("check lake --job solder.yaml --log text");
    let _filters = filters();
    let text = format!("{checks}\n\n{}{}=> {}\n", outcome.stdout, outcome.stderr, outcome.code);
    insta::assert_snapshot!(snapshot_name("checks"), text);
    assert_eq!(outcome.code, code, "{outcome:?}");
    let both = outcome.stdout + &outcome.stderr;
    assert!(!both.contains("ada@example.org"), "no value of a row is told: {both}");
}

#[test]
fn c2_rows_that_fail_can_be_looked_at() {
    let checks = "checks:\n  donors:\n    - { matches: { column: email, pattern: '@' } }\n";
    let folder = lake().with("solder.yaml", checks);
    let outcome = folder.engine("check lake --job solder.yaml --report json");
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!((&finding["num_rows"], &finding["level"]), (&1.into(), &"fail".into()));
    folder.write("failing.sql", finding["rows"].as_str().unwrap());
    let rows = folder.engine("sql failing.sql --lake lake --format json");
    let row: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!((&row["id"], &row["email"]), (&2.into(), &"bob".into()));
}

#[test]
fn c3_what_must_hold_before_a_merge_keeps_bad_rows_out_of_the_lake() {
    let job = "
merge: { staging: curated, into: lake }
checks:
  donors:
    - { not_null: email, before_merge: true }
    - { row_count: { max: 1 } }";
    let folder = curated().with("solder.yaml", job);
    let outcome = folder.engine("merge --job solder.yaml --log text");
    assert_eq!(outcome.code, 65, "{outcome:?}");
    assert!(outcome.stderr.contains("1 of 1 checks failed"), "{outcome:?}");
    assert!(folder.names("lake").is_empty(), "nothing came in: {:?}", folder.names("lake"));

    folder
        .write("solder.yaml", job.replace("before_merge: true", "before_merge: true, level: warn"));
    let outcome = folder.engine("merge --job solder.yaml --log text");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(
        outcome.stdout.contains("donors: warning: not_null: `email` is null in 1 row"),
        "{outcome:?}"
    );
    assert!(folder.names("lake").contains(&"donors".to_owned()));
}

#[test]
fn c3_a_table_that_is_not_merged_keeps_no_other_out() {
    let job = "
merge: { staging: curated, into: lake }
checks:
  donors:
    - { not_null: email, before_merge: true }
  donors__gifts:
    - { range: { column: amount, min: 0 }, before_merge: true }";
    let folder = curated().with("solder.yaml", job);
    let outcome = folder.engine("merge --job solder.yaml --table campaigns --log text");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(folder.names("lake").iter().filter(|name| !name.starts_with('_')).count(), 1);
    let outcome = folder.engine("merge --job solder.yaml --table donors --log text");
    assert_eq!(outcome.code, 65, "{outcome:?}");
    assert!(outcome.stderr.contains("2 of 2 checks failed"), "{outcome:?}");
}
