//! I1, I14: what docs/sources.md says of source files, and the source in fixtures/sources.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use solder_ingest::progress::Silent;
use solder_ingest::source::{self, SourceError};
use solder_ingest::{Reach, pour};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const MARKER: &str = "<!-- generated below:";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// I1: the reference is that of the types. `UPDATE_DOCS=1` writes it.
#[test]
fn i1_the_reference_is_that_of_the_types() {
    let file = repository("docs/sources.md");
    let text = fs::read_to_string(&file).unwrap();
    let (written, rest) = text.split_at(text.find(MARKER).expect("docs/sources.md has its marker"));
    let marker = rest.lines().next().unwrap();
    let wanted = format!("{written}{marker}\n\n## Reference\n{}", source::reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &wanted).unwrap();
        return;
    }
    assert!(text == wanted, "docs/sources.md is not that of the types: run with UPDATE_DOCS=1");
}

/// I1: the examples are sources: whole ones, connections (`yaml connection`) and streams (`yaml stream`).
#[test]
fn i1_the_examples_are_sources() {
    let text = fs::read_to_string(repository("docs/sources.md")).unwrap();
    let mut num_examples = 0;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```yaml") else { continue };
        let indented = |spaces: &str, lines: Vec<&str>| -> String {
            lines.iter().map(|line| format!("{spaces}{line}\n")).collect()
        };
        let example: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let whole = match kind.trim() {
            "" => indented("", example),
            "connection" => format!(
                "version: 1\nconnection:\n  base_url: https://api.example.com\n{}streams: {{ s: {{ path: /s }} }}\n",
                indented("  ", example)
            ),
            "stream" => format!(
                "version: 1\nconnection: {{ base_url: https://api.example.com }}\nstreams:\n  s:\n{}",
                indented("    ", example)
            ),
            other => panic!("line {}: no example is a `{other}`", number + 1),
        };
        let params = match whole.contains("tenant: null") {
            true => vec![("tenant".to_owned(), "acme".to_owned())],
            false => Vec::new(),
        };
        let parsed = source::parse(&whole, Path::new("example.yaml"), &params);
        assert!(parsed.is_ok(), "line {}: {}\n{whole}", number + 1, parsed.unwrap_err());
        num_examples += 1;
    }
    assert!(num_examples > 20, "{num_examples} examples were found");
}

/// I1: what an example says of errors: each has its line, and the nearest key that exists.
#[test]
fn i1_unknown_keys_are_errors() {
    let text =
        "version: 1\nconnection: { base_url: https://a.example }\nstreams:\n  s:\n    pth: /s\n";
    let error = source::parse(text, Path::new("shop.yaml"), &[]).unwrap_err();
    assert!(matches!(&error, SourceError::Invalid { problems, .. } if problems.len() == 2));
    let text = error.to_string();
    assert!(text.contains("shop.yaml:5:5") && text.contains("did you mean `path`?"), "{text}");
}

/// I14: the fixture gives the records that it says, without a network or a secret.
#[test]
fn i14_the_fixture_gives_what_it_expects() {
    let recorded = repository("fixtures/sources/registrations");
    let file = repository("fixtures/sources/registrations.yaml");
    let mut source = source::read(&file, &[]).unwrap();
    source.connection.max_concurrency = 1;
    let expected = fs::read_to_string(recorded.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let runtime = Runtime::new().unwrap();
    for (position, stream) in source.streams.iter().enumerate() {
        let expected = &expected["streams"][stream.name.stream()];
        let reach = Reach::replay(&source.connection, &recorded).unwrap();
        let lines = Lines::default();
        let (_running, stop) = watch::channel(0);
        let poured =
            pour(&source, &reach, position, Box::new(lines.clone()), Arc::new(Silent), stop);
        let num_records = runtime.block_on(poured).unwrap();
        assert_eq!(num_records, expected["num_records"], "{}", stream.name);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count() as u64, num_records);
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first, expected["first"]);
    }
}

/// What was written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
