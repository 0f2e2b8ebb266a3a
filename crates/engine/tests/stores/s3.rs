//! S3 as input and output: the same tables as on disk, and what they cost in requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use rstest::rstest;
use solder_landing::{Creation, Place};

use crate::engine::{files, must_relationalize, tables};
use crate::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/raw").canonicalize().unwrap()
}

fn put_fixtures(server: &Server) {
    for key in files(&fixtures()).into_keys() {
        server.put(&format!("raw/{key}"), std::fs::read(fixtures().join(&key)).unwrap());
    }
}

/// The tables of a run on disk.
fn local_tables(server: &Server, input: &Path, options: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (input.to_str().unwrap(), folder.path().to_str().unwrap());
    must_relationalize(server, &[&[input, output], options].concat());
    tables(folder.path())
}

/// R1, R4: where the input is and where the tables go changes nothing in them, byte for byte.
#[rstest]
#[case::from_s3(true, false)]
#[case::to_s3(false, true)]
#[case::both(true, true)]
fn tables_are_the_same_in_s3(#[case] from_s3: bool, #[case] to_s3: bool) {
    let server = Server::start();
    put_fixtures(&server);
    let options = ["--run-id", "r1"];
    let expected = local_tables(&server, &fixtures(), &options);
    assert!(expected.len() > 20);
    let folder = tempfile::tempdir().unwrap();
    let (url, local) = (server.url("raw/"), fixtures());
    let input = if from_s3 { url.as_str() } else { local.to_str().unwrap() };
    let curated = server.url("some/curated");
    let output = if to_s3 { curated.as_str() } else { folder.path().to_str().unwrap() };
    must_relationalize(&server, &[&[input, output], &options[..]].concat());
    let place = if to_s3 { server.path("some/curated") } else { folder.path().to_owned() };
    assert_eq!(tables(&place), expected);
    let left = files(&place)
        .into_keys()
        .filter(|key| key.starts_with("_solder/staging/") || key.starts_with("_solder/running/"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
}

/// R1: a glob and a single object in a store, compressed too.
#[rstest]
#[case::glob("clickstream/*.ndjson.gz")]
#[case::glob_of_folders("{donors,employees}/**/*.json")]
#[case::object("clickstream/2026-02.ndjson.gz")]
fn globs_and_single_objects_name_the_same_as_on_disk(#[case] pattern: &str) {
    let server = Server::start();
    put_fixtures(&server);
    let options = ["--run-id", "r1"];
    let expected = local_tables(&server, &fixtures().join(pattern), &options);
    let (input, output) = (server.url(&format!("raw/{pattern}")), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1"]);
    assert_eq!(tables(&server.path("curated")), expected);
}

/// What a first run costs: every object is read once, every file is written once and copied once. The
/// rest does not grow with the data, but for listings (one per 1,000 objects) and deletions (the same).
#[test]
fn many_small_objects_cost_one_request_each() {
    let server = Server::start();
    let raw = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        let record = format!("{{\"id\": {number}, \"tags\": [\"a\", \"b\"]}}\n");
        let key = format!("orders/{number:04}.json");
        server.put(&format!("raw/{key}"), &record);
        let path = raw.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, record).unwrap();
    }
    let expected = local_tables(&server, raw.path(), &["--run-id", "r1"]);
    let (input, output) = (server.url("raw/"), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1", "--bookmark"]);
    assert_eq!(tables(&server.path("curated")), expected);
    let expected = BTreeMap::from([
        // Manifests before and after the sign of life, whether the input is a landing zone, the input in
        // two pages, who else is running, what was staged.
        ("list_objects_v2", 7),
        ("get_object", 2000),
        // Two tables; the sign of life, the shape, the bookmark, the manifest.
        ("put_object", 6),
        ("copy_object", 4),
        // What was staged, the sign of life.
        ("delete_objects", 2),
    ]);
    assert_eq!(server.take_requests(), expected);

    // R20: nothing new costs listings, and what it takes to know that.
    must_relationalize(&server, &[&input, &output, "--run-id", "r2", "--bookmark"]);
    let expected = BTreeMap::from([
        ("list_objects_v2", 7),
        // Manifest, bookmark, shape.
        ("get_object", 3),
        ("put_object", 1),
        ("delete_objects", 1),
    ]);
    assert_eq!(server.take_requests(), expected);
}

/// A large object comes in parts of 8 MiB, a large file goes in parts of 8 MiB.
#[test]
fn large_objects_come_and_go_in_parts() {
    let server = Server::start();
    let raw = tempfile::tempdir().unwrap();
    let path = raw.path().join("events.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut size_bytes = 0;
    for number in 0_u64.. {
        // Hashes do not compress.
        let hash = |salt: u64| xxhash_rust::xxh3::xxh3_128(&(number * 4 + salt).to_le_bytes());
        let (a, b, c) = (hash(0), hash(1), hash(2));
        let line = format!("{{\"id\": {number}, \"a\": \"{a:032x}{b:032x}{c:032x}\"}}\n");
        size_bytes += line.len();
        file.write_all(line.as_bytes()).unwrap();
        if size_bytes > 50 << 20 {
            break;
        }
    }
    file.into_inner().unwrap();
    server.put("raw/events.ndjson", std::fs::read(&path).unwrap());
    let expected = local_tables(&server, &path, &["--run-id", "r1"]);
    let (input, output) = (server.url("raw/events.ndjson"), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1"]);
    let found = tables(&server.path("curated"));
    let size_bytes: usize = found.values().map(Vec::len).sum();
    assert!(size_bytes > 20 << 20, "{size_bytes}");
    assert!(found == expected, "the tables differ from those on disk");
    let requests = server.take_requests();
    assert_eq!(requests.get("get_object"), Some(&7));
    assert_eq!(requests.get("create_multipart_upload"), Some(&1));
    assert!(requests.get("upload_part").is_some_and(|parts| *parts >= 3), "{requests:?}");
    assert_eq!(requests.get("complete_multipart_upload"), Some(&1));
}

/// R20: the bookmark knows an object that changed by its etag, though its size is the same, and reads
/// nothing else again.
#[test]
fn r20_a_bookmark_run_reads_what_is_new_or_changed() {
    let server = Server::start();
    server.put("raw/orders/1.json", r#"{"id": 1}"#);
    server.put("raw/orders/2.json", r#"{"id": 2}"#);
    let (input, output) = (server.url("raw"), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1", "--bookmark"]);
    let first = tables(&server.path("curated"));
    server.take_read();

    server.put("raw/orders/2.json", r#"{"id": 7}"#);
    server.put("raw/orders/3.json", r#"{"id": 3}"#);
    must_relationalize(&server, &[&input, &output, "--run-id", "r2", "--bookmark"]);
    let read = server.take_read().into_iter().filter(|key| key.starts_with("raw/"));
    assert_eq!(read.collect::<Vec<_>>(), ["raw/orders/2.json", "raw/orders/3.json"]);
    let second = tables(&server.path("curated"));
    assert_eq!(second.len(), 2);
    assert_eq!(second.get("orders/r1-0.parquet"), first.get("orders/r1-0.parquet"));
}

/// R20: a run that replaces removes the old files, and only after its commit.
#[test]
fn r20_a_replacing_run_removes_the_old_objects() {
    let server = Server::start();
    put_fixtures(&server);
    let (input, output) = (server.url("raw"), server.url("curated"));
    must_relationalize(&server, &[&input, &output, "--run-id", "r1"]);
    must_relationalize(&server, &[&input, &output, "--run-id", "r2"]);
    let found = files(&server.path("curated"));
    let old: Vec<_> = found.keys().filter(|key| key.contains("r1")).collect();
    assert_eq!(old, Vec::<&String>::new());
    assert_eq!(found.keys().filter(|key| key.starts_with("_solder/manifests/")).count(), 2);
}

/// Commits rest on put-if-absent: of many writers, one wins.
#[test]
fn of_many_writers_one_creates_an_object() {
    let server = Server::start();
    let store = AmazonS3Builder::new()
        .with_endpoint(&server.endpoint)
        .with_allow_http(true)
        .with_region("eu-central-1")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .with_bucket_name(BUCKET)
        .build();
    let place = Place::with_store(Arc::new(store.unwrap()), "p", "s3://bucket/p").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = place.create("manifest.json", "1".into()).await.unwrap();
        assert_eq!(first, Creation::Created);
        let second = place.create("manifest.json", "2".into()).await.unwrap();
        assert_eq!(second, Creation::AlreadyExists);
        assert_eq!(place.read("manifest.json").await.unwrap(), "1");
    });
}
