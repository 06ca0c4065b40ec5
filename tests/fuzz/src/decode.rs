//! The promise about packed modules.

use aviary::source::{self, DecodeError};
use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;

const LIMIT: usize = 64 * 1024;

/// Nothing comes out larger than allowed. What is packed comes out again, unless it is cut off: then nothing
/// does.
///
/// The first byte chooses between plain, zstd and gzip, the second where to cut.
pub fn decode(bytes: &[u8]) {
    let [kind, cut, bytes @ ..] = bytes else { return };
    let (name, packed) = match kind % 3 {
        0 => ("m.wasm", bytes.to_vec()),
        1 => ("m.wasm.zst", compress_to_vec(bytes, CompressionLevel::Fastest)),
        _ => ("m.wasm.gz", gzip(bytes)),
    };
    if let Ok(unpacked) = source::decode(name, bytes.to_vec(), LIMIT) {
        assert!(unpacked.len() <= LIMIT, "{} bytes out of {name}", unpacked.len());
    }
    match source::decode(name, packed.clone(), LIMIT) {
        Ok(unpacked) => assert_eq!(unpacked, bytes),
        Err(DecodeError::TooLarge(..)) => assert!(bytes.len() > LIMIT),
        Err(error) => panic!("{error}"),
    }
    let part = packed.len() * usize::from(*cut) / 256;
    assert!(
        name == "m.wasm" || source::decode(name, packed[..part].to_vec(), LIMIT).is_err(),
        "{part} bytes"
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}
