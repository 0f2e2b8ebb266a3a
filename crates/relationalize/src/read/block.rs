//! Blocks: a few megabytes of whole records, of one object or of many small ones.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Busy, Work};
use crate::error::Error;

use super::decompress::{Compressed, decompressed_within};
use super::frame::{FrameOptions, Framer, NameHint, Segment};
use super::source::Sources;

/// Whole records of one or several objects, the unit of parallel work.
#[derive(Debug, Default)]
pub struct Block {
    /// The bytes of all segments.
    pub bytes: Vec<u8>,
    /// The pieces, each with the number of its object.
    pub segments: Vec<(u32, Segment)>,
    /// Bytes read for it, as stored; some may belong to the block that follows.
    pub stored_bytes: u64,
}

/// How objects are cut into blocks.
#[derive(Clone, Debug)]
pub struct BlockOptions {
    /// How records are framed.
    pub frame: FrameOptions,
    /// Bytes that a block should have.
    pub target_bytes: usize,
    /// How many times larger than itself an object may become (R17).
    pub max_ratio: u64,
}

/// The blocks of an input, in order.
pub struct Blocks {
    sources: Sources,
    options: BlockOptions,
    busy: Arc<Busy>,
    open: Option<Open>,
    /// What the framer of an object works in, kept for the next object.
    memory: Vec<u8>,
    /// Bytes read since the last block, as stored.
    stored_bytes: u64,
    /// The time for them.
    reading: Reading,
}

/// Time that is not the framing's.
#[derive(Clone, Copy, Default)]
struct Reading {
    /// For objects as they are stored.
    stored: Duration,
    /// For taking their compression off.
    decompressing: Duration,
}

/// The object that is cut.
struct Open {
    number: usize,
    framer: Framer<Box<dyn Read + Send>>,
    /// What was read of it, where the bytes are others than those that are framed.
    compressed: Option<Arc<Compressed>>,
    /// How many of its bytes were told,
    told_bytes: u64,
    /// how much of the reader's time,
    told_time: Duration,
    /// and how much of it for what is stored.
    told_stored: Duration,
}

impl Open {
    /// Bytes read since the last call, as stored.
    fn new_bytes(&mut self) -> u64 {
        let compressed = self.compressed.as_ref();
        let read = compressed.map_or_else(|| self.framer.num_bytes_read(), |read| read.num_bytes());
        read - std::mem::replace(&mut self.told_bytes, read)
    }

    /// Adds the time for them.
    fn add_time(&mut self, reading: &mut Reading) {
        let time = self.framer.time_reading();
        let time = time - std::mem::replace(&mut self.told_time, time);
        let Some(compressed) = &self.compressed else {
            reading.stored += time;
            return;
        };
        let stored = compressed.time();
        let stored = stored - std::mem::replace(&mut self.told_stored, stored);
        reading.stored += stored;
        reading.decompressing += time.saturating_sub(stored);
    }
}

impl Blocks {
    /// Cuts the objects of `sources`; `busy` is told how long that takes.
    pub fn new(sources: Sources, options: BlockOptions, busy: Arc<Busy>) -> Blocks {
        Blocks {
            sources,
            options,
            busy,
            open: None,
            memory: Vec::new(),
            stored_bytes: 0,
            reading: Reading::default(),
        }
    }

    /// The next block, its bytes in `buffer`; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// An object cannot be read or decompressed. Nothing of it may be committed then (R16).
    pub fn next_block(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, Error> {
        let began = Instant::now();
        let block = self.cut(buffer);
        let Reading { stored, decompressing } = std::mem::take(&mut self.reading);
        self.busy.add(Work::Read, stored);
        self.busy.add(Work::Decompress, decompressing);
        self.busy.add(Work::Frame, began.elapsed().saturating_sub(stored + decompressing));
        block
    }

    fn cut(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, Error> {
        let mut block = Block { bytes: buffer, ..Block::default() };
        block.bytes.clear();
        while block.bytes.len() < self.options.target_bytes && block.segments.len() < MAX_SEGMENTS {
            if self.open.is_none() && !self.open_next()? {
                break;
            }
            let Some(open) = &mut self.open else { break };
            let segment = open.framer.next_segment(&mut block.bytes, self.options.target_bytes);
            self.stored_bytes += open.new_bytes();
            open.add_time(&mut self.reading);
            match segment {
                Ok(Some(segment)) => block.segments.push((open.number as u32, segment)),
                Ok(None) => self.close(),
                Err(source) => {
                    return Err(Error::Read { object: self.sources.address(open.number), source });
                }
            }
        }
        block.stored_bytes = std::mem::take(&mut self.stored_bytes);
        Ok(if block.segments.is_empty() { None } else { Some(block) })
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        let began = Instant::now();
        let Some(opened) = self.sources.open_next() else { return Ok(false) };
        let (object, reader) = opened?;
        let failed = |source| Error::Read { object: self.sources.address(object), source };
        let decompressed = decompressed_within(reader, self.options.max_ratio).map_err(failed)?;
        let mut frame = self.options.frame.clone();
        frame.hint = name_hint(&self.sources.address(object));
        let memory = std::mem::take(&mut self.memory);
        self.reading.stored += began.elapsed();
        self.open = Some(Open {
            number: object,
            framer: Framer::with_memory(decompressed.reader, frame, memory),
            // A codec may have read the first of them.
            told_stored: decompressed
                .compressed
                .as_ref()
                .map_or(Duration::ZERO, |read| read.time()),
            compressed: decompressed.compressed,
            told_bytes: 0,
            told_time: Duration::ZERO,
        });
        Ok(true)
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.memory = open.framer.into_memory();
        }
    }
}

/// What an object's name says of its framing.
fn name_hint(name: &str) -> NameHint {
    let name = name.to_ascii_lowercase();
    let is_lines = [".ndjson", ".jsonl"].iter().any(|ending| name.contains(ending));
    if is_lines { NameHint::Lines } else { NameHint::Unknown }
}

/// A block of very many tiny objects ends here, so that work stays even.
const MAX_SEGMENTS: usize = 4096;
