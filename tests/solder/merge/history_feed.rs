//! The property on which history stands: whatever the order, the batches and the repetitions in which the
//! records of a feed come, the tables are the same, and they are what a simple model says (M2, M5).

use std::collections::BTreeMap;

use proptest::prelude::*;
use solder_lake::merge::{Mode, Rule};

use super::history::must_fit;
use super::lab::{LakeLab, Row};

/// A record of the feed; its key and time are those of no other.
#[derive(Clone, Debug)]
struct Version {
    id: i64,
    at: i64,
    is_deletion: bool,
    v: Option<i64>,
    t: Option<Vec<i64>>,
}

impl Version {
    fn json(&self) -> String {
        let mut members =
            vec![format!("\"id\":{},\"at\":{},\"deleted\":{}", self.id, self.at, self.is_deletion)];
        members.extend(self.v.map(|v| format!("\"v\":{v}")));
        members.extend(self.t.as_ref().map(|t| format!("\"t\":{t:?}")));
        format!("{{{}}}\n", members.join(","))
    }
}

/// The feed in one order, cut into runs and merges.
type Delivery = Vec<(Version, Cut)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    No,
    Run,
    Merge,
}

fn any_versions() -> impl Strategy<Value = Vec<Version>> {
    let other = (
        prop::bool::weighted(0.25),
        prop::option::of(0..3_i64),
        prop::option::weighted(0.8, prop::collection::vec(0..9_i64, 0..3)),
    );
    prop::collection::btree_map((0..3_i64, 0..8_i64), other, 1..12).prop_map(|versions| {
        let version = |((id, at), (is_deletion, v, t))| Version { id, at, is_deletion, v, t };
        versions.into_iter().map(version).collect()
    })
}

/// All versions in any order, some of them more than once, cut anywhere.
fn any_delivery(versions: Vec<Version>) -> impl Strategy<Value = Delivery> {
    let again = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    again
        .prop_flat_map(move |again| {
            let mut all = versions.clone();
            all.extend(again.iter().map(|index| index.get(&versions).clone()));
            Just(all).prop_shuffle()
        })
        .prop_flat_map(|all| {
            let cut = prop_oneof![3 => Just(Cut::No), 1 => Just(Cut::Run), 2 => Just(Cut::Merge)];
            let cuts = prop::collection::vec(cut, all.len());
            cuts.prop_map(move |cuts| all.clone().into_iter().zip(cuts).collect())
        })
}

fn any_deliveries() -> impl Strategy<Value = (Vec<Version>, Delivery, bool)> {
    any_versions()
        .prop_flat_map(|versions| (Just(versions.clone()), any_delivery(versions), any::<bool>()))
}

/// The rows of root and child table that the versions make.
fn model(versions: &[Version]) -> (Vec<Row>, Vec<Row>) {
    let mut by_key: BTreeMap<i64, BTreeMap<i64, &Version>> = BTreeMap::new();
    for version in versions {
        by_key.entry(version.id).or_default().insert(version.at, version);
    }
    let (mut root, mut children) = (Vec::new(), Vec::new());
    for versions in by_key.values() {
        for (at, version) in versions {
            let next = versions.range(at + 1..).next().map(|(next, _)| *next);
            let ends = if version.is_deletion { Some(*at) } else { next };
            let t = version.t.as_ref().filter(|_| !version.is_deletion);
            let mut row: Row = [
                ("id", version.id.to_string()),
                ("at", at.to_string()),
                ("deleted", version.is_deletion.to_string()),
                ("_valid_from", at.to_string()),
                ("_is_current", ends.is_none().to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
            row.extend(version.v.map(|v| ("v".to_owned(), v.to_string())));
            row.extend(t.map(|t| ("t__len".to_owned(), t.len().to_string())));
            row.extend(ends.map(|ends| ("_valid_to".to_owned(), ends.to_string())));
            root.push(row);
            for (index, value) in t.into_iter().flatten().enumerate() {
                let row = [
                    ("_root_id", version.id.to_string()),
                    ("_valid_from", at.to_string()),
                    ("_index_1", index.to_string()),
                    ("value", value.to_string()),
                ];
                children.push(row.map(|(name, value)| (name.to_owned(), value)).into());
            }
        }
    }
    root.sort();
    children.sort();
    (root, children)
}

/// Stages and merges; compares with the model of what has come after every merge.
fn deliver(delivery: &Delivery, deletion_vectors: bool) -> Result<(), String> {
    let rule = || Rule {
        mode: Some(Mode::Scd2),
        order_by: vec!["at".to_owned()],
        delete_when: Some("deleted".to_owned()),
        deletion_vectors: deletion_vectors.then_some(true),
        ..Rule::default()
    };
    let lab = LakeLab::new();
    // So that all columns and tables are there; and rows that no record of the feed touches.
    let other = |id: i64| Version { id, at: 0, is_deletion: false, v: Some(1), t: Some(vec![1]) };
    let mut came: Vec<Version> = (100..140).map(other).collect();
    let mut lines: String = came.iter().map(Version::json).collect();
    for (number, (version, cut)) in delivery.iter().enumerate() {
        lines.push_str(&version.json());
        came.push(version.clone());
        let cut = if number + 1 == delivery.len() { Cut::Merge } else { *cut };
        if cut == Cut::No {
            continue;
        }
        lab.stage(&std::mem::take(&mut lines));
        if cut == Cut::Merge {
            lab.merge(rule());
            let (root, children) = model(&came);
            for (table, wanted) in [("orders", root), ("orders__t", children)] {
                let found = lab.rows(table);
                if found != wanted {
                    return Err(format!("{table} has {found:#?}, and should have {wanted:#?}"));
                }
            }
        }
    }
    must_fit(&lab);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    /// M2, M5: late, early and repeated records and deletions, in any order and any batches.
    #[test]
    fn m2_history_does_not_depend_on_the_order((_, delivery, vectors) in any_deliveries()) {
        let outcome = deliver(&delivery, vectors);
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
