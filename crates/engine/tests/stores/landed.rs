//! I13: landing zones in S3: the same tables as on disk, and what it costs to know what counts.

use std::collections::BTreeMap;

use solder_landing::raw::Mode;

use crate::engine::{must_relationalize, relationalize, stderr, tables};
use crate::landing::Stream;
use crate::server::Server;

/// I13, R20: commits, parts that nobody committed and a replacement, run by run.
#[test]
fn i13_landing_zones_are_the_same_in_s3() {
    let server = Server::start();
    let raw = server.path("raw");
    let orders = Stream::new(raw.clone(), "shop", "orders");
    let visits = Stream::new(raw.clone(), "shop", "visits");
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (server.url("raw/"), server.url("curated"));
    let (local_input, local) = (raw.to_str().unwrap(), folder.path().to_str().unwrap());
    let run = |run_id: &str| {
        let options = ["--run-id", run_id, "--bookmark"];
        must_relationalize(&server, &[&[local_input, local], &options[..]].concat());
        server.take_requests();
        server.take_read();
        must_relationalize(&server, &[&[&*input, &*output], &options[..]].concat());
        assert_eq!(tables(&server.path("curated")), tables(folder.path()), "{run_id}");
        server.take_read().into_iter().filter(|key| key.contains("/data/")).collect::<Vec<_>>()
    };
    orders.commit("z", Mode::Append, "{\"id\":1,\"a\":[1]}\n");
    visits.commit("z", Mode::Replace, "{\"id\":1}\n");
    orders.land("died", "{\"id\":9}\n");
    assert_eq!(run("r1").len(), 2);

    orders.commit("y", Mode::Append, "{\"id\":2,\"a\":[]}\n");
    visits.commit("y", Mode::Replace, "{\"id\":2}\n");
    let read = run("r2");
    let of_run = |stream: &str| {
        format!("raw/data/source=shop/stream={stream}/dt=2024-05-01/run_id=y/part-0.ndjson")
    };
    assert_eq!(read, [of_run("orders"), of_run("visits")]);
    let requests = server.take_requests();
    // Manifests of curated/ before and after the sign of life, what was staged, who else is running; then
    // manifests and parts of the landing zone.
    assert_eq!(requests.get("list_objects_v2"), Some(&6), "{requests:?}");
    // The manifest of curated/, two bookmarks and shapes, two parts. Of the stream that goes on both commits are
    // read, of the one that is replaced the newest.
    assert_eq!(requests.get("get_object"), Some(&10), "{requests:?}");

    assert_eq!(run("r3"), Vec::<String>::new());
    let by_number: BTreeMap<_, _> = tables(&server.path("curated"));
    assert_eq!(by_number.keys().filter(|key| key.starts_with("visits/")).count(), 1);
}

/// I13: a part that counts and is gone ends the run with 65 and its address.
#[test]
fn i13_a_lost_part_is_named() {
    let server = Server::start();
    let orders = Stream::new(server.path("raw"), "shop", "orders");
    orders.commit("r1", Mode::Append, "{\"id\":1}\n");
    let part = "raw/data/source=shop/stream=orders/dt=2024-05-01/run_id=r1/part-0.ndjson";
    std::fs::remove_file(server.path(part)).unwrap();
    let output = relationalize(&server, &[&server.url("raw"), &server.url("curated")]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(text.contains(&format!("s3://bucket/{part}")), "{text}");
}
