//! Where credentials for S3 come from, and what the environment asks of the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::engine::{engine, must_relationalize, stderr, with_access};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

fn with_orders() -> Server {
    let server = Server::start();
    for number in 0..3 {
        server.put(&format!("raw/orders/{number}.ndjson"), format!("{{\"id\": {number}}}\n"));
    }
    server
}

/// A home whose `~/.aws/config` has these lines.
fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    home
}

/// `engine relationalize` by the files of a home alone.
fn relationalize(server: &Server, home: &Path) -> Command {
    let mut engine = engine();
    engine.env("AWS_ENDPOINT_URL", &server.endpoint).env("HOME", home).env("PATH", "/usr/bin:/bin");
    // Nobody answers there: an instance that has no role.
    engine.env("AWS_EC2_METADATA_DISABLED", "true");
    engine.args(["relationalize", &server.url("raw"), &server.url("curated")]);
    engine
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// The profile that `AWS_PROFILE` names, else `default`; its region, too.
#[test]
fn a_profile_gives_keys_and_region() {
    let server = with_orders();
    let keys = format!("aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n");
    let home = home(&format!(
        "[default]\naws_access_key_id = x\naws_secret_access_key = y\n\n[profile team]\nregion = eu-west-3\n{keys}"
    ));
    let refused = relationalize(&server, home.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(77), "{}", stderr(&refused));
    let team = relationalize(&server, home.path()).env("AWS_PROFILE", "team").output().unwrap();
    assert_done(&team);
    // The environment goes before it.
    let both = with_access(relationalize(&server, home.path()), &server).output().unwrap();
    assert_done(&both);
}

/// A profile that is not there: 77, and the profile is named.
#[test]
fn a_profile_that_is_not_there_is_named() {
    let server = with_orders();
    let home = home("[default]\nregion = eu-west-3\n");
    let output = relationalize(&server, home.path()).env("AWS_PROFILE", "taem").output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{}", stderr(&output));
    assert!(stderr(&output).contains("taem"), "{}", stderr(&output));
}

/// Credentials that end are asked for again before they do; others are held.
#[test]
fn credentials_that_end_are_renewed() {
    for (minutes, expected) in [(60, 1..2), (4, 4..100)] {
        let server = with_orders();
        let home = home("");
        let process = home.path().join("keys");
        let asked = home.path().join("asked");
        let script = format!(
            "#!/bin/sh\necho >> {}\nends=$(date -u -d '+{minutes} minutes' +%Y-%m-%dT%H:%M:%SZ)\n\
             echo '{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY}\", \"SecretAccessKey\": \"{SECRET_KEY}\", \
             \"Expiration\": \"'$ends'\"}}'\n",
            asked.display()
        );
        fs::write(&process, script).unwrap();
        fs::set_permissions(&process, fs::Permissions::from_mode(0o755)).unwrap();
        let config = format!("[default]\ncredential_process = {}\n", process.display());
        fs::write(home.path().join(".aws/config"), config).unwrap();
        assert_done(&relationalize(&server, home.path()).output().unwrap());
        let times = fs::read_to_string(&asked).unwrap().lines().count();
        // Input and output each have a client.
        let expected = expected.start..=expected.end;
        assert!(
            expected.contains(&times),
            "keys for {minutes} minutes were asked for {times} times"
        );
    }
}

/// What the environment says of encryption and of who pays reaches the store with every request.
#[test]
fn encryption_and_requester_pays_reach_the_store() {
    let server = with_orders();
    let plain = must_relationalize(&server, &[&server.url("raw"), &server.url("plain")]);
    assert_done(&plain);
    assert_eq!(server.take_said(), ["get", "put"]);
    let output = with_access(engine(), &server)
        .env("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
        .env("AWS_SSE_KMS_KEY_ID", "key-1")
        .env("AWS_REQUEST_PAYER", "true")
        .args(["relationalize", &server.url("raw"), &server.url("curated")])
        .output()
        .unwrap();
    assert_done(&output);
    assert_eq!(server.take_said(), ["get requester", "put aws:kms key-1 requester"]);
}
