//! Takes gzip off a body, whatever its headers say (trap 16).
//!
//! ```text
//! body ──▶ layer ──▶ layer ──▶ pieces of at most 64 KiB
//!          1f 8b?    1f 8b?    (plain bytes pass as they come)
//! ```
//!
//! A `.gz` file sent with `Content-Encoding: gzip` is gzip twice, so two layers are looked for. Several members are
//! one stream, and zeros behind the last one are padding. Memory: two windows of 32 KiB and two pieces, however much
//! comes out (trap 17).

use flate2::{Decompress, FlushDecompress, Status};

use super::fault::BodyFault;

#[cfg(test)]
pub(super) mod tests;

/// The most that is handed over at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The base-two logarithm of gzip's largest window.
const WINDOW_BITS: u8 = 15;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Where the plain bytes go.
type Sink<'a, E> = dyn FnMut(&[u8]) -> Result<(), E> + 'a;

/// A push decoder for a body that may be gzip; see the module.
#[derive(Debug)]
pub struct Inflate {
    outer: Layer,
    inner: Layer,
}

impl Inflate {
    /// A decoder that refuses more than `max_body_bytes` plain bytes, in either layer.
    #[must_use]
    pub fn new(max_body_bytes: u64) -> Self {
        Self { outer: Layer::new(max_body_bytes), inner: Layer::new(max_body_bytes) }
    }

    /// Takes the next bytes of the body, and gives `sink` the plain bytes, in pieces.
    ///
    /// # Errors
    ///
    /// [`BodyFault::BodyTooLarge`], [`BodyFault::Gzip`], and those of `sink`. The decoder is of no use then.
    pub fn feed<E: From<BodyFault>>(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = &mut self.inner;
        self.outer.feed(bytes, &mut |piece| inner.feed(piece, sink))
    }

    /// Ends the body; what was held back goes to `sink`.
    ///
    /// # Errors
    ///
    /// [`BodyFault::GzipCutOff`] when a gzip stream is not whole, and those of `sink`.
    pub fn finish<E: From<BodyFault>>(
        mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = &mut self.inner;
        self.outer.finish(&mut |piece| inner.feed(piece, sink))?;
        self.inner.finish(sink)
    }
}

#[derive(Debug)]
struct Layer {
    state: State,
    /// Room for a piece, once the layer is known to be gzip.
    piece: Vec<u8>,
    num_bytes_in: u64,
    num_bytes_out: u64,
    max_bytes_out: u64,
}

#[derive(Debug)]
enum State {
    Start,
    /// Behind a first byte that may be gzip's.
    HalfMagic,
    Plain,
    Gzip(Decompress),
    BehindMember,
    Padding,
}

impl Layer {
    fn new(max_bytes_out: u64) -> Self {
        Self {
            state: State::Start,
            piece: Vec::new(),
            num_bytes_in: 0,
            num_bytes_out: 0,
            max_bytes_out,
        }
    }

    fn feed<E: From<BodyFault>>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        while let Some(&first) = bytes.first() {
            let used = match &mut self.state {
                State::Start if first == MAGIC[0] => {
                    self.state = State::HalfMagic;
                    1
                }
                State::Start => {
                    self.state = State::Plain;
                    0
                }
                State::HalfMagic if first == MAGIC[1] => {
                    self.piece = vec![0; PIECE_BYTES];
                    self.state = State::Gzip(Decompress::new_gzip(WINDOW_BITS));
                    self.inflate(&MAGIC[..1], 0, sink)?;
                    0
                }
                State::HalfMagic => {
                    self.state = State::Plain;
                    self.hand_over(&MAGIC[..1], sink)?;
                    0
                }
                State::Plain => {
                    self.hand_over(bytes, sink)?;
                    bytes.len()
                }
                State::Gzip(_) => self.inflate(bytes, self.num_bytes_in, sink)?,
                State::BehindMember if first == MAGIC[0] => {
                    self.state = State::Gzip(Decompress::new_gzip(WINDOW_BITS));
                    0
                }
                State::BehindMember | State::Padding if first == 0 => {
                    self.state = State::Padding;
                    1
                }
                State::BehindMember | State::Padding => {
                    let reason = "expected another member or the end";
                    return Err(BodyFault::Gzip { offset: self.num_bytes_in, reason }.into());
                }
            };
            self.num_bytes_in += used as u64;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn finish<E: From<BodyFault>>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        match self.state {
            State::HalfMagic => self.hand_over(&MAGIC[..1], sink),
            State::Gzip(_) => Err(BodyFault::GzipCutOff { offset: self.num_bytes_in }.into()),
            State::Start | State::Plain | State::BehindMember | State::Padding => Ok(()),
        }
    }

    /// Goes on in a member until it ends or the bytes are used; returns how many were.
    fn inflate<E: From<BodyFault>>(
        &mut self,
        bytes: &[u8],
        offset: u64,
        sink: &mut Sink<'_, E>,
    ) -> Result<usize, E> {
        let mut used = 0;
        let mut piece = std::mem::take(&mut self.piece);
        while let State::Gzip(member) = &mut self.state {
            let (before_in, before_out) = (member.total_in(), member.total_out());
            let status = member
                .decompress(&bytes[used..], &mut piece, FlushDecompress::None)
                .map_err(|_| BodyFault::Gzip {
                    offset: offset + used as u64,
                    reason: "the stream is damaged",
                })?;
            // Both differences are at most the length of a slice.
            used += (member.total_in() - before_in) as usize;
            let num_out = (member.total_out() - before_out) as usize;
            let is_stuck = num_out < piece.len() && used == bytes.len();
            if status == Status::StreamEnd {
                self.state = State::BehindMember;
            }
            self.hand_over(&piece[..num_out], sink)?;
            if is_stuck {
                break;
            }
        }
        self.piece = piece;
        Ok(used)
    }

    fn hand_over<E: From<BodyFault>>(
        &mut self,
        plain: &[u8],
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        self.num_bytes_out += plain.len() as u64;
        if self.num_bytes_out > self.max_bytes_out {
            return Err(BodyFault::BodyTooLarge { limit_bytes: self.max_bytes_out }.into());
        }
        if plain.is_empty() { Ok(()) } else { sink(plain) }
    }
}
