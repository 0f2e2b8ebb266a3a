//! What a test of a source expects: `expected.json` beside the recorded answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Error;
use crate::progress::Silent;
use crate::source::plan::Source;
use crate::source::select;
use crate::{Reach, StopSignal, pour};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::cli::Test;

/// What streams gave, by name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    streams: BTreeMap<String, Given>,
}

/// What a stream gave.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Given {
    num_records: u64,
    /// The first of them, as it is landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<serde_json::Value>,
}

/// Runs the streams against the recorded answers and compares.
///
/// # Errors
///
/// An answer is missing, a stream cannot be read, or it gives something else than before.
pub(crate) async fn test(source: &Source, args: &Test) -> Result<String, Error> {
    // One partition after the other: which record comes first must not hang on chance.
    let mut source = source.clone();
    source.connection.max_concurrency = 1;
    let source = &source;
    let mut given = BTreeMap::new();
    for position in select(source, &args.of.source, &args.of.streams)? {
        // Answers are played once: each stream begins with all of them.
        let reach = Reach::replay(&source.connection, &args.recorded)?;
        let lines = Lines::default();
        let (_keep, stop): (_, StopSignal) = watch::channel(0);
        let num_records =
            pour(source, &reach, position, Box::new(lines.clone()), Arc::new(Silent), stop).await?;
        let first = lines.first().and_then(|line| serde_json::from_slice(&line).ok());
        let name = source.streams[position].name.stream().to_owned();
        given.insert(name, Given { num_records, first });
    }
    let file = args.recorded.join("expected.json");
    let failed = |source| Error::Recording { file: file.display().to_string(), source };
    let mut text = String::new();
    for (name, stream) in &given {
        text.push_str(&format!("{name}: {} records\n", stream.num_records));
    }
    let given = Expected { streams: given };
    if args.update || !file.exists() {
        let json = serde_json::to_string_pretty(&given).unwrap_or_default();
        std::fs::write(&file, json + "\n").map_err(failed)?;
        text.push_str(&format!("this is expected from now on: {}\n", file.display()));
        return Ok(text);
    }
    let json = std::fs::read_to_string(&file).map_err(failed)?;
    let expected: Expected = serde_json::from_str(&json)
        .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
    for (name, found) in &given.streams {
        let Some(wanted) = expected.streams.get(name) else { continue };
        if found.num_records != wanted.num_records {
            return Err(Error::Expectation(format!(
                "stream `{name}` gives {} records, not {} as {} says (`--update` takes the new ones)",
                found.num_records,
                wanted.num_records,
                file.display()
            )));
        }
        if found.first != wanted.first {
            return Err(Error::Expectation(format!(
                "the first record of stream `{name}` is another than {} says (`--update` takes the new one)",
                file.display()
            )));
        }
    }
    Ok(text + "as expected\n")
}

/// Keeps what is written, up to the end of the first line.
#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn first(&self) -> Option<Vec<u8>> {
        let lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines
            .split(|byte| *byte == b'\n')
            .next()
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !lines.contains(&b'\n') {
            lines.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
