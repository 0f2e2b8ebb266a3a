//! A source file against a server, and what it landed.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use solder_ingest::Redactor;
use solder_ingest::progress::Silent;
use solder_ingest::report::{Report, StreamReport};
use solder_ingest::source::plan::Source;
use solder_ingest::{Compression, Error, Reach, RunSettings, run, source};
use solder_landing::Place;
use solder_landing::raw::{Manifest, StreamLog, StreamName, committed};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::server::Server;

/// The text of a source file, put together.
#[derive(Debug, Clone)]
pub struct Api {
    connection: String,
    streams: String,
}

impl Api {
    pub fn at(server: &Server) -> Self {
        Self::with_url(&server.url())
    }

    pub fn with_url(base_url: &str) -> Self {
        let connection = format!(
            "base_url: {base_url}\nallow_private_networks: true\nretry: {{ backoff: 1ms, max_backoff: 5ms }}\n"
        );
        Self { connection, streams: String::new() }
    }

    /// Adds lines to the connection; a key that is there is set anew.
    #[must_use]
    pub fn connection(mut self, lines: &str) -> Self {
        let keys: Vec<&str> = lines.lines().filter_map(key).collect();
        let kept =
            self.connection.lines().filter(|line| key(line).is_none_or(|k| !keys.contains(&k)));
        self.connection = kept.chain(lines.lines()).map(|line| format!("{line}\n")).collect();
        self
    }

    #[must_use]
    pub fn stream(mut self, name: &str, lines: &str) -> Self {
        let _ = writeln!(self.streams, "{name}:");
        for line in lines.trim_matches('\n').lines() {
            let _ = writeln!(self.streams, "  {line}");
        }
        self
    }

    pub fn text(&self) -> String {
        let indent = |text: &str| text.lines().map(|l| format!("  {l}\n")).collect::<String>();
        let (connection, streams) = (indent(&self.connection), indent(&self.streams));
        format!("version: 1\nconnection:\n{connection}streams:\n{streams}")
    }
}

fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    (!key.starts_with(' ')).then_some(key)
}

/// One source with one `raw/`, and a folder for its secrets.
pub struct Lab {
    pub place: Place,
    folder: TempDir,
}

/// What a run is asked for beyond the usual.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub run_id: Option<&'a str>,
    pub streams: &'a [&'a str],
    pub compression: Compression,
    pub part_bytes: u64,
    pub part_age: Duration,
    pub is_full: bool,
    pub stop_after: Option<Duration>,
    pub give_up_after: Option<Duration>,
    pub params: &'a [(&'a str, &'a str)],
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            run_id: None,
            streams: &[],
            compression: Compression::Zstd,
            part_bytes: 64 << 20,
            part_age: Duration::from_secs(600),
            is_full: false,
            stop_after: None,
            give_up_after: None,
            params: &[],
        }
    }
}

/// How a run went.
pub struct Outcome {
    pub report: Report,
    pub result: Result<(), Error>,
    pub redactor: Redactor,
}

impl Outcome {
    #[track_caller]
    pub fn ok(self) -> Report {
        if let Err(error) = &self.result {
            panic!("the run failed: {}", chain(error));
        }
        self.report
    }

    #[track_caller]
    pub fn error(&self) -> &Error {
        match &self.result {
            Ok(()) => panic!("the run succeeded"),
            Err(error) => error,
        }
    }

    /// The exit code and all that the error says.
    #[track_caller]
    pub fn failure(&self) -> (u8, String) {
        let error = self.error();
        (error.exit_code(), chain(error))
    }

    #[track_caller]
    pub fn assert_fails(&self, code: u8, text: &str) {
        let (found, message) = self.failure();
        assert!(message.contains(text), "expected `{text}` in: {message}");
        assert_eq!(found, code, "{message}");
    }

    #[track_caller]
    pub fn stream(&self, name: &str) -> &StreamReport {
        self.report.streams.iter().find(|stream| stream.stream == name).unwrap()
    }
}

/// An error with its causes.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

