//! Objects as plain byte streams: files on disk, standard input; in a store, parts that are fetched
//! ahead of the reader.
//!
//! ```text
//!   objects in order ──▶ parts of 8 MiB ──▶ requests, many at a time ──▶ in order ──▶ the one reader
//! ```
//!
//! No request waits for the reader: a part is fetched whole and then lies in memory, however long the
//! reader takes. Large objects come over several connections, small ones many at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use solder_landing::{Object, Place, PlaceError};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::io::Io;

use super::stdin::StandardInput;

/// Bytes that one request fetches.
const PART_BYTES: u64 = 8 << 20;
/// Bytes that may be under way or wait for the reader, the last part not counted.
const MAX_AHEAD_BYTES: u64 = 64 << 20;
/// Parts that may be under way or wait for the reader: what matters when objects are small. In S3, an
/// answer takes some 20 ms, and there are up to 5,500 reads a second below one prefix: this many
/// at a time come to that, more would be refused (`benches/README.md` has measurements).
const MAX_AHEAD_PARTS: usize = 128;

/// Where the objects of an input are.
#[derive(Clone)]
pub enum Origin {
    /// Below this place.
    Place(Place),
    /// There is one, standard input.
    Stdin(Arc<StandardInput>),
}

impl Origin {
    /// The place of the objects, when they are in one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Origin::Place(place) => Some(place),
            Origin::Stdin(_) => None,
        }
    }

    /// An object as a user knows it.
    pub fn address(&self, key: &str) -> String {
        match self {
            Origin::Place(place) => place.address(key),
            Origin::Stdin(_) => "standard input".to_owned(),
        }
    }
}

/// The number of an object and its bytes, as stored.
pub type Opened = (usize, Box<dyn Read + Send>);

/// Opens the objects of an input one after another.
pub struct Sources {
    origin: Origin,
    objects: Arc<Vec<Object>>,
    /// The object that is opened next.
    next: usize,
    /// What a store is asked for.
    parts: Option<Arc<Mutex<Parts>>>,
}

impl Sources {
    /// The objects of `origin`, in order.
    pub fn new(io: Arc<Io>, origin: Origin, objects: Arc<Vec<Object>>) -> Sources {
        let parts = match &origin {
            Origin::Stdin(_) => None,
            Origin::Place(place) => Some(Arc::new(Mutex::new(Parts {
                io,
                place: place.clone(),
                objects: objects.clone(),
                ahead: VecDeque::new(),
                ahead_bytes: 0,
                next: (0, 0),
            }))),
        };
        Sources { origin, objects, next: 0, parts }
    }

    /// Opens the next object; `None` after the last. The reader of the one before is at its end then.
    ///
    /// Memory: up to 80 MiB for what a store has sent ahead.
    ///
    /// # Errors
    ///
    /// The object is not there any more or may not be read.
    pub fn open_next(&mut self) -> Option<Result<Opened, Error>> {
        let at = self.next;
        let object = self.objects.get(at)?;
        self.next += 1;
        let opened = match &self.origin {
            Origin::Stdin(standard) => Some(standard.open()),
            Origin::Place(place) => place
                .local_path(&object.key)
                .map(|path| Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>)),
        };
        if let Some(opened) = opened {
            let failed = |source| Error::Read { object: self.address(at), source };
            return Some(opened.map(|reader| (at, reader)).map_err(failed));
        }
        let parts = self.parts.clone()?;
        Some(Ok((at, Box::new(Download { object: at, parts, part: Bytes::new() }))))
    }

    /// The object as a user knows it.
    pub fn address(&self, at: usize) -> String {
        self.objects.get(at).map_or_else(String::new, |object| self.origin.address(&object.key))
    }
}

/// The parts of all objects, in order, as far as they were asked for.
struct Parts {
    io: Arc<Io>,
    place: Place,
    objects: Arc<Vec<Object>>,
    ahead: VecDeque<Part>,
    ahead_bytes: u64,
    /// Object and position where the part begins that is asked for next.
    next: (usize, u64),
}

/// A part that was asked for.
struct Part {
    object: usize,
    size_bytes: u64,
    bytes: JoinHandle<Result<Bytes, PlaceError>>,
}

impl Parts {
    /// Asks for as many parts as may be ahead.
    fn ask(&mut self) {
        while self.ahead.len() < MAX_AHEAD_PARTS && self.ahead_bytes < MAX_AHEAD_BYTES {
            let (at, start) = self.next;
            let Some(object) = self.objects.get(at) else { return };
            if start >= object.size_bytes {
                self.next = (at + 1, 0);
                continue;
            }
            let end = object.size_bytes.min(start + PART_BYTES);
            let bytes = self.io.spawn(fetch(self.place.clone(), object.clone(), start..end));
            let size_bytes = end - start;
            self.ahead.push_back(Part { object: at, size_bytes, bytes });
            self.ahead_bytes += size_bytes;
            self.next = (at, end);
        }
    }

    /// The next part of an object; `None` at its end.
    fn take(&mut self, object: usize) -> Option<Part> {
        // What the reader left of earlier objects.
        while let Some(part) = self.ahead.pop_front_if(|part| part.object < object) {
            part.bytes.abort();
            self.ahead_bytes -= part.size_bytes;
        }
        self.next = self.next.max((object, 0));
        self.ask();
        let part = self.ahead.pop_front_if(|part| part.object == object)?;
        self.ahead_bytes -= part.size_bytes;
        self.ask();
        Some(part)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in &self.ahead {
            part.bytes.abort();
        }
    }
}

async fn fetch(
    place: Place,
    listed: Object,
    range: std::ops::Range<u64>,
) -> Result<Bytes, PlaceError> {
    let (found, bytes) = place.read_part(&listed.key, range.clone()).await?;
    let is_whole = bytes.len() as u64 == range.end - range.start;
    if listed.is_replaced_by(&found) || !is_whole {
        return Err(PlaceError::Replaced { address: place.address(&listed.key) });
    }
    Ok(bytes)
}

/// Reads one object, part by part.
struct Download {
    object: usize,
    parts: Arc<Mutex<Parts>>,
    part: Bytes,
}

impl Download {
    /// Waits for the next part; an empty one is the end.
    fn next_part(&self) -> io::Result<Bytes> {
        let (part, io) = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            (parts.take(self.object), parts.io.clone())
        };
        match part {
            Some(part) => {
                let fetched = io.wait(part.bytes).map_err(io::Error::other)?;
                fetched.map_err(io::Error::other)
            }
            None => Ok(Bytes::new()),
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.part = self.next_part()?;
        }
        let length = self.part.len().min(buffer.len());
        let piece = self.part.split_to(length);
        if let Some(target) = buffer.get_mut(..length) {
            target.copy_from_slice(&piece);
        }
        Ok(length)
    }
}
