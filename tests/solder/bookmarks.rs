//! R20: what a run reads, what it replaces, and that running again changes nothing.

use solder_relationalize::{Error, Settings};

use crate::support::{Lab, key};

fn with_bookmark(settings: &mut Settings) {
    settings.bookmark = true;
}

/// R20: with a bookmark only new objects are read, and their rows are appended.
#[test]
fn r20_only_new_objects() {
    let lab = Lab::of("{\"v\":1,\"a\":[1]}\n");
    let first = lab.run(with_bookmark);
    assert_eq!((first.objects_read, first.objects_skipped), (1, 0));
    let old = lab.manifest().entities["orders"].tables["orders"].clone();

    lab.write("orders/2.ndjson", "{\"v\":2,\"a\":[2,3]}\n");
    let second = lab.run(with_bookmark);
    assert_eq!((second.objects_read, second.objects_skipped), (1, 1));
    assert_eq!(second.records_read, 1);
    lab.shows("orders", "| _seq | v |\n| 0 | 1 |\n| 1 | 2 |");
    lab.shows("orders__a", "| _seq | value |\n| 0 | 1 |\n| 1 | 2 |\n| 1 | 3 |");
    let files = lab.manifest().entities["orders"].tables["orders"].clone();
    assert_eq!(files[..1], old, "files of earlier runs stay as they are");
    let counts: Vec<_> =
        second.tables.iter().map(|t| (t.name.as_str(), t.rows, t.rows_written)).collect();
    assert_eq!(counts, [("orders", 2, 1), ("orders__a", 3, 2)]);
}

/// R20: with nothing new there is no commit, and the report says so.
#[test]
fn r20_nothing_new() {
    let lab = Lab::of("{\"v\":1}\n");
    lab.run(with_bookmark);
    let (manifest, files) = (lab.manifest(), lab.curated_files());
    let report = lab.run(with_bookmark);
    assert_eq!((report.sequence, report.objects_read, report.objects_skipped), (0, 0, 1));
    assert_eq!(lab.manifest().sequence, manifest.sequence);
    assert_eq!(lab.curated_files(), files);
}

/// R20: a new object before those that were read is found, too; its rows come after theirs.
#[test]
fn r20_objects_in_any_order() {
    let lab = Lab::new();
    lab.write("orders/5.ndjson", "{\"v\":5}\n");
    lab.run(with_bookmark);
    lab.write("orders/1.ndjson", "{\"v\":1}\n");
    lab.run(with_bookmark);
    lab.shows("orders", "| _seq | v |\n| 0 | 5 |\n| 1 | 1 |");
}

/// R20: an object that changed is read again as a whole, and reported.
#[test]
fn r20_changed_objects() {
    let lab = Lab::of("{\"v\":1}\n");
    lab.write("orders/2.ndjson", "{\"v\":2}\n");
    lab.run(with_bookmark);
    lab.write("orders/1.ndjson", "{\"v\":1}\n{\"v\":3}\n");
    let report = lab.run(with_bookmark);
    assert_eq!(report.objects_changed, ["orders/1.ndjson"]);
    assert_eq!((report.objects_read, report.objects_skipped), (1, 1));
    lab.shows("orders", "| v |\n| 1 |\n| 2 |\n| 1 |\n| 3 |");
    assert_eq!(lab.run(with_bookmark).objects_read, 0);
}

/// R20: without a bookmark a run replaces the tables; the old files go after the commit.
#[test]
fn r20_replace() {
    let lab = Lab::of("{\"v\":1,\"a\":[1]}\nbad\n");
    lab.run(|_| {});
    let old = lab.curated_files();
    lab.write("orders/1.ndjson", "{\"v\":2,\"a\":[2]}\n");
    lab.run(|_| {});
    lab.is("orders", &crate::support::pretty(&lab.table("orders")));
    lab.shows("orders", "| _seq | v |\n| 0 | 2 |");
    lab.shows("orders__a", "| value |\n| 2 |");
    assert!(lab.quarantine().is_none(), "what was set aside went with the tables");
    let new = lab.curated_files();
    let kept: Vec<_> = old.iter().filter(|file| new.contains(file)).collect();
    assert_eq!(kept, ["_solder/manifests/00000000000000000001.json"]);
}

/// R20: a reload after runs with a bookmark replaces all of their rows, and one with a bookmark
/// after a reload begins anew.
#[test]
fn r20_reload_between_bookmarks() {
    let lab = Lab::of("{\"v\":1}\n");
    lab.run(with_bookmark);
    lab.run(|_| {});
    lab.shows("orders", "| v |\n| 1 |");
    let report = lab.run(with_bookmark);
    assert_eq!(report.objects_read, 1);
    lab.shows("orders", "| v |\n| 1 |");
    assert_eq!(lab.run(with_bookmark).objects_read, 0);
}

