//! Records into a place.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use solder_landing::{Place, Upload};

use crate::error::Error;
use crate::io::Io;
use crate::pipeline::Crew;

/// Does what [`nest`](super::nest) does, into the object that `to` names: a path or a URL. The
/// object is whole or absent, and replaces one that was there.
///
/// # Errors
///
/// As of [`nest`](super::nest).
pub fn nest_to(from: &str, table: &str, crew: &Crew, to: &str) -> Result<u64, Error> {
    let (place, key) = Place::parse_object(to)?;
    let upload = crew.io.wait(place.upload(&key))?;
    let mut target = Target { io: crew.io.clone(), upload };
    match super::nest(from, table, crew, to, &mut target) {
        Ok(num_records) => {
            crew.io.wait(target.upload.complete())?;
            Ok(num_records)
        }
        Err(error) => {
            // The first error is the one to tell.
            let _ = crew.io.wait(target.upload.abort());
            Err(error)
        }
    }
}

struct Target {
    io: Arc<Io>,
    upload: Upload,
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let put = self.upload.put(Bytes::copy_from_slice(bytes));
        self.io.wait(put).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
