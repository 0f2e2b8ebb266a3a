//! The property on which the lake stands: whatever the feed, however it is cut into runs and merges, the
//! lake is what relationalizing the last record of every key alone gives (M1 to M9).
//!
//! `PROPTEST_CASES=1000 cargo test --test solder merge::feed` looks further than the cases that run every
//! time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use solder_lake::merge::Rule;

use super::lab::LakeLab;

/// A record of the feed.
#[derive(Clone, Debug)]
struct Change {
    id: usize,
    version: Option<i64>,
    is_deletion: bool,
    /// Its own fields, as JSON.
    fields: Vec<(&'static str, String)>,
}

/// What happens after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The next record follows in the same file.
    No,
    /// The run ends here,
    Run,
    /// and is merged so many times.
    Merge(usize),
}

#[derive(Clone, Debug)]
struct Feed {
    changes: Vec<(Change, Cut)>,
    has_order: bool,
    deletion_vectors: bool,
    /// Records with other keys, so that files have rows that stay.
    num_others: usize,
}

impl Change {
    fn json(&self) -> String {
        let mut members = vec![format!("\"id\":{}", self.id)];
        members.extend(self.version.map(|version| format!("\"version\":{version}")));
        // Always there, so that the condition of deletions finds its column in every batch.
        members.push(format!("\"deleted\":{}", self.is_deletion));
        members.extend(self.fields.iter().map(|(name, value)| format!("\"{name}\":{value}")));
        format!("{{{}}}", members.join(","))
    }
}

fn any_scalar() -> impl Strategy<Value = String> {
    let text = |value: &str| value.to_owned();
    prop_oneof![
        4 => (0..4).prop_map(|value: i32| value.to_string()),
        2 => prop::sample::select(vec!["\"x\"", "\"\"", "\"1\"", "\"true\""]).prop_map(text),
        1 => prop::sample::select(vec!["0.5", "2.25", "-7", "null", "true", "false"]).prop_map(text),
        1 => Just(text("99999999999999999999")),
    ]
}

fn array_of(value: impl Strategy<Value = String>, max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(value, 0..=max).prop_map(|values| format!("[{}]", values.join(",")))
}

fn any_element() -> impl Strategy<Value = String> {
    let inner = prop_oneof![
        3 => array_of(any_scalar(), 2),
        1 => any_scalar(),
        1 => array_of(array_of(any_scalar(), 2), 2),
    ];
    prop_oneof![
        3 => any_scalar(),
        3 => (any_scalar(), inner.clone())
            .prop_map(|(value, array)| format!("{{\"a\":{value},\"deep\":{array}}}")),
        1 => inner,
    ]
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any_scalar(),
        5 => array_of(any_element(), 3),
        1 => any_scalar().prop_map(|value| format!("{{\"a\":{value}}}")),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    // Fields are missing as often as they are there; the last ones are rare, and so new when they come.
    let names = vec!["v", "items", "items", "tags", "late_field", "rare_array"];
    let field = (prop::sample::select(names), any_value());
    let fields = prop::collection::vec(field, 0..4).prop_map(|fields| {
        let mut kept: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in fields {
            if kept.iter().all(|(known, _)| *known != name) {
                kept.push((name, value));
            }
        }
        kept
    });
    let version = prop::option::weighted(0.9, 0..6_i64);
    (0..4_usize, version, prop::bool::weighted(0.2), fields)
        .prop_map(|(id, version, is_deletion, fields)| Change { id, version, is_deletion, fields })
}

fn any_feed() -> impl Strategy<Value = Feed> {
    let cut = prop_oneof![
        4 => Just(Cut::No),
        1 => Just(Cut::Run),
        2 => Just(Cut::Merge(1)),
        1 => Just(Cut::Merge(2)),
    ];
    let changes = prop::collection::vec((any_change(), cut), 1..14);
    let num_others = prop::sample::select(vec![0, 40]);
    (changes, any::<bool>(), any::<bool>(), num_others).prop_map(
        |(mut changes, has_order, deletion_vectors, num_others)| {
            // The column of order has to be there with the first batch.
            changes[0].0.version.get_or_insert(0);
            Feed { changes, has_order, deletion_vectors, num_others }
        },
    )
}

impl Feed {
    fn rule(&self) -> Rule {
        Rule {
            delete_when: Some("deleted".to_owned()),
            order_by: self.has_order.then(|| "version".to_owned()).into_iter().collect(),
            deletion_vectors: self.deletion_vectors.then_some(true),
            ..Rule::default()
        }
    }

    /// Whether a record may take the place of one that came before it (M3, M4).
    fn replaces(&self, change: &Change, earlier: &Change) -> bool {
        !self.has_order || change.version >= earlier.version
    }

    /// What the rules say of the records of one merge, given those that are in the lake. A deletion leaves
    /// no trace: what comes after the merge that deleted is not late.
    fn settle(&self, lake: &mut BTreeMap<usize, Change>, batch: &[Change]) {
        let mut newest: BTreeMap<usize, &Change> = BTreeMap::new();
        for change in batch {
            match newest.get(&change.id) {
                Some(earlier) if !self.replaces(change, earlier) => {}
                _ => {
                    newest.insert(change.id, change);
                }
            }
        }
        for (id, change) in newest {
            if lake.get(&id).is_some_and(|row| !self.replaces(change, row)) {
                continue;
            }
            match change.is_deletion {
                true => lake.remove(&id),
                false => lake.insert(id, change.clone()),
            };
        }
    }

    fn others(&self) -> impl Iterator<Item = Change> {
        (100..100 + self.num_others).map(|id| {
            let fields = vec![("v", id.to_string()), ("items", format!("[{id},{id}]"))];
            Change { id, version: Some(1), is_deletion: false, fields }
        })
    }

    /// Stages and merges; compares after every merge.
    fn run(&self) -> Result<(), String> {
        let lab = LakeLab::new();
        let mut lake = BTreeMap::new();
        let mut run: Vec<Change> = self.others().collect();
        let mut waiting = Vec::new();
        let last = self.changes.len() - 1;
        for (at, (change, cut)) in self.changes.iter().enumerate() {
            run.push(change.clone());
            let cut = if at == last && *cut != Cut::Merge(2) { Cut::Merge(1) } else { *cut };
            if cut == Cut::No {
                continue;
            }
            let lines: String = run.iter().map(|change| change.json() + "\n").collect();
            lab.stage(&lines);
            waiting.append(&mut run);
            if let Cut::Merge(times) = cut {
                for time in 0..times {
                    let report = lab.merge(self.rule());
                    assert_eq!(report.already_merged, time > 0);
                }
                self.settle(&mut lake, &std::mem::take(&mut waiting));
                let records: Vec<String> = lake.values().map(Change::json).collect();
                lab.compare_with(&records)?;
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    /// M3 to M9: inserts, updates, deletions, late and double records, arrays that grow, shrink, vanish or
    /// change what they hold, new columns and tables; in any batches, each merged once or twice.
    #[test]
    fn m6_the_lake_is_what_the_last_records_are(feed in any_feed()) {
        let outcome = feed.run();
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
