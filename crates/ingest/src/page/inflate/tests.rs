use super::*;
use crate::page::tests::{CHUNK_BYTES, Case};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use rstest::rstest;
use std::io::Write;

pub(in crate::page) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inflate(bytes: &[u8], chunk_bytes: usize, limit_bytes: u64) -> Result<Vec<u8>, BodyFault> {
    let mut inflate = Inflate::new(limit_bytes);
    let mut plain = Vec::new();
    let mut sink = |piece: &[u8]| {
        plain.extend_from_slice(piece);
        Ok::<_, BodyFault>(())
    };
    for chunk in bytes.chunks(chunk_bytes.min(bytes.len().max(1))) {
        inflate.feed(chunk, &mut sink)?;
    }
    inflate.finish(&mut sink)?;
    Ok(plain)
}

proptest! {
    /// I10: gzip comes off by its magic bytes: none, once, twice, in several members, with padding.
    #[test]
    fn i10_gzip_by_magic_bytes(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
        num_padding in 0_usize..5,
    ) {
        let plain = [b"{".as_slice(), &parts.concat()].concat();
        let mut members = gzip(b"{");
        members.extend(parts.iter().flat_map(|part| gzip(part)));
        members.resize(members.len() + num_padding, 0);
        let twice = gzip(&members);
        for body in [&plain, &members, &twice] {
            for chunk_bytes in CHUNK_BYTES {
                prop_assert_eq!(&inflate(body, chunk_bytes, 1 << 20).unwrap(), &plain);
            }
        }
    }

    /// A stream that is cut anywhere is a fault; one that is changed never panics.
    #[test]
    fn i10_broken_gzip(plain in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index, flip in 1_u8..) {
        let mut zipped = gzip(&plain);
        let at = at.index(zipped.len());
        if at >= 2 {
            let fault = inflate(&zipped[..at], 7, 1 << 20).unwrap_err();
            prop_assert_eq!(fault, BodyFault::GzipCutOff { offset: at as u64 });
        }
        zipped[at] ^= flip;
        let _ = inflate(&zipped, 7, 1 << 20);
    }
}

/// Half of the magic bytes is a body like any other.
#[rstest]
#[case(b"\x1f")]
#[case(b"\x1f\x1f\x8b")]
#[case(b"\x8b\x1f")]
#[case(b"")]
fn i10_no_gzip(#[case] body: &[u8]) {
    for chunk_bytes in CHUNK_BYTES {
        assert_eq!(inflate(body, chunk_bytes, 100).unwrap(), body);
    }
}

#[test]
fn i10_garbage_behind_gzip() {
    let mut zipped = gzip(b"{}");
    let offset = zipped.len() as u64;
    zipped.push(b'x');
    let fault = inflate(&zipped, 4, 100).unwrap_err();
    assert_eq!(fault, BodyFault::Gzip { offset, reason: "expected another member or the end" });
    zipped.pop();
    zipped[offset as usize - 8] ^= 0xff;
    let fault = inflate(&zipped, 4, 100).unwrap_err().to_string();
    assert!(fault.starts_with("body is broken gzip, at compressed byte"), "{fault}");
}

/// Trap 17: a bomb stops at the limit, whatever layer it is in, and comes in small pieces.
#[test]
fn i10_bombs_stop_at_the_limit() {
    let zeros = vec![b' '; 16 << 20];
    let once = gzip(&zeros);
    let twice = gzip(&once);
    assert!(once.len() < 20_000 && twice.len() < 2_000);
    for body in [&once, &twice] {
        let mut inflate = Inflate::new(1 << 20);
        let (mut num_bytes, mut largest) = (0, 0);
        let fault = inflate.feed(body, &mut |piece| {
            num_bytes += piece.len();
            largest = largest.max(piece.len());
            Ok(())
        });
        assert_eq!(fault, Err(BodyFault::BodyTooLarge { limit_bytes: 1 << 20 }));
        assert!(num_bytes <= 1 << 20 && largest <= PIECE_BYTES);
    }
    let mut case = Case::json("$", &[]);
    case.limits.max_body_bytes = 1 << 20;
    let fault = case.decode(&twice, usize::MAX).unwrap_err().to_string();
    assert_eq!(
        fault,
        "body is over the limit of `max_body_bytes`, 1048576, behind its compression"
    );
}

/// Trap 17: the records of a body that grows a million times are handed over in between.
#[test]
fn i10_bombs_of_records_are_handed_over() {
    let record = format!("{{\"a\":\"{}\"}},", "x".repeat(1000));
    let body = format!("[{}1]", record.repeat(64 << 10));
    let twice = gzip(&gzip(body.as_bytes()));
    assert!(twice.len() < 10_000);
    let root = crate::page::JsonPath::root();
    let format = crate::page::Format::Json;
    let mut decoder = crate::page::Decoder::new(&format, &root, &[], Default::default());
    let mut into = crate::page::Records::default();
    let (mut num_records, mut largest) = (0, 0);
    let handed_over = decoder.feed(&twice, &mut into, &mut |records| {
        num_records += records.iter().len();
        largest = largest.max(records.bytes().len());
        records.clear();
        Ok::<_, BodyFault>(())
    });
    handed_over.unwrap();
    assert!(largest < crate::page::FULL_BYTES + 2 * PIECE_BYTES, "{largest}");
    let page = decoder.finish(&mut into).unwrap();
    assert_eq!(num_records + into.iter().len(), (64 << 10) + 1);
    assert_eq!(page.num_records, (64 << 10) + 1);
}
