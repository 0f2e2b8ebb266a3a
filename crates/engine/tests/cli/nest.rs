//! Records rebuilt from tables (R18), as a program among others.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Folder, ORDERS};

fn curated() -> Folder {
    let folder = Folder::new().with("raw/orders/1.ndjson", ORDERS);
    let outcome = folder.engine("relationalize raw curated --key id");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    folder
}

#[test]
fn r18_records_go_to_standard_output() {
    let outcome = curated().engine("nest curated --table orders");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ORDERS), "{}", outcome.stderr);
}

/// The file is there when it is whole, with the folders above it.
#[test]
fn r18_records_go_to_a_place() {
    let folder = curated();
    let outcome = folder.engine("nest curated --table orders --to out/back/orders.ndjson");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stdout, "2 records in out/back/orders.ndjson\n");
    assert_eq!(folder.read("out/back/orders.ndjson"), ORDERS);
    assert_eq!(folder.names("out/back"), ["orders.ndjson"]);
}

#[test]
fn a_failure_leaves_no_file() {
    let folder = curated();
    for name in folder.names("curated/orders__items") {
        folder.write(&format!("curated/orders__items/{name}"), "no Parquet");
    }
    let outcome = folder.engine("nest curated --table orders --to out/orders.ndjson");
    assert_eq!(outcome.code, 74, "{outcome:?}");
    assert!(folder.names("out").is_empty(), "{:?}", folder.names("out"));
}

/// Who reads may stop reading.
#[test]
fn a_closed_pipe_is_no_error() {
    let record = format!("{{\"text\":\"{}\"}}\n", "long ".repeat(200));
    let folder = Folder::new().with("raw/orders/1.ndjson", record.repeat(2_000));
    assert_eq!(folder.engine("relationalize raw curated").code, 0);
    let mut command = folder.command("nest curated --table orders");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, record);
    let outcome = child.wait_with_output().unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{}", String::from_utf8_lossy(&outcome.stderr));
}

#[test]
fn what_is_not_there_is_said() {
    let folder = curated();
    let code = |arguments| folder.engine(arguments).code;
    assert_eq!(code("nest curated --table order"), 66);
    assert_eq!(code("nest nowhere --table orders"), 66);
    assert_eq!(code("nest curated"), 64);
    assert_eq!(code("nest curated --table orders --to out/"), 64);
    let outcome = folder.engine("nest curated --table orders__items");
    assert!(outcome.stderr.contains("take its root table, `orders`"), "{}", outcome.stderr);
}
