//! Straight through: one stream's records to a writer, without landing (`run --stdout`).
//!
//! Nothing is remembered: there is no state, no commit and no second look. What was written before an error
//! stays written.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::error::Error;
use crate::progress::{CutShort, Progress};
use crate::reach::Reach;
use crate::run::{StopSignal, Work};
use crate::source::plan::Source;
use crate::walk::{Unit, UnitSink, WalkError};

/// Writes all records of a stream, one a line; returns how many. `progress` is told what is missing.
///
/// # Errors
///
/// The stream cannot be read to its end, or the writer fails.
pub async fn pour(
    source: &Source,
    reach: &Reach,
    position: usize,
    out: Box<dyn Write + Send>,
    progress: Arc<dyn Progress>,
    stop: StopSignal,
) -> Result<u64, Error> {
    let sink = WriterSink {
        out: Mutex::new(out),
        stream: source.streams[position].name.stream().to_owned(),
        progress,
        num_records: AtomicU64::new(0),
        failed: Mutex::default(),
    };
    let outcome = Work::read_only(source, reach, stop).read(position, &sink).await;
    let failed = sink.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match failed {
        // Who reads has seen enough.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        Some(error) => return Err(Error::Output(error)),
        None => outcome?,
    }
    Ok(sink.num_records.load(Ordering::Relaxed))
}

struct WriterSink {
    out: Mutex<Box<dyn Write + Send>>,
    stream: String,
    progress: Arc<dyn Progress>,
    num_records: AtomicU64,
    failed: Mutex<Option<std::io::Error>>,
}

#[async_trait]
impl UnitSink for WriterSink {
    async fn take(&self, unit: Unit) -> Result<(), WalkError> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let write = || {
            let mut chunks = unit.records.lines.into_chunks()?;
            while let Some(chunk) = chunks.next()? {
                out.write_all(&chunk)?;
            }
            out.flush()
        };
        if let Err(error) = write() {
            *self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
            return Err(WalkError::Landing);
        }
        self.num_records.fetch_add(unit.records.num_records, Ordering::Relaxed);
        Ok(())
    }

    fn cut_short(&self, cut: CutShort) {
        self.progress.cut_short(&self.stream, &cut);
    }
}
