//! Keeps the bytes of watched values while the walk goes over them.

use crate::page::MAX_WATCHED_BYTES;
use crate::page::fault::BodyFault;
use crate::page::targets::Targets;

/// The watched values found so far, and those being read.
#[derive(Debug)]
pub(super) struct Watches {
    open: Vec<Open>,
    found: Vec<Option<Box<[u8]>>>,
}

/// A watched value that has not ended.
#[derive(Debug)]
struct Open {
    watched: usize,
    /// Number of values around it.
    level: usize,
    /// Its bytes in the chunks before.
    bytes: Vec<u8>,
    /// Where it goes on in this chunk.
    from: usize,
}

impl Watches {
    pub(super) fn new(num_watched: usize) -> Self {
        Self { open: Vec::new(), found: vec![None; num_watched] }
    }

    /// A watched value starts at `at` of the chunk.
    pub(super) fn open(&mut self, watched: usize, level: usize, at: usize) {
        self.open.push(Open { watched, level, bytes: Vec::new(), from: at });
    }

    /// The value inside of `level` others ends before `chunk[at]`, which is at `offset` of the body.
    pub(super) fn close(
        &mut self,
        level: usize,
        chunk: &[u8],
        at: usize,
        offset: u64,
        targets: &Targets,
    ) -> Result<(), BodyFault> {
        while let Some(mut open) = self.open.pop_if(|open| open.level == level) {
            open.take(chunk, at, offset, targets)?;
            self.found[open.watched] = Some(open.bytes.into_boxed_slice());
        }
        Ok(())
    }

    /// The chunk ends, at `offset` of the body.
    pub(super) fn end_chunk(
        &mut self,
        chunk: &[u8],
        offset: u64,
        targets: &Targets,
    ) -> Result<(), BodyFault> {
        for open in &mut self.open {
            open.take(chunk, chunk.len(), offset, targets)?;
            open.from = 0;
        }
        Ok(())
    }

    /// A watched value that was found in a record.
    pub(super) fn set(
        &mut self,
        watched: usize,
        value: &[u8],
        offset: u64,
        targets: &Targets,
    ) -> Result<(), BodyFault> {
        check(watched, value.len(), offset, targets)?;
        self.found[watched] = Some(value.into());
        Ok(())
    }

    pub(super) fn into_found(self) -> Vec<Option<Box<[u8]>>> {
        self.found
    }
}

impl Open {
    fn take(
        &mut self,
        chunk: &[u8],
        end: usize,
        offset: u64,
        targets: &Targets,
    ) -> Result<(), BodyFault> {
        let bytes = &chunk[self.from..end];
        check(self.watched, self.bytes.len() + bytes.len(), offset, targets)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn check(
    watched: usize,
    num_bytes: usize,
    offset: u64,
    targets: &Targets,
) -> Result<(), BodyFault> {
    if num_bytes <= MAX_WATCHED_BYTES {
        return Ok(());
    }
    let path = targets.watched(watched).clone();
    Err(BodyFault::WatchedTooLarge { offset, path, limit_bytes: MAX_WATCHED_BYTES })
}
