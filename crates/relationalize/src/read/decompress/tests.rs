use std::io::{self, Cursor, Read, Write};

use rstest::rstest;

use super::*;

fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..3000u32 {
        let noise = number.wrapping_mul(2_654_435_761);
        writeln!(text, "{{\"id\":{number},\"name\":\"n{noise:x}\"}}").unwrap();
    }
    text
}

fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Plain => plain.to_vec(),
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(plain, 3).unwrap(),
        Compression::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        Compression::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
    }
}

fn read_all(bytes: Vec<u8>) -> (Compression, io::Result<Vec<u8>>) {
    let compression = Compression::recognise(&bytes);
    let mut out = Vec::new();
    let mut reader = decompressed_within(Cursor::new(bytes), u64::MAX).unwrap().reader;
    let result = reader.read_to_end(&mut out).map(|_| out);
    (compression, result)
}

/// Gives one byte at a time.
struct OneByOne(Cursor<Vec<u8>>);

impl Read for OneByOne {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[rstest]
#[case(Compression::Plain)]
#[case(Compression::Gzip)]
#[case(Compression::Zstd)]
#[case(Compression::Bzip2)]
#[case(Compression::Xz)]
fn every_codec_is_recognised_by_content_and_several_streams_are_one(
    #[case] compression: Compression,
) {
    let plain = text();
    let mut object = compress(compression, &plain);
    assert_eq!(read_all(object.clone()).0, compression, "R1");
    assert_eq!(read_all(object.clone()).1.unwrap(), plain);
    object.extend(compress(compression, b"second"));
    object.extend(compress(compression, b""));
    object.extend(compress(compression, b"third"));
    let whole = [plain.as_slice(), b"second", b"third"].concat();
    assert_eq!(read_all(object.clone()).1.unwrap(), whole, "R1");
    let mut slow = decompressed_within(OneByOne(Cursor::new(object)), u64::MAX).unwrap().reader;
    let mut out = Vec::new();
    slow.read_to_end(&mut out).unwrap();
    assert_eq!(out, whole);
}

#[rstest]
#[case(Compression::Gzip)]
#[case(Compression::Zstd)]
#[case(Compression::Bzip2)]
#[case(Compression::Xz)]
fn a_truncated_stream_is_an_error_wherever_it_is_cut(#[case] compression: Compression) {
    let first = compress(compression, &text());
    let second = compress(compression, &text()[..5000]);
    let object = [first.as_slice(), &second].concat();
    let step = (object.len() / 400).max(1);
    let mut cuts: Vec<usize> = (MAGIC_BYTES..object.len()).step_by(step).collect();
    // Headers and trailers byte by byte, on both sides of the border between the streams.
    cuts.extend(MAGIC_BYTES..200);
    cuts.extend(first.len() - 60..first.len() + 60);
    cuts.extend(object.len() - 60..object.len());
    for cut in cuts {
        let (found, result) = read_all(object[..cut].to_vec());
        assert_eq!(found, compression);
        if cut == first.len() {
            assert_eq!(result.unwrap(), text(), "a whole stream is a whole object");
        } else {
            assert!(result.is_err(), "{compression:?} cut at {cut} of {}", object.len());
        }
    }
}

#[rstest]
#[case(Compression::Gzip)]
#[case(Compression::Zstd)]
#[case(Compression::Bzip2)]
#[case(Compression::Xz)]
fn a_corrupt_stream_is_an_error(#[case] compression: Compression) {
    let object = compress(compression, &text());
    for at in (object.len() / 3..object.len() - 30).step_by(object.len() / 30) {
        let mut broken = object.clone();
        broken[at] ^= 0x55;
        // zstd frames written without a checksum may decode to other bytes of the same length.
        match read_all(broken).1 {
            Err(_) => {}
            Ok(_) if compression == Compression::Zstd => {}
            Ok(_) => panic!("{compression:?} with byte {at} changed was read to its end"),
        }
    }
    let mut garbage_after = object;
    garbage_after.extend_from_slice(b"garbage after the end");
    assert!(read_all(garbage_after).1.is_err());
}

#[test]
fn zstd_skippable_frames_are_skipped() {
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"meta"].concat();
    let frame = compress(Compression::Zstd, b"{}");
    let object = [skippable.as_slice(), &frame, &skippable, &frame, &skippable].concat();
    let (compression, result) = read_all(object);
    assert_eq!(compression, Compression::Zstd);
    assert_eq!(result.unwrap(), b"{}{}");
}

#[rstest]
#[case(b"")]
#[case(b"{")]
#[case(b"BZh")]
#[case(b"BZhx12")]
#[case(b"PK\x03\x04zip")]
fn short_and_unknown_objects_are_plain(#[case] bytes: &[u8]) {
    let (compression, result) = read_all(bytes.to_vec());
    assert_eq!(compression, Compression::Plain);
    assert_eq!(result.unwrap(), bytes);
}

#[test]
fn a_bomb_is_refused_by_name() {
    let bomb = compress(Compression::Zstd, &vec![b' '; 100 << 20]);
    let mut reader = decompressed_within(Cursor::new(bomb.clone()), 100).unwrap().reader;
    let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("--max-ratio, 100"), "R17: {error}");
    let named = error.get_ref().and_then(|source| source.downcast_ref::<DecompressError>());
    assert!(matches!(named, Some(DecompressError::RatioExceeded { max_ratio: 100, .. })));
    let mut reader = decompressed_within(Cursor::new(bomb), 1_000_000).unwrap().reader;
    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 100 << 20);
}

#[test]
fn small_and_plain_objects_have_no_ratio() {
    let dense = compress(Compression::Gzip, &vec![b' '; 10 << 20]);
    let mut reader = decompressed_within(Cursor::new(dense), 2).unwrap().reader;
    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 10 << 20);
    let mut reader = decompressed_within(Cursor::new(vec![b' '; 65 << 20]), 0).unwrap().reader;
    assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 65 << 20);
}
