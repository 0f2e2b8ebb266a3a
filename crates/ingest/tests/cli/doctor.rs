//! `ingest doctor`: secrets, API, place (D7), and how long `check` waits.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{Answer, orders, serve};
use crate::support::Folder;

fn source(address: &str) -> String {
    format!(
        "
version: 1
connection:
  base_url: http://{address}/
  allow_private_networks: true
  auth: {{ type: bearer, token: '${{secret:file:token}}' }}
streams:
  orders:
    path: /orders
    records: $.data[*]
    paginate: {{ type: page, param: page }}
"
    )
}

const TOKEN: &str = "a-token-that-is-not-shown";

/// Code, and check and outcome of each finding that is not about the machine.
fn doctor(folder: &Folder, arguments: &str) -> (i32, Vec<Value>) {
    let mut command = folder.command(&format!("doctor {arguments} --report json --log json"));
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"] {
        command.env_remove(name);
    }
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(!stdout.contains(TOKEN), "{stdout}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["about"] != "machine").cloned().collect();
    (output.status.code().unwrap(), findings)
}

fn outcomes(findings: &[Value]) -> Vec<String> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|finding| {
            let [about, check, outcome] =
                ["about", "check", "outcome"].map(|key| text(finding, key));
            format!("{about}: {check} {outcome}")
        })
        .collect()
}

#[test]
fn d7_a_source_that_is_well() {
    let address = serve(|asked| {
        assert_eq!(asked.header("authorization"), format!("Bearer {TOKEN}"));
        orders(asked)
    });
    let folder = Folder::new().with("shop.yaml", source(&address)).with("token", TOKEN);
    let (code, findings) = doctor(&folder, "shop.yaml --to raw");
    let expected = [
        "AWS: credentials skipped",
        "raw: list ok",
        "raw: write ok",
        "raw: read ok",
        "raw: put-if-absent ok",
        "raw: delete ok",
        "secrets: file ok",
        "source shop: orders ok",
    ];
    assert_eq!((code, outcomes(&findings)), (0, expected.map(str::to_owned).to_vec()));
    assert!(folder.files("raw").is_empty() && !folder.path().join("raw").exists());
}

#[test]
fn d7_a_secret_that_is_not_there() {
    let folder = Folder::new().with("shop.yaml", source("127.0.0.1:9"));
    let (code, findings) = doctor(&folder, "shop.yaml");
    let expected =
        ["AWS: credentials skipped", "secrets: file fail", "source shop: streams skipped"];
    assert_eq!((code, outcomes(&findings)), (78, expected.map(str::to_owned).to_vec()));
    assert!(findings[1]["came"].as_str().unwrap().starts_with("No such file"), "{findings:?}");
}

#[test]
fn d7_an_api_that_says_no() {
    let address = serve(|_| Answer::status("401 Unauthorized", "who?"));
    let folder = Folder::new().with("shop.yaml", source(&address)).with("token", TOKEN);
    let (code, findings) = doctor(&folder, "shop.yaml");
    assert_eq!(code, 77, "{findings:?}");
    let last = findings.last().unwrap();
    assert_eq!((&last["check"], &last["exit_code"]), (&"orders".into(), &77.into()));
    assert!(last["advice"].as_str().unwrap().contains("connection.auth"), "{last}");
}

/// D7: a text that is no reference may be a secret: it is not repeated.
#[test]
fn d7_what_is_no_reference_is_not_shown() {
    let (code, findings) = doctor(&Folder::new(), &format!("--secrets {TOKEN}"));
    let expected = ["AWS: credentials skipped", "secrets: reference fail"];
    assert_eq!((code, outcomes(&findings)), (78, expected.map(str::to_owned).to_vec()));
}

/// I14: people wait seconds for `check`, where a run has minutes.
#[test]
fn i14_check_gives_up_soon() {
    let address = serve(|_| Answer::status("503 Service Unavailable", "later"));
    let folder = Folder::new().with("shop.yaml", source(&address)).with("token", TOKEN);
    let begun = Instant::now();
    let outcome = folder.ingest("check shop.yaml --log text");
    assert_eq!(outcome.code, 75, "{outcome:?}");
    assert!(outcome.stderr.contains("failed 3 times"), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}
