//! `engine doctor` against S3 (D1 to D6).

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{engine, with_access};
use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// What a doctor found.
struct Found {
    code: i32,
    findings: Vec<Value>,
}

impl Found {
    fn of(mut command: Command, arguments: &[&str]) -> Found {
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nowhere");
        let output = command.args(["doctor", "--report=json"]).args(arguments).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = output.status.code().unwrap();
        assert_eq!(report["exit_code"], code);
        Found { code, findings: report["findings"].as_array().unwrap().clone() }
    }

    fn at(server: &Server, arguments: &[&str]) -> Found {
        Found::of(with_access(engine(), server), arguments)
    }

    /// Check and outcome of all findings about a place.
    fn about(&self, place: &str) -> Vec<String> {
        let about = self.findings.iter().filter(|finding| finding["about"] == place);
        about
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap().to_owned();
                format!("{} {}", text("check"), text("outcome"))
            })
            .collect()
    }

    /// What came of a check, and what to do.
    fn said(&self, about: &str, check: &str) -> (String, String) {
        let is = |finding: &&Value| finding["about"] == about && finding["check"] == check;
        let found = self.findings.iter().find(is).unwrap_or_else(|| panic!("{:?}", self.findings));
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("came"), text("advice"))
    }
}

const ALL_WELL: [&str; 8] = [
    "list ok",
    "clock ok",
    "write ok",
    "encryption skipped",
    "read ok",
    "put-if-absent ok",
    "parts ok",
    "delete ok",
];

/// D3: all that a run does is tried, and nothing is left of it.
#[test]
fn d3_a_place_in_s3() {
    let server = Server::start();
    let place = server.url("lake");
    let found = Found::at(&server, &[&place]);
    assert_eq!(found.about(&place), ALL_WELL, "{:?}", found.findings);
    assert_eq!(found.code, 0);
    assert!(crate::engine::files(&server.path("")).is_empty());
    assert_eq!(found.said("AWS", "region").0, "eu-central-1, from `AWS_REGION`");
}

/// D3: what is only read is not written to.
#[test]
fn d3_a_place_that_is_read() {
    let server = Server::start();
    server.put("raw/orders/1.ndjson", "{}\n");
    let place = server.url("raw");
    let found = Found::at(&server, &["--reads", &format!("{place}/*/*.ndjson")]);
    assert_eq!(found.about(&place), ["list ok", "clock ok", "read ok"]);
    let requests = server.take_requests();
    assert!(!requests.contains_key("put_object"), "{requests:?}");
}

/// D3, M8: a store that takes the condition and overwrites all the same.
#[test]
fn d3_a_store_that_ignores_conditions() {
    let server = Server::start();
    server.ignore_conditions();
    let place = server.url("lake");
    let found = Found::at(&server, &[&place]);
    assert_eq!(found.code, 78);
    let (came, advice) = found.said(&place, "put-if-absent");
    assert!(came.starts_with("overwritten: of two writers at a time"), "{came}");
    assert!(advice.contains("conditional writes"), "{advice}");
    assert!(found.about(&place).contains(&"delete ok".to_owned()));
}

/// D3: encryption that the environment asks for, as the store answers.
#[test]
fn d3_encryption() {
    let server = Server::start();
    let place = server.url("lake");
    let mut engine = with_access(engine(), &server);
    engine.env("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms").env("AWS_SSE_KMS_KEY_ID", "key-1");
    let found = Found::of(engine, &[&place]);
    assert_eq!(found.said(&place, "encryption").0, "in force with key-1");
    assert_eq!(found.code, 0);
}

/// D2, D5: a key that the store does not take.
#[test]
fn d5_a_wrong_key() {
    let server = Server::start();
    let place = server.url("lake");
    let mut engine = engine();
    engine
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", "another");
    let found = Found::of(engine, &[&place]);
    assert_eq!(found.code, 77);
    let (came, advice) = found.said(&place, "list");
    assert!(came.starts_with("`SignatureDoesNotMatch`"), "{came}");
    assert!(advice.contains("secret key"), "{advice}");
    assert_eq!(found.about(&place), ["list fail", "clock ok", "write fail"]);
}

