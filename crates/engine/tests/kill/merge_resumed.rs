//! M8: a dead merge is finished by itself, with the runs and the settings that it had begun with; when its
//! runs are not staged any more, it is taken back.

use std::fs;
use std::process::Command;

use rstest::rstest;
use serde_json::Value;

use super::{Place, STAGES, UNDISTURBED, kill, must_succeed, prepare};
use crate::lake::{num_commits, tables};

const ORDERED: [&str; 4] = ["--delete-when", "deleted", "--order-by", "version"];

/// A place with a record that the lake has, and a dead merge of its second state.
fn with_a_dead_merge(stage: &str, options: &[&str], second: &str) -> Place {
    let place = Place::new();
    let first = "{\"id\":1,\"version\":5,\"items\":[1,2],\"tags\":[],\"deleted\":false}\n\
                 {\"id\":2,\"version\":5,\"items\":[7],\"tags\":[8],\"deleted\":false}\n";
    place.stage_lines(1, first, &["--bookmark"]);
    must_succeed(&mut place.merging_with(options));
    place.stage_lines(2, second, &["--bookmark"]);
    kill(place.merging_with(options), stage);
    place
}

/// M5, M8: a record that a dead merge had brought to the child tables alone is marked as deleted by the
/// next run: the row that stays agrees with the child rows that stay (R9).
#[test]
fn m8_killed_merges_and_a_soft_delete() {
    let options = ["--delete-when", "deleted", "--soft-delete", "is_gone"];
    for stage in STAGES {
        let second = "{\"id\":1,\"items\":[3],\"deleted\":false}\n";
        let place = with_a_dead_merge(stage, &options, second);
        place.stage_lines(3, "{\"id\":1,\"deleted\":true}\n", &["--bookmark"]);
        must_succeed(&mut place.merging_with(&options));
        let orders = &place.tables()["orders"][0];
        assert!(orders.contains("is_gone: true"), "{stage}: {orders}");
        // What had not begun is one batch with the deletion, which then is the newest record.
        let length = if stage == "merge-planned" { 2 } else { 1 };
        assert!(orders.contains(&format!("items__len: {length}")), "{stage}: {orders}");
        place.must_fit(stage);
    }
}

/// M4, M8: other settings hold for what comes after the dead merge, not for what it had begun.
#[rstest]
#[case::without_order(&["--delete-when", "deleted"])]
#[case::insert_only(&["--mode", "insert-only"])]
#[case::overwrite(&["--mode", "overwrite"])]
#[case::append(&["--mode", "append"])]
fn m8_killed_merges_and_other_settings(#[case] options: &[&str]) {
    let second = "{\"id\":1,\"version\":6,\"items\":[3],\"tags\":[4],\"deleted\":false}\n\
                  {\"id\":2,\"version\":4,\"items\":[],\"tags\":[],\"deleted\":false}\n\
                  {\"id\":3,\"version\":1,\"items\":[5,6],\"tags\":[],\"deleted\":false}\n";
    let third = "{\"id\":3,\"version\":0,\"items\":[9],\"tags\":[],\"deleted\":false}\n";
    let finish = |place: &Place| {
        place.stage_lines(3, third, &["--bookmark"]);
        must_succeed(&mut place.merging_with(options));
        place.tables()
    };
    let undisturbed = finish(&with_a_dead_merge("merge-root-committed", &ORDERED, second));
    for stage in ["merge-begun", "merge-child-committed", "merge-children-committed"] {
        let place = with_a_dead_merge(stage, &ORDERED, second);
        assert_eq!(finish(&place), undisturbed, "killed at {stage}");
    }
}

/// M2, M8: history that is killed anywhere is what it would have been.
#[test]
fn m8_killed_merges_of_history() {
    let options = ["--mode", "scd2", "--delete-when", "deleted", "--order-by", "version"];
    let second = "{\"id\":1,\"version\":3,\"items\":[3],\"tags\":[4],\"deleted\":false}\n\
                  {\"id\":1,\"version\":5,\"items\":[6],\"tags\":[],\"deleted\":false}\n\
                  {\"id\":2,\"version\":9,\"deleted\":true}\n";
    let third = "{\"id\":1,\"version\":4,\"items\":[],\"tags\":[9],\"deleted\":false}\n\
                 {\"id\":1,\"version\":3,\"deleted\":true}\n";
    let finish = |place: &Place| {
        place.stage_lines(3, third, &["--bookmark"]);
        must_succeed(&mut place.merging_with(&options));
        place.must_fit("history");
        place.tables()
    };
    let undisturbed = finish(&with_a_dead_merge("merge-root-committed", &options, second));
    assert_eq!(undisturbed["orders"].len(), 5);
    for stage in STAGES {
        let place = with_a_dead_merge(stage, &options, second);
        assert_eq!(finish(&place), undisturbed, "killed at {stage}");
    }
}

