//! Records from standard input.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Folder, ORDERS, Outcome};

fn piped(folder: &Folder, arguments: &str, input: &[u8]) -> Outcome {
    let mut command = folder.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

#[test]
fn r1_records_from_standard_input() {
    let folder = Folder::new();
    let outcome = piped(&folder, "relationalize - curated", ORDERS.as_bytes());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(folder.names("curated"), ["_solder", "stdin", "stdin__items"]);
    let named = piped(&folder, "relationalize - named --table orders", ORDERS.as_bytes());
    assert_eq!(named.code, 0, "{named:?}");
    assert_eq!(folder.names("named"), ["_solder", "orders", "orders__items"]);
}

/// R1: compression is recognised by content, here as everywhere.
#[test]
fn r1_compressed_standard_input() {
    let folder = Folder::new();
    let compressed = zstd::encode_all(ORDERS.as_bytes(), 1).unwrap();
    let outcome = piped(&folder, "relationalize - curated --report json", &compressed);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["records_read"], 2);
}

/// R10: maps found at the end make the entity be read again, which a pipe cannot by itself.
#[test]
fn r10_standard_input_is_read_twice() {
    let folder = Folder::new();
    let mut records = String::new();
    for number in 0..40 {
        records.push_str(&format!("{{\"seen\":{{\"k{number}\":1}}}}\n"));
    }
    let outcome = piped(&folder, "relationalize - curated --map-keys 20", records.as_bytes());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(folder.names("curated"), ["_solder", "stdin", "stdin__seen"]);
    assert!(outcome.stdout.contains("40 records"), "{}", outcome.stdout);
}

/// R16: bad records of a pipe have a place too.
#[test]
fn r16_bad_records_of_standard_input() {
    let folder = Folder::new();
    let outcome = piped(&folder, "relationalize - curated", b"{\"a\":1}\n{\"a\":\n");
    assert!(outcome.stdout.contains("the first: standard input:2: "), "{}", outcome.stdout);
}

#[test]
fn r20_no_bookmark_for_standard_input() {
    let folder = Folder::new();
    let outcome = piped(&folder, "relationalize - curated --bookmark --log text", b"");
    assert_eq!(outcome.code, 64);
    assert!(outcome.stderr.contains("--bookmark"), "{}", outcome.stderr);
}