/// D5: each 403 names what the policy lacks: as the store says it, else what was tried.
#[test]
fn d5_what_a_role_lacks() {
    let server = Server::start();
    server.deny(
        "list_objects_v2",
        "User: arn:aws:sts::1:assumed-role/engine/s is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::bucket\" because no identity-based policy allows it",
    );
    server.deny("get_object", "Access Denied");
    server.deny("delete_objects", "Access Denied");
    let place = server.url("lake");
    let found = Found::at(&server, &[&place]);
    assert_eq!(found.code, 77);
    let (_, advice) = found.said(&place, "list");
    assert_eq!(advice, "let the role's policy allow `s3:ListBucket` on `arn:aws:s3:::bucket`");
    let (came, advice) = found.said(&place, "read");
    assert_eq!(came, "`AccessDenied`: Access Denied");
    assert!(advice.contains("`s3:GetObject` on `arn:aws:s3:::bucket/lake/*`"), "{advice}");
    let (came, advice) = found.said(&place, "delete");
    assert!(came.contains("_solder-doctor-") && came.ends_with("stays"), "{came}");
    assert!(advice.contains("`s3:DeleteObject` on `arn:aws:s3:::bucket/lake/*`"), "{advice}");
}

/// D5: a key of KMS that the role may not use.
#[test]
fn d5_a_key_that_may_not_be_used() {
    let server = Server::start();
    server.deny(
        "put_object",
        "User: arn:aws:sts::1:assumed-role/engine/s is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-central-1:1:key/k because no identity-based policy allows the kms:GenerateDataKey action",
    );
    let place = server.url("lake");
    let found = Found::at(&server, &[&place]);
    let (_, advice) = found.said(&place, "write");
    let expected =
        "let the role's policy allow `kms:GenerateDataKey` on `arn:aws:kms:eu-central-1:1:key/k`";
    assert_eq!((found.code, advice.as_str()), (77, expected));
    assert_eq!(found.about(&place), ["list ok", "clock ok", "write fail"]);
}

#[test]
fn d5_a_bucket_that_is_not_there() {
    let server = Server::start();
    let found = Found::at(&server, &["s3://bukcet/lake"]);
    let (came, advice) = found.said("s3://bukcet/lake", "list");
    assert!(came.contains("NoSuchBucket"), "{came}");
    assert!(advice.contains("correct the name of the bucket"), "{advice}");
    assert_eq!(found.code, 78);
}

/// D4: this machine's clock against the store's.
#[test]
fn d4_clocks() {
    let server = Server::start();
    let place = server.url("lake");
    for (ahead, code, said) in [(45, 0, "45 s slow"), (-900, 78, "15 min fast")] {
        server.set_clock_ahead(ahead);
        let found = Found::at(&server, &[&place]);
        let (came, advice) = found.said(&place, "clock");
        assert_eq!((found.code, came.as_str()), (code, said));
        assert!(advice.contains("NTP"), "{advice}");
    }
}

/// D1: where nobody answers, it says so within seconds, and asks for nothing else.
#[test]
fn d1_nobody_there() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut engine = engine();
    engine
        .env("AWS_ENDPOINT_URL", format!("http://{unused}"))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let begun = Instant::now();
    let found = Found::of(engine, &["s3://bucket/lake"]);
    assert_eq!((found.code, found.about("s3://bucket/lake")), (69, vec!["list fail".to_owned()]));
    let (came, advice) = found.said("s3://bucket/lake", "list");
    let expected = format!("http://{unused} does not answer: Connection refused (os error 111)");
    assert_eq!(came, expected);
    assert!(advice.contains("AWS_ENDPOINT_URL"), "{advice}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

/// D1: a store that takes the connection and never answers is not waited for.
#[test]
fn d1_a_store_that_hangs() {
    let server = Server::start();
    server.slow_down(Duration::from_secs(600));
    let place = server.url("lake");
    let begun = Instant::now();
    let found = Found::at(&server, &[&place]);
    assert_eq!((found.code, found.about(&place)), (69, vec!["list fail".to_owned()]));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

/// D6: without credentials, S3 is not asked, and it is said where they are looked for.
#[test]
fn d6_no_credentials() {
    let server = Server::start();
    let mut engine = engine();
    engine.env("AWS_ENDPOINT_URL", &server.endpoint);
    let place = server.url("lake");
    let found = Found::of(engine, &[&place]);
    assert_eq!((found.code, found.about(&place)), (77, vec!["reach skipped".to_owned()]));
    let (came, advice) = found.said("AWS", "credentials");
    assert_eq!(came, "gives none");
    assert!(advice.contains("AWS_PROFILE"), "{advice}");
    assert!(server.take_requests().is_empty());
}

/// D6: no key is ever shown, in whatever form.
#[test]
fn d6_keys_are_not_shown() {
    let server = Server::start();
    let mut engine = with_access(engine(), &server);
    let output = engine.args(["doctor", &server.url("lake")]).output().unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("AWS_ACCESS_KEY_ID"), "{text}");
    assert!(!text.contains(ACCESS_KEY) && !text.contains(SECRET_KEY), "{text}");
}
