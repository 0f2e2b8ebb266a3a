//! `run --record DIR`, then `test SOURCE DIR` without a server (I14).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::api::{Answer, Asked, orders, orders_source, serve, source};
use crate::support::{Folder, Outcome, filters, test_name};

const SECRET: &str = "s3cr&t/=+key \"7";

#[test]
fn i14_a_recording_is_a_test() {
    let _filters = filters();
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders)));
    assert_eq!(folder.ingest("run api.yaml --to raw --record answers").code, 0);
    // Nobody listens there any more.
    let folder = folder.with("api.yaml", orders_source("127.0.0.1:1"));
    let first = folder.ingest("test api.yaml answers");
    assert_eq!(first.code, 0, "{first:?}");
    let test = "test api.yaml answers --log text";
    let second = folder.ingest(test);
    insta::assert_snapshot!("recorded_as_expected", second.shown(test));

    for (name, text, instead) in [
        ("recorded_other_record", "1.50", "1.60"),
        ("recorded_other_number", r#",{\"order_id\":2,\"price\":1e2}"#, ""),
        ("recorded_other_request", "page=2", "page=7"),
    ] {
        let files = folder.files("answers");
        let (file, content) = files
            .iter()
            .find(|(_, content)| String::from_utf8_lossy(content).contains(text))
            .unwrap_or_else(|| panic!("{text} stands nowhere"));
        let content = String::from_utf8(content.clone()).unwrap();
        std::fs::write(folder.path().join(file), content.replacen(text, instead, 1)).unwrap();
        let changed = folder.ingest(test);
        std::fs::write(folder.path().join(file), content).unwrap();
        insta::assert_snapshot!(name, changed.shown(test));
        assert_ne!(changed.code, 0);
    }
}

/// I14: what recorded answers give is landed as a run lands it, again and again, and beside no run.
#[test]
fn i14_a_test_lands_what_the_run_landed() {
    let folder = Folder::new().with("api.yaml", orders_source(&serve(orders)));
    assert_eq!(folder.ingest("run api.yaml --to raw --record answers").code, 0);
    let folder = folder.with("api.yaml", orders_source("127.0.0.1:1"));
    let parts = |place: &str| {
        let all = folder.files(&format!("{place}/data"));
        all.into_iter().map(|(_, bytes)| zstd::decode_all(&bytes[..]).unwrap()).collect::<Vec<_>>()
    };
    let landed = parts("raw");
    assert_eq!(landed.len(), 1);

    for number in 1..=2 {
        let outcome = folder.ingest("test api.yaml answers --to trial");
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stdout.contains("into trial in"), "{outcome:?}");
        assert_eq!(parts("trial").last(), landed.last());
        let manifests = folder.files("trial/manifests");
        let (_, newest) = manifests.last().unwrap();
        let newest: serde_json::Value = serde_json::from_slice(newest).unwrap();
        assert_eq!((manifests.len(), &newest["mode"]), (number, &serde_json::json!("replace")));
    }

    let refused = folder.ingest("test api.yaml answers --to raw");
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.stderr.contains("a test needs a place of its own"), "{refused:?}");
    assert_eq!(parts("raw"), landed);
}

#[test]
fn recorded_nowhere() {
    let _filters = filters();
    let folder = Folder::new().with("api.yaml", orders_source("127.0.0.1:1"));
    let outcome = folder.ingest("test api.yaml answers --log text");
    insta::assert_snapshot!(test_name(), outcome.shown("test api.yaml answers"));
    assert_eq!(outcome.code, 66);
}

/// I2: the API echoes what it was sent, in every form; none of it is kept, landed or said.
#[test]
fn i2_a_secret_is_found_nowhere() {
    let echo = |asked: &Asked| {
        let [raw, basic] =
            [SECRET, asked.header("authorization")].map(|text| text.replace('"', "\\\""));
        let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let body = match asked.page() {
            1 => format!(
                "{{\"data\":[{{\"order_id\":1,\"raw\":\"{raw}\",\"encoded\":\"{encoded}\",\"basic\":\"{basic}\",
                   \"base64\":\"{}\",\"url\":\"{}\"}}]}}",
                STANDARD.encode(SECRET),
                URL_SAFE_NO_PAD.encode(format!("user:{SECRET}"))
            ),
            2 => "{\"data\":[{\"order_id\":2}]}".to_owned(),
            _ => return Answer::status("400 Bad Request", &format!("bad: {raw} {encoded} {basic}")),
        };
        Answer("200 OK", vec![("x-echo", basic)], body.into())
    };
    let auth = "{ type: basic, username: user, password: \"${secret:env:API_SECRET}\" }";
    let source = source(&serve(echo), auth)
        .replace("/orders\n", "/orders\n    params: { key: \"${secret:env:API_SECRET}\" }\n");
    let folder = Folder::new().with("api.yaml", source);
    for arguments in [
        "run api.yaml --to raw --compression gzip --record answers --manifest report.json --log text",
        "run api.yaml --to raw2 --record answers2 --report json",
        "run api.yaml --stdout",
        "check api.yaml",
        "plan api.yaml",
    ] {
        let output = folder.command(arguments).env("API_SECRET", SECRET).output().unwrap();
        let outcome = Outcome::from(output);
        assert!([0, 69].contains(&outcome.code), "{outcome:?}");
        assert_hidden(arguments, outcome.stdout.as_bytes());
        assert_hidden(arguments, outcome.stderr.as_bytes());
    }
    for (name, content) in folder.files("") {
        if name == "api.yaml" {
            continue;
        }
        let content = match name.ends_with(".gz") {
            true => gunzip(&content),
            false if name.ends_with(".zst") => zstd::decode_all(content.as_slice()).unwrap(),
            false => content,
        };
        assert_hidden(&name, &content);
    }
}

fn assert_hidden(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pair = STANDARD.encode(format!("user:{SECRET}"));
    let percent: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    for form in [
        SECRET,
        &SECRET.replace('"', "\\\""),
        &SECRET.replace('"', "\\\\\\\""),
        &percent,
        &percent.replace('+', "%20"),
        &STANDARD_NO_PAD.encode(SECRET),
        pair.trim_end_matches('='),
    ] {
        assert!(!text.contains(form), "`{form}` in {place}: {text}");
    }
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}