/// R20: a run with the id of a committed one does nothing, whatever has changed since.
#[test]
fn r20_the_same_run_again() {
    let lab = Lab::of("{\"v\":1}\n");
    let report = lab.run(|settings| settings.run_id = "nightly".to_owned());
    let files = lab.curated_files();
    lab.write("orders/1.ndjson", "{\"v\":2}\n");
    let again = lab.run(|settings| settings.run_id = "nightly".to_owned());
    assert_eq!((again.sequence, again.records_read), (report.sequence, 0));
    assert_eq!(lab.curated_files(), files);
    lab.shows("orders", "| v |\n| 1 |");
}

/// R20: an id that cannot be part of a file's name is refused before anything is touched.
#[test]
fn r20_run_ids_that_are_no_names() {
    for run_id in ["", "a/b", "..", ".x", "a\\b", "a\nb"] {
        let lab = Lab::of("{\"v\":1}\n");
        let (error, text) = lab.fail(|settings| settings.run_id = run_id.to_owned());
        assert!(error.exit_code() == 64 && text.contains("--run-id"), "{text}");
        assert!(lab.curated_files().is_empty());
    }
}

/// R20: entities that a run does not read stay as they are.
#[test]
fn r20_other_entities_stay() {
    let lab = Lab::of("{\"v\":1}\n");
    lab.write("visits/1.ndjson", "{\"w\":1}\n");
    lab.run(|_| {});
    lab.remove("visits/1.ndjson").write("orders/1.ndjson", "{\"v\":2}\n");
    lab.run(|_| {});
    lab.shows("orders", "| v |\n| 2 |");
    lab.shows("visits", "| w |\n| 1 |");
}

/// R20: the bookmark of one entity moves without the other's.
#[test]
fn r20_bookmarks_per_entity() {
    let lab = Lab::of("{\"v\":1}\n");
    lab.write("visits/1.ndjson", "{\"w\":1}\n");
    lab.run(with_bookmark);
    lab.write("visits/2.ndjson", "{\"w\":2}\n");
    let report = lab.run(with_bookmark);
    assert_eq!((report.objects_read, report.objects_skipped), (1, 2));
    lab.shows("orders", "| v |\n| 1 |");
    lab.shows("visits", "| w |\n| 1 |\n| 2 |");
}

/// R16, R20: a bad record in a new object is set aside once, and those of earlier runs stay.
#[test]
fn r20_quarantine_appends() {
    let lab = Lab::of("bad 1\n");
    lab.run(with_bookmark);
    lab.write("orders/2.ndjson", "{\"v\":1}\nbad 2\n");
    lab.run(with_bookmark);
    lab.run(with_bookmark);
    lab.quarantine_shows("| run_id | line |\n| run-1 | 1 |\n| run-2 | 2 |");
}

/// R20: of runs at one time each is whole: it commits, or says that another was first; no record is
/// lost or doubled.
#[test]
fn r20_runs_at_one_time() {
    let lab = Lab::new();
    for n in 0..20 {
        lab.write(&format!("orders/{n:02}.ndjson"), format!("{{\"id\":{n},\"a\":[{n}]}}\n"));
    }
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let run = || {
            lab.try_run(|settings| {
                settings.keys = key("id");
                settings.bookmark = true;
            })
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut num_committed = 0;
    for outcome in outcomes {
        match outcome {
            Ok(report) => num_committed += usize::from(report.sequence > 0),
            Err(error @ Error::Contended { .. }) => assert_eq!(error.exit_code(), 75),
            Err(error) => panic!("{}", crate::support::chain(&error)),
        }
    }
    assert_eq!(num_committed, 1);
    assert_eq!((lab.table("orders").num_rows(), lab.table("orders__a").num_rows()), (20, 20));
    let leftovers: Vec<_> = lab
        .curated_files()
        .into_iter()
        .filter(|file| file.contains("/staging/") || file.contains("/running/"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
    let metadata =
        lab.curated_files().into_iter().filter(|f| f.contains("shapes") || f.contains("bookmarks"));
    assert_eq!(metadata.count(), 2, "{:?}", lab.curated_files());
}

/// R20: of runs with one id at one time one does the work, and the others find it done.
#[test]
fn r20_one_run_id_at_one_time() {
    let lab = Lab::of("{\"v\":1}\n");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let run = || lab.try_run(|settings| settings.run_id = "nightly".to_owned());
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let num_read: u64 = outcomes.iter().map(|outcome| outcome.as_ref().unwrap().records_read).sum();
    assert_eq!((lab.manifest().sequence, num_read), (1, 1));
    lab.shows("orders", "| v |\n| 1 |");
}

/// R20: what a run that failed had prepared is gone.
#[test]
fn r20_failed_runs_leave_nothing() {
    let lab = Lab::of("{\"v\":1}\nbad\n");
    lab.run(|_| {});
    let files = lab.curated_files();
    lab.fail(|settings| settings.error_threshold = Some("0".parse().unwrap()));
    assert_eq!(lab.curated_files(), files);
}
