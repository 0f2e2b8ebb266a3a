//! I10: bodies of all kinds, compressed or not, and bombs.

use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;

use crate::lab::{Api, Lab, gzip};
use crate::server::{Reply, Server};

async fn landed(reply: Reply, stream: &str) -> Vec<String> {
    let server = Server::start(move |_| reply.clone()).await;
    let lab = Lab::new();
    lab.run(&Api::at(&server).stream("items", &format!("path: /items\n{stream}"))).await.ok();
    lab.lines("items").await
}

#[rstest]
#[case::list("", "[{\"a\":1},{\"a\":2}]", &["{\"a\":1}", "{\"a\":2}"])]
#[case::one("", "{\"a\":1}", &["{\"a\":1}"])]
#[case::deep("records: '$.x[*].y'", "{\"x\":[{\"y\":[{\"a\":1}]},{\"y\":[{\"a\":2}]}]}", &["{\"a\":1}", "{\"a\":2}"])]
#[case::odd_names("records: $['any name'][*]", "{\"any name\":[{\"a\":1}]}", &["{\"a\":1}"])]
#[case::mark("", "\u{feff}[{\"a\":1}]", &["{\"a\":1}"])]
#[case::lines("format: ndjson", "{\"a\":1}\r\n\n{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"])]
#[case::csv("format: csv", "id,name\n007,\"a, \"\"b\"\"\"\n", &["{\"id\":\"007\",\"name\":\"a, \\\"b\\\"\"}"])]
#[case::csv_without_a_head("format: csv\ncsv: { delimiter: ';', columns: [x, y] }", "1;2\n",
    &["{\"x\":\"1\",\"y\":\"2\"}"])]
#[case::no_lines("format: ndjson", "", &[])]
#[tokio::test]
async fn i10_bodies(#[case] stream: &str, #[case] body: &'static str, #[case] lines: &[&str]) {
    let plain = Reply::bytes(body);
    if !body.is_empty() || !stream.is_empty() {
        assert_eq!(landed(plain, &format!("{stream}\nrecords_optional: true")).await, lines);
    }
    let packed = gzip(body.as_bytes());
    let with_header = Reply::bytes(packed.clone()).header("content-encoding", "gzip");
    assert_eq!(landed(with_header, &format!("{stream}\nrecords_optional: true")).await, lines);
    // trap 16: gzip that nobody declares.
    let optional = format!("{stream}\nrecords_optional: true");
    assert_eq!(landed(Reply::bytes(packed), &optional).await, lines);
}

#[tokio::test]
async fn i10_trap_16_plain_bytes_that_are_declared_as_gzip() {
    let reply = Reply::bytes("[1]").header("content-encoding", "gzip");
    assert_eq!(landed(reply, "").await, ["1"]);
}

#[tokio::test]
async fn i10_xml() {
    let text =
        "<?xml version=\"1.0\"?><r><item id=\"1\"><n>a &amp; b</n></item><item id=\"2\"/></r>";
    let lines = landed(Reply::bytes(text), "format: xml\nrecords: $.r.item").await;
    assert_eq!(lines.len(), 2);
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert!(first.to_string().contains("a & b"), "{first}");
}

#[tokio::test]
async fn i10_no_content_is_a_page_without_records() {
    assert!(landed(Reply::status(204), "records: $.data").await.is_empty());
}

#[tokio::test]
async fn i10_bodies_that_come_byte_by_byte() {
    let text = "{\"data\": [{\"a\": \"\\u00e9\\\\\"}, {\"b\": [1, {}]}], \"next\": null}";
    let chunks = text.bytes().map(|byte| Bytes::from(vec![byte])).collect();
    let reply = Reply::status(200).chunks(chunks, Duration::from_micros(1));
    let lines = landed(reply, "records: $.data").await;
    assert_eq!(lines, ["{\"a\": \"\\u00e9\\\\\"}", "{\"b\": [1, {}]}"]);
}

#[rstest]
#[case::packed(gzip(format!("[{}]", " ".repeat(64 << 20)).as_bytes()))]
#[case::packed_records(gzip(format!("[{}1]", "1,".repeat(8 << 20)).as_bytes()))]
#[case::plain(format!("[{}]", " ".repeat(4 << 20)).into_bytes())]
#[tokio::test]
async fn i10_trap_17_bombs(#[case] body: Vec<u8>) {
    let server = Server::start(move |_| Reply::bytes(body.clone())).await;
    let lab = Lab::new();
    let api = Api::at(&server).connection("max_body: 1MiB").stream("items", "path: /items");

    let outcome = lab.run(&api).await;

    outcome.assert_fails(65, "limit");
    assert_eq!(server.requests().len(), 1);
    assert!(lab.lines("items").await.is_empty());
}

#[tokio::test]
async fn i10_trap_17_an_endless_error_page_is_cut() {
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = vec![chunk; 200];
    let reply = Reply::status(400).chunks(chunks, Duration::ZERO);
    let server = Server::start(move |_| reply.clone()).await;
    let lab = Lab::new();

    let outcome = lab.run(&Api::at(&server).stream("items", "path: /items")).await;

    let (code, text) = outcome.failure();
    assert_eq!(code, 69);
    assert!(text.len() < 2_000, "{} bytes", text.len());
    assert!(outcome.stream("items").num_body_bytes < 100 << 20, "the rest is left where it is");
}

#[rstest]
#[case::not_a_number("{\"a\":NaN}")]
#[case::nul("{\"a\":\"\\u0000\"}")]
#[case::lone_surrogate("{\"a\":\"\\ud800\"}")]
#[case::doubled_key("{\"a\":1,\"a\":2}")]
#[case::big("{\"a\":123456789012345678901234567890.10E+400}")]
#[case::deep("{\"a\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}")]
#[tokio::test]
async fn i10_trap_18_odd_records_are_landed_as_they_are(#[case] record: &'static str) {
    assert_eq!(landed(Reply::bytes(format!("[{record}]")), "").await, [record]);
}

#[tokio::test]
async fn i10_trap_18_broken_text_is_landed_as_it_is() {
    let server = Server::start(|_| Reply::bytes(&b"[{\"a\":\"\xff\xfe\"}]"[..])).await;
    let lab = Lab::new();

    lab.run(&Api::at(&server).stream("items", "path: /items")).await.ok();

    let data: Vec<_> =
        lab.objects().await.into_iter().filter(|(key, _)| key.starts_with("data/")).collect();
    assert_eq!(data[0].1, b"{\"a\":\"\xff\xfe\"}\n");
}

#[tokio::test]
async fn i10_gzip_is_asked_for_where_the_source_says_nothing() {
    let server = Server::start(|_| Reply::bytes("[1]")).await;
    let lab = Lab::new();
    let api = Api::at(&server)
        .stream("a", "path: /a")
        .stream("b", "path: /b\nheaders: { Accept-Encoding: identity }");

    lab.run(&api).await.ok();

    for request in server.requests() {
        let expected = if request.path == "/a" { "gzip" } else { "identity" };
        assert_eq!(request.header("accept-encoding"), Some(expected));
    }
}