/// M8, M10: both merges are reported; a dry run stops before the second, and writes nothing.
#[test]
fn m8_reports_of_a_merge_that_ends_another() {
    let options = ["--delete-when", "deleted"];
    let place = prepare(2);
    place.kill_at("merge-child-committed");
    place.stage(3);
    let said = |report: &Value| {
        (report["resumed"].clone(), report["sequence_before"].clone(), report["sequence"].clone())
    };
    let commits = num_commits(&place.path("lake/orders"));
    let rehearsed = place.reports(&[&options[..], &["--dry-run"]].concat());
    assert_eq!(rehearsed.len(), 1);
    assert_eq!(said(&rehearsed[0]), (true.into(), 1.into(), 2.into()));
    assert_eq!(rehearsed[0]["sequence_staged"], 3);
    assert_eq!(num_commits(&place.path("lake/orders")), commits);

    let reports = place.reports(&options);
    assert_eq!(reports.len(), 2);
    assert_eq!(said(&reports[0]), (true.into(), 1.into(), 2.into()));
    assert_eq!(said(&reports[1]), (false.into(), 2.into(), 3.into()));
    let had = |report: &Value| {
        let tables = report["tables"].as_array().unwrap().iter();
        tables.filter(|table| table["already_merged"] == true).count()
    };
    assert_eq!((had(&rehearsed[0]), had(&reports[0]), had(&reports[1])), (1, 1, 0));
    assert_eq!(place.tables(), UNDISTURBED[2]);
}

/// How the runs of a dead merge go away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gone {
    Replaced,
    Rewound,
}

/// M8, R20: the runs of a dead merge are not staged any more. Then it is taken back: records that it had
/// brought to the child tables, and that do not come again, are as if it never was.
#[rstest]
fn m8_killed_merges_whose_runs_are_gone(#[values(Gone::Replaced, Gone::Rewound)] gone: Gone) {
    let second = "{\"id\":1,\"version\":6,\"items\":[3],\"tags\":[4],\"notes\":[1],\"deleted\":false}\n\
                  {\"id\":4,\"version\":6,\"items\":[5],\"tags\":[6],\"notes\":[2],\"deleted\":false}\n";
    let third = "{\"id\":2,\"version\":7,\"items\":[9,9],\"tags\":[],\"deleted\":false}\n";
    let go = |place: &Place| {
        fs::remove_file(place.path("raw/orders/2.ndjson")).unwrap();
        match gone {
            Gone::Replaced => place.stage_lines(3, third, &[]),
            Gone::Rewound => {
                let mut engine = Command::new(env!("CARGO_BIN_EXE_engine"));
                engine.arg("bookmark").arg("rewind").arg(place.path("curated"));
                must_succeed(engine.args(["--to", "1"]));
                place.stage_lines(3, third, &["--bookmark"]);
            }
        }
    };
    let merged = |place: &Place| {
        must_succeed(&mut place.merging_with(&ORDERED));
        place.must_fit(&format!("{gone:?}"));
        let mut tables = tables(&place.path("lake"));
        // A table that only the dead merge knew may be there, and then has no rows.
        tables.retain(|_, rows| !rows.is_empty());
        tables
    };
    let undisturbed = with_a_dead_merge("merge-planned", &ORDERED, second);
    go(&undisturbed);
    let undisturbed = merged(&undisturbed);
    for stage in ["merge-begun", "merge-child-committed", "merge-children-committed"] {
        let place = with_a_dead_merge(stage, &ORDERED, second);
        go(&place);
        let before = num_commits(&place.path("lake/orders"));
        let rehearsed = place.reports(&[&ORDERED[..], &["--dry-run"]].concat());
        assert_eq!(rehearsed[0]["resumed"], false, "what it had begun does not come");
        assert_eq!(num_commits(&place.path("lake/orders")), before);
        assert_eq!(merged(&place), undisturbed, "killed at {stage}");
    }
    for again in ["merge-taking-back", "merge-child-taken-back"] {
        let place = with_a_dead_merge("merge-children-committed", &ORDERED, second);
        go(&place);
        kill(place.merging_with(&ORDERED), again);
        assert_eq!(merged(&place), undisturbed, "killed at {again}");
    }
}

/// M8: an append that broke off is ended by an append, and by nothing else.
#[test]
fn m8_a_killed_append_and_another_mode() {
    let second = "{\"id\":3,\"version\":6,\"items\":[3],\"tags\":[4],\"deleted\":false}\n";
    let append = ["--mode", "append"];
    let finished = with_a_dead_merge("merge-root-committed", &append, second).tables();
    let place = with_a_dead_merge("merge-child-committed", &append, second);
    let output = place.merging_with(&ORDERED).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("finish it with --mode append"), "{words}");
    must_succeed(&mut place.merging_with(&append));
    assert_eq!(place.tables(), finished);
}

/// M8: a merge that began before the batch was said with it is ended together with what came since.
#[test]
fn m8_a_dead_merge_that_does_not_say_its_batch() {
    for stage in ["merge-begun", "merge-child-committed", "merge-children-committed"] {
        let place = prepare(2);
        place.kill_at(stage);
        let log = place.path("lake/orders/_delta_log");
        let mut commits: Vec<_> =
            fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
        commits.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        let newest = commits.into_iter().max().unwrap();
        let shortened =
            fs::read_to_string(&newest).unwrap().lines().map(shorten).collect::<String>();
        fs::write(&newest, shortened).unwrap();
        place.stage(3);
        place.merge();
        assert_eq!(place.tables(), UNDISTURBED[2], "{stage}");
    }
}

/// A line of the log whose merge names staging area and run alone.
fn shorten(line: &str) -> String {
    let mut action: Value = serde_json::from_str(line).unwrap();
    if let Some(words) = action.pointer_mut("/metaData/configuration/solder.merging") {
        let mut said: Value = serde_json::from_str(words.as_str().unwrap()).unwrap();
        said.as_object_mut().unwrap().retain(|name, _| ["staging", "run"].contains(&name.as_str()));
        *words = said.to_string().into();
    }
    format!("{action}\n")
}
