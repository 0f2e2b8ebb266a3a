//! A landing zone on disk, written to as `ingest` does.

use std::fs;
use std::path::PathBuf;

use solder_landing::Place;
use solder_landing::raw::{
    Commit, DataFile, Manifest, Mode, PartitionStates, StreamLog, StreamName,
};

/// A stream in a landing zone.
pub struct Stream {
    raw: PathBuf,
    name: StreamName,
}

impl Stream {
    pub fn new(raw: PathBuf, source: &str, stream: &str) -> Stream {
        Stream { raw, name: StreamName::new(source, stream).unwrap() }
    }

    /// Lands a part, which counts for nothing yet.
    pub fn land(&self, run_id: &str, lines: &str) -> DataFile {
        let key = format!("{}/part-0.ndjson", self.name.data_folder("2024-05-01", run_id).unwrap());
        let path = self.raw.join(&key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, lines).unwrap();
        DataFile {
            key,
            size_bytes: lines.len() as u64,
            num_records: lines.lines().count() as u64,
            sha256: format!("the hash of {lines}"),
            cursor_range: None,
        }
    }

    /// Lands a part and commits it, with `$.id` as the key.
    pub fn commit(&self, run_id: &str, mode: Mode, lines: &str) {
        let file = self.land(run_id, lines);
        let log = StreamLog::new(&Place::parse(self.raw.to_str().unwrap()).unwrap(), &self.name);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let committed = runtime.block_on(async {
            let head = log.begin(run_id).await.unwrap();
            let manifest = Manifest {
                version: 1,
                source: self.name.source().to_owned(),
                stream: self.name.stream().to_owned(),
                sequence: head.sequence + 1,
                run_id: run_id.to_owned(),
                is_last_of_run: true,
                mode,
                primary_key: vec!["$.id".to_owned()],
                program: "ingest 0.1.0".to_owned(),
                started_at: "2024-05-01T00:00:00Z".to_owned(),
                committed_at: "2024-05-01T00:00:01Z".to_owned(),
                files: vec![file],
                state: PartitionStates::new(),
                counts: Default::default(),
            };
            log.commit(&manifest, &head.state).await.unwrap()
        });
        assert_eq!(committed, Commit::Committed);
    }
}
