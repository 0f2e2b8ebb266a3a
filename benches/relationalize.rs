//! How fast JSON becomes tables, per stage and end to end, in MB of JSON a second.
//!
//! ```sh
//! cargo bench                                   # all
//! cargo bench -- --save-baseline before         # before a change
//! cargo bench -- --baseline before              # after it
//! SOLDER_BENCH_MB=512 cargo bench -- relationalize
//! ```
//!
//! The data is generated from a seed (`solder-generate`), the same on every machine. One thread for
//! the stages, one thread and all threads for the whole way. Bytes are bytes of JSON.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use solder_generate::{Generator, Shape};
use solder_relationalize::progress::NoProgress;
use solder_relationalize::read::{Block, FrameOptions, Framer, Records, Segment};
use solder_relationalize::shape::Plan;
use solder_relationalize::shred::tape::{Limits, Tape};
use solder_relationalize::shred::{Keep, Shredder};
use solder_relationalize::{Crew, Io, Pool, Settings, Stop, relationalize};

const SHAPES: [(&str, Shape); 4] = [
    ("orders", Shape::Orders),
    ("events", Shape::Events),
    ("drift", Shape::Drift),
    ("wide", Shape::Wide { columns: 200 }),
];

/// Bytes of JSON for a stage.
const STAGE_BYTES: usize = 16 << 20;

fn ndjson(shape: Shape, num_bytes: usize) -> Vec<u8> {
    let generator = Generator::new(shape, 1);
    let mut bytes = Vec::with_capacity(num_bytes + (1 << 20));
    let mut index = 0;
    while bytes.len() < num_bytes {
        generator.write_record(&mut bytes, index);
        bytes.push(b'\n');
        index += 1;
    }
    bytes
}

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(10);
    for (name, shape) in SHAPES {
        let bytes = ndjson(shape, STAGE_BYTES);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("frame", name), |bencher| {
            bencher.iter(|| {
                let mut framer = Framer::new(bytes.as_slice(), FrameOptions::default());
                let mut block = Vec::new();
                while let Ok(Some(segment)) = framer.next_segment(&mut block, 8 << 20) {
                    let _ = black_box(segment);
                    block.clear();
                }
            });
        });
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            let mut tape = Tape::default();
            bencher.iter(|| {
                let mut at = 0;
                while at < text.len() {
                    at = tape
                        .parse_str(text, at, Limits::default())
                        .map_or(text.len(), |end| end + 1);
                    black_box(tape.tokens());
                }
            });
        });
        let plan = Plan { root_table: name.to_owned(), max_depth: 512, ..Plan::default() };
        let mut shredder = Shredder::new(Arc::new(plan));
        let range = 0..bytes.len();
        let records = Records::Lines;
        let segment = Segment { range, offset: 0, line: 1, records, rejected: Vec::new() };
        let block = Block { bytes, segments: vec![(0, segment)], ..Block::default() };
        group.bench_function(BenchmarkId::new("parse and shred", name), |bencher| {
            bencher.iter(|| black_box(shredder.shred(&block, &[0], Keep::All)));
        });
    }
    group.finish();
}

fn whole_way(criterion: &mut Criterion) {
    let megabytes = std::env::var("SOLDER_BENCH_MB").ok().and_then(|text| text.parse().ok());
    let num_bytes = megabytes.unwrap_or(64usize) << 20;
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("relationalize");
    group.sample_size(10);
    let Ok(folder) = tempfile::tempdir() else { return };
    for (name, shape) in SHAPES {
        let input = folder.path().join(format!("{name}.ndjson"));
        let bytes = ndjson(shape, num_bytes);
        if std::fs::write(&input, &bytes).is_err() {
            return;
        }
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        drop(bytes);
        for num_threads in [1, all] {
            let (Ok(io), Ok(pool)) = (Io::start(), Pool::start(num_threads)) else { return };
            let crew = Crew {
                io: Arc::new(io),
                pool: Arc::new(pool),
                progress: Arc::new(NoProgress),
                stop: Arc::new(Stop::default()),
            };
            let output = folder.path().join(format!("{name}-{num_threads}"));
            let id = BenchmarkId::new(name, format!("{num_threads} threads"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let output = output.to_string_lossy();
                    let settings = Settings::new(&input.to_string_lossy(), &output);
                    relationalize(&settings, &crew).map(|report| report.records_read)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, stages, whole_way);
criterion_main!(benches);
