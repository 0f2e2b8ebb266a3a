//! `engine doctor` on a machine without AWS (D1 to D3).

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Folder, Outcome, filters};

/// `engine doctor`, here, on a machine that knows nothing of AWS.
fn doctor(folder: &Folder, arguments: &str) -> Command {
    let mut command = folder.command(&format!("doctor {arguments}"));
    command.env_clear().env("HOME", folder.path()).env("PATH", "/usr/bin:/bin");
    command.env("TMPDIR", folder.path());
    command
}

/// What differs from machine to machine.
fn machine_filters() -> insta::internals::SettingsBindDropGuard {
    let filters = filters();
    let mut settings = insta::Settings::clone_current();
    // Its end would bring back what was before it.
    drop(filters);
    settings.add_filter(r"(cores +what this process may use: )\d+", "$1[number]");
    settings.add_filter(r"(group: ).*(the limit|without).*", "$1[memory]");
    settings.add_filter(r"(open files +the limit of this process: ).*", "$1[number]");
    settings.add_filter(r"writing a file to \S+: .*", "writing a file to [folder]: [free]");
    settings.add_filter(r"(?m)^(  )warn   (  (memory|open files|temp folder) )", "${1}ok     $2");
    settings.add_filter(r"(?m)^ +to do: (give the job|raise it|make room).*\n", "");
    settings.bind_to_scope()
}

fn shown(outcome: &Outcome) -> String {
    format!("{}{}=> {}\n", outcome.stdout, outcome.stderr, outcome.code)
}

#[test]
fn d1_folders_of_a_laptop() {
    let _filters = machine_filters();
    let folder = Folder::new().with("raw/orders/1.ndjson", "{}\n");
    let outcome = doctor(&folder, "curated lake --reads raw/*/*.ndjson").output().unwrap().into();
    insta::assert_snapshot!("doctor_laptop", shown(&outcome));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(folder.names("."), ["raw"], "nothing is left behind");
}

/// D2: a folder that this user may not write to. Root may write everywhere, but not below a file.
#[test]
fn d2_a_folder_that_cannot_be_written_to() {
    let _filters = machine_filters();
    let folder = Folder::new().with("file", "");
    let outcome: Outcome = doctor(&folder, "file/curated").output().unwrap().into();
    insta::assert_snapshot!("doctor_below_a_file", shown(&outcome));
    assert_eq!(outcome.code, 73, "{outcome:?}");

    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), "").is_ok() {
        return;
    }
    let outcome: Outcome = doctor(&folder, "locked").output().unwrap().into();
    assert_eq!(outcome.code, 77, "{outcome:?}");
    assert!(outcome.stdout.contains("Permission denied"), "{outcome:?}");
}

/// D7: `ingest` reads the secrets; a job's sources, places and secrets are examined together.
#[test]
fn d7_secrets_are_read_and_not_shown() {
    let folder = Folder::new();
    let mut command = doctor(&folder, "--secrets env:TOKEN --secrets env:OTHER --report json");
    let outcome: Outcome = command.env("TOKEN", "a-secret-value").output().unwrap().into();
    if outcome.stdout.contains("cannot be started") {
        // Tests of this crate alone do not build `ingest`.
        assert_eq!(outcome.code, 78, "{outcome:?}");
        return;
    }
    assert_eq!(outcome.code, 78, "{outcome:?}");
    assert!(!outcome.stdout.contains("a-secret-value"), "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let secrets: Vec<_> = findings.iter().filter(|finding| finding["about"] == "secrets").collect();
    let outcomes: Vec<_> =
        secrets.iter().map(|finding| (&finding["tried"], &finding["outcome"])).collect();
    let expected = [(&"`env:TOKEN`".into(), &"ok".into()), (&"`env:OTHER`".into(), &"fail".into())];
    assert_eq!(outcomes, expected);
    let cores = findings.iter().filter(|finding| finding["check"] == "cores").count();
    assert_eq!(cores, 1, "one machine is examined once");
}

#[test]
fn d7_a_job_is_examined_as_a_whole() {
    let job = "
sources:
  shop: { source: shop.yaml, to: raw }
relationalize:
  shop: { input: raw, output: curated }
merge: { staging: curated, into: lake }
";
    let source = "
version: 1
connection:
  base_url: http://127.0.0.1:9/
  allow_private_networks: true
  auth: { type: bearer, token: '${secret:env:TOKEN}' }
streams:
  orders: { path: /orders, records: $ }
";
    let folder = Folder::new().with("solder.yaml", job).with("shop.yaml", source);
    let outcome: Outcome = doctor(&folder, "--job solder.yaml").output().unwrap().into();
    if outcome.stdout.contains("cannot be started") {
        return;
    }
    let _filters = machine_filters();
    insta::assert_snapshot!("doctor_job", shown(&outcome));
    assert_eq!(outcome.code, 78, "{outcome:?}");
    assert_eq!(folder.names("."), ["shop.yaml", "solder.yaml"], "nothing is left behind");
}

#[test]
fn d2_a_job_file_that_is_wrong() {
    let folder = Folder::new().with("solder.yaml", "sourses: {}\n");
    let outcome: Outcome = doctor(&folder, "--job solder.yaml").output().unwrap().into();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (78, ""), "{outcome:?}");
}
