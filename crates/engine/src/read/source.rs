//! Objects as plain byte streams: files on disk, downloads from a store a few ahead of the reader,
//! standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use solder_landing::{Object, Place, PlaceError};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::io::Io;

use super::stdin::StandardInput;

/// How many objects of a store are under way at one time, the one being read included.
const MAX_DOWNLOADS: usize = 16;
/// Pieces of one download that may wait.
const MAX_PIECES: usize = 8;

/// Where the objects of an input are.
#[derive(Clone)]
pub enum Origin {
    /// Below this place.
    Place(Place),
    /// There is one, standard input.
    Stdin(Arc<StandardInput>),
}

impl Origin {
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
    io: Arc<Io>,
    origin: Origin,
    objects: Arc<Vec<Object>>,
    /// The object that is opened next.
    next: usize,
    /// Downloads that were begun and not opened yet.
    ahead: VecDeque<mpsc::Receiver<Result<Bytes, PlaceError>>>,
    /// The object whose download is begun next.
    next_download: usize,
}

impl Sources {
    /// The objects of `origin`, in order.
    pub fn new(io: Arc<Io>, origin: Origin, objects: Arc<Vec<Object>>) -> Sources {
        Sources { io, origin, objects, next: 0, ahead: VecDeque::new(), next_download: 0 }
    }

    /// Opens the next object; `None` after the last.
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
        while self.next_download < self.objects.len() && self.ahead.len() < MAX_DOWNLOADS {
            self.download();
        }
        let pieces = self.ahead.pop_front()?;
        Some(Ok((at, Box::new(Download { pieces, piece: Bytes::new() }))))
    }

    /// The object as a user knows it.
    pub fn address(&self, at: usize) -> String {
        self.objects.get(at).map_or_else(String::new, |object| self.origin.address(&object.key))
    }

    fn download(&mut self) {
        let Some(object) = self.objects.get(self.next_download) else { return };
        let Origin::Place(place) = &self.origin else { return };
        self.next_download += 1;
        let (sender, pieces) = mpsc::channel(MAX_PIECES);
        let (place, key) = (place.clone(), object.key.clone());
        self.io.spawn(async move {
            match place.read_stream(&key).await {
                Ok((_, mut stream)) => {
                    while let Some(piece) = stream.next().await {
                        if sender.send(piece).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                }
            }
        });
        self.ahead.push_back(pieces);
    }
}

struct Download {
    pieces: mpsc::Receiver<Result<Bytes, PlaceError>>,
    piece: Bytes,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        let piece = self.piece.split_to(length);
        if let Some(target) = buffer.get_mut(..length) {
            target.copy_from_slice(&piece);
        }
        Ok(length)
    }
}
