//! Blocks: a few megabytes of whole records, of one object or of many small ones.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

use super::decompress::decompressed_within;
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
    open: Option<Open>,
    /// What the framer of an object works in, kept for the next object.
    memory: Vec<u8>,
    /// Bytes read since the last block, as stored.
    stored_bytes: u64,
}

/// The object that is cut.
struct Open {
    number: usize,
    framer: Framer<Box<dyn Read + Send>>,
    /// Bytes of it that were read, where they are others than those that are framed.
    compressed_bytes: Option<Arc<AtomicU64>>,
    /// How many of them were told.
    told_bytes: u64,
}

impl Open {
    /// Bytes read since the last call, as stored.
    fn new_bytes(&mut self) -> u64 {
        let compressed = self.compressed_bytes.as_ref();
        let read = compressed
            .map_or_else(|| self.framer.num_bytes_read(), |bytes| bytes.load(Ordering::Relaxed));
        read - std::mem::replace(&mut self.told_bytes, read)
    }
}

impl Blocks {
    /// Cuts the objects of `sources`.
    pub fn new(sources: Sources, options: BlockOptions) -> Blocks {
        Blocks { sources, options, open: None, memory: Vec::new(), stored_bytes: 0 }
    }

    /// The next block, its bytes in `buffer`; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// An object cannot be read or decompressed. Nothing of it may be committed then (R16).
    pub fn next_block(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, Error> {
        let mut block = Block { bytes: buffer, ..Block::default() };
        block.bytes.clear();
        while block.bytes.len() < self.options.target_bytes && block.segments.len() < MAX_SEGMENTS {
            if self.open.is_none() && !self.open_next()? {
                break;
            }
            let Some(open) = &mut self.open else { break };
            let segment = open.framer.next_segment(&mut block.bytes, self.options.target_bytes);
            self.stored_bytes += open.new_bytes();
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
        let Some(opened) = self.sources.open_next() else { return Ok(false) };
        let (object, reader) = opened?;
        let failed = |source| Error::Read { object: self.sources.address(object), source };
        let decompressed = decompressed_within(reader, self.options.max_ratio).map_err(failed)?;
        let mut frame = self.options.frame.clone();
        frame.hint = name_hint(&self.sources.address(object));
        let memory = std::mem::take(&mut self.memory);
        self.open = Some(Open {
            number: object,
            framer: Framer::with_memory(decompressed.reader, frame, memory),
            compressed_bytes: decompressed.compressed_bytes,
            told_bytes: 0,
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
