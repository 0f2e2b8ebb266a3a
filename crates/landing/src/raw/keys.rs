//! Where things stand below `raw/`.

use std::fmt;

/// A stream of a source: names that are safe as parts of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    source: String,
    stream: String,
}

/// A name that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` cannot name a {what}: it takes letters, digits, `_`, `-` and `.`, at most {MAX_NAME_BYTES}, \
     and begins with a letter or digit"
)]
pub struct InvalidName {
    /// What was to be named.
    pub what: &'static str,
    /// The name.
    pub name: String,
}

const MAX_NAME_BYTES: usize = 128;

impl StreamName {
    /// The stream `stream` of `source`.
    ///
    /// # Errors
    ///
    /// A name that could lead out of its folder, or that partition columns cannot hold.
    pub fn new(source: &str, stream: &str) -> Result<Self, InvalidName> {
        check("source", source)?;
        check("stream", stream)?;
        Ok(Self { source: source.to_owned(), stream: stream.to_owned() })
    }

    /// The name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the stream, which is the root table's too (R3).
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The folder of a run's parts: `day` as `2024-05-01`.
    ///
    /// # Errors
    ///
    /// The run id cannot be part of a key.
    pub fn data_folder(&self, day: &str, run_id: &str) -> Result<String, InvalidName> {
        check("run", run_id)?;
        Ok(format!("data/{self}/dt={day}/run_id={run_id}"))
    }

    /// The folder of all the stream's parts.
    pub fn data(&self) -> String {
        format!("data/{self}")
    }

    pub(crate) fn manifest(&self, sequence: u64) -> String {
        format!("manifests/{self}/{sequence:010}.json")
    }

    pub(super) fn states(&self) -> String {
        format!("state/{self}")
    }

    pub(super) fn state(&self, sequence: u64) -> String {
        format!("state/{self}/{sequence:010}.json")
    }

    pub(super) fn run(&self, run_id: &str) -> Result<String, InvalidName> {
        check("run", run_id)?;
        Ok(format!("runs/{self}/{run_id}.json"))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source={}/stream={}", self.source, self.stream)
    }
}

/// The stream and number of a manifest's key.
pub(super) fn parse_manifest(key: &str) -> Option<(StreamName, u64)> {
    let mut parts = key.strip_prefix("manifests/")?.split('/');
    let source = parts.next()?.strip_prefix("source=")?;
    let stream = parts.next()?.strip_prefix("stream=")?;
    let sequence = sequence_of(parts.next()?)?;
    match parts.next() {
        None => Some((StreamName::new(source, stream).ok()?, sequence)),
        Some(_) => None,
    }
}

/// The number that names a manifest or a state.
pub(super) fn sequence_of(file: &str) -> Option<u64> {
    let digits = file.rsplit('/').next()?.strip_suffix(".json")?;
    (digits.len() >= 10 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
    digits.parse().ok()
}

fn check(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let begins_well = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let is_safe = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    match begins_well && is_safe && name.len() <= MAX_NAME_BYTES {
        true => Ok(()),
        false => Err(InvalidName { what, name: name.to_owned() }),
    }
}
