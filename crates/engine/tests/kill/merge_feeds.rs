//! M8 over random feeds: merges of batches with inserts, updates, deletions, marks and late records, killed
//! anywhere, against a place where the same merges were never disturbed.
//!
//! `SOLDER_KILL_FEEDS=200 cargo test --test kill feeds` looks further than the feeds that run every time.

use super::{Place, kill, must_succeed};

/// What is asked of every merge of a feed.
const SETTINGS: [&[&str]; 7] = [
    &["--delete-when", "deleted"],
    &["--delete-when", "deleted", "--soft-delete", "is_gone"],
    &["--delete-when", "deleted", "--soft-delete", "is_gone", "--order-by", "version"],
    &["--delete-when", "deleted", "--order-by", "version"],
    &["--mode", "insert-only", "--delete-when", "deleted"],
    &["--order-by", "version"],
    &["--mode", "scd2", "--delete-when", "deleted", "--order-by", "version"],
];

/// Where merges are killed, most often between children and root.
const DEATHS: [&str; 9] = [
    "merge-planned",
    "merge-begun",
    "merge-files-written",
    "merge-child-committed",
    "merge-child-committed",
    "merge-children-committed",
    "merge-children-committed",
    "merge-children-committed",
    "merge-root-committed",
];

/// Numbers that look random and are the same for the same seed (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn record(&mut self) -> String {
        let array = |numbers: &mut Numbers| {
            let values: Vec<String> =
                (0..numbers.below(4)).map(|_| numbers.below(9).to_string()).collect();
            values.join(",")
        };
        let (id, version, value) = (self.below(4), self.below(9), self.below(100));
        let is_deleted = self.below(3) == 0;
        let (items, tags) = (array(self), array(self));
        format!(
            "{{\"id\":{id},\"version\":{version},\"v\":{value},\"items\":[{items}],\"tags\":[{tags}],\"deleted\":{is_deleted}}}\n"
        )
    }

    /// A batch with all columns and tables, so that a feed has them from its first run.
    fn batch(&mut self) -> String {
        let first =
            "{\"id\":9,\"version\":0,\"items\":[1],\"tags\":[2],\"deleted\":false}\n".to_owned();
        let records = (0..=self.below(3)).map(|_| self.record());
        std::iter::once(first).chain(records.collect::<Vec<_>>()).collect()
    }
}

/// Stages and merges a feed, and kills; the other place has the same merges, undisturbed: one that had begun
/// when it was killed is finished by itself, so there it ends before anything else is staged.
fn run(seed: u64) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(7));
    numbers.below(2);
    let (place, undisturbed) = (Place::new(), Place::new());
    let settings = SETTINGS[usize::try_from(seed % 7).unwrap()];
    let merging = |place: &Place| must_succeed(&mut place.merging_with(settings));
    let mut has_begun = false;
    let mut story = format!("seed {seed}, {settings:?}");
    for number in 1..=5 + usize::try_from(numbers.below(3)).unwrap() {
        let batch = numbers.batch();
        for place in [&place, &undisturbed] {
            place.stage_lines(number, &batch, &["--bookmark"]);
        }
        match numbers.below(6) {
            0 => story.push_str(", staged"),
            1 => {
                story.push_str(", merged");
                [&place, &undisturbed].into_iter().for_each(merging);
                has_begun = false;
            }
            _ => {
                let stage = DEATHS[usize::try_from(numbers.below(9)).unwrap()];
                story.push_str(&format!(", killed at {stage}"));
                kill(place.merging_with(settings), stage);
                let ends = stage == "merge-root-committed";
                // Of two merges in one, it is the first that is killed.
                if !has_begun && stage != "merge-planned" {
                    merging(&undisturbed);
                    has_begun = true;
                }
                has_begun &= !ends;
            }
        }
    }
    [&place, &undisturbed].into_iter().for_each(merging);

    place.must_fit(&story);
    assert_eq!(place.tables(), undisturbed.tables(), "{story}");
}

/// M4 to M6, M8: whatever the feed and wherever merges are killed, nothing is lost, nothing comes twice, and
/// parents and children fit.
#[test]
fn m8_killed_feeds() {
    let wanted = std::env::var("SOLDER_KILL_FEEDS").ok().and_then(|text| text.parse().ok());
    (0..wanted.unwrap_or(14)).for_each(run);
}