impl Lab {
    pub fn new() -> Self {
        let name = format!("memory://api-{:016x}/raw", fastrand::u64(..));
        Self { place: Place::parse(&name).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// A secret in a file; `${secret:file:NAME}` refers to it.
    pub fn secret(&self, name: &str, value: &str) -> String {
        std::fs::write(self.folder.path().join(name), value).unwrap();
        format!("${{secret:file:{name}}}")
    }

    pub fn secret_now(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[track_caller]
    pub fn parse(&self, text: &str, params: &[(&str, &str)]) -> Source {
        let params: Vec<_> =
            params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        match source::parse(text, &self.folder.path().join("api.yaml"), &params) {
            Ok(source) => source,
            Err(error) => panic!("{error}\n{text}"),
        }
    }

    pub async fn run(&self, api: &Api) -> Outcome {
        self.run_text(&api.text(), Asked::default()).await
    }

    pub async fn run_with(&self, api: &Api, asked: Asked<'_>) -> Outcome {
        self.run_text(&api.text(), asked).await
    }

    pub async fn run_text(&self, text: &str, asked: Asked<'_>) -> Outcome {
        let (_sender, stop) = watch::channel(0);
        self.run_until(text, asked, stop).await
    }

    pub async fn run_until(
        &self,
        text: &str,
        asked: Asked<'_>,
        stop: watch::Receiver<i32>,
    ) -> Outcome {
        let source = self.parse(text, asked.params);
        let reach = Reach::live(&source.connection, self.folder.path()).unwrap();
        self.run_over(&source, &reach, asked, stop).await
    }

    /// A run over a way that is given.
    pub async fn run_over(
        &self,
        source: &Source,
        reach: &Reach,
        asked: Asked<'_>,
        stop: watch::Receiver<i32>,
    ) -> Outcome {
        let names: Vec<String> = asked.streams.iter().map(|name| (*name).to_owned()).collect();
        let streams = source::select(source, Path::new("api.yaml"), &names).unwrap();
        let run_id = asked
            .run_id
            .map_or_else(|| solder_ingest::new_run_id(jiff::Timestamp::now()), str::to_owned);
        let settings = RunSettings {
            run_id,
            place: self.place.clone(),
            streams,
            compression: asked.compression,
            part_bytes: asked.part_bytes,
            part_age: asked.part_age,
            is_full: asked.is_full,
            stop_after: asked.stop_after,
            give_up_after: asked.give_up_after,
        };
        let (report, result) = run(source, reach, &settings, Arc::new(Silent), stop).await;
        Outcome { report, result, redactor: reach.redactor().clone() }
    }

    /// All lines that count of a stream, in the order they were committed.
    pub async fn lines(&self, stream: &str) -> Vec<String> {
        let all = committed(&self.place).await.unwrap().unwrap_or_default();
        let mut lines = Vec::new();
        for one in all.iter().filter(|one| one.name.stream() == stream) {
            for part in &one.parts {
                let bytes = self.place.read(&part.file.key).await.unwrap();
                let plain = String::from_utf8(inflate(&part.file.key, &bytes)).unwrap();
                assert_eq!(plain.lines().count() as u64, part.file.num_records);
                lines.extend(plain.lines().map(str::to_owned));
            }
        }
        lines
    }

    /// The values of a field of all records that count.
    pub async fn values(&self, stream: &str, field: &str) -> Vec<serde_json::Value> {
        let lines = self.lines(stream).await;
        let parsed =
            lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        parsed.map(|record| record[field].clone()).collect()
    }

    pub async fn ids(&self, stream: &str) -> Vec<u64> {
        self.values(stream, "id").await.iter().map(|id| id.as_u64().unwrap()).collect()
    }

    /// The state of a stream's partition, after its last commit.
    pub async fn cursor(&self, stream: &str, partition: &str) -> Option<String> {
        let name = StreamName::new("api", stream).unwrap();
        let head = StreamLog::new(&self.place, &name).head().await.unwrap();
        Some(head.state.get(partition)?.get("cursor")?.as_str()?.to_owned())
    }

    pub async fn partitions(&self, stream: &str) -> Vec<String> {
        let name = StreamName::new("api", stream).unwrap();
        let head = StreamLog::new(&self.place, &name).head().await.unwrap();
        head.state.into_keys().collect()
    }

    pub async fn manifests(&self, stream: &str) -> Vec<Manifest> {
        let name = StreamName::new("api", stream).unwrap();
        let log = StreamLog::new(&self.place, &name);
        let mut manifests = Vec::new();
        while let Some(manifest) = log.manifest(manifests.len() as u64 + 1).await.unwrap() {
            manifests.push(manifest);
        }
        manifests
    }

    /// Every object of the place, decompressed.
    pub async fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let mut objects = Vec::new();
        for object in self.place.list().await.unwrap() {
            let bytes = self.place.read(&object.key).await.unwrap();
            let plain = inflate(&object.key, &bytes);
            objects.push((object.key, plain));
        }
        objects
    }
}

pub fn inflate(key: &str, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match key.rsplit('.').next() {
        Some("zst") => plain = zstd::decode_all(bytes).unwrap(),
        Some("gz") => {
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        }
        _ => plain = bytes.to_vec(),
    }
    plain
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}
