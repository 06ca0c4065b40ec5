//! Module files: plain or compressed, never larger than the cap once decoded.

use crate::value::ENDINGS;
use ruzstd::decoding::StreamingDecoder;
use std::io::{self, Read};

/// The largest window of zstd in bytes, unless modules may be larger. Every decoder should support this much
/// (RFC 8878, section 3.1.1.1.2).
const WINDOW: u64 = 8 * 1024 * 1024;

/// Why a module cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The decoded module is larger than allowed.
    #[error("{0} is larger than {1} bytes once decoded; --max-module-size allows more")]
    TooLarge(String, usize),
    /// The compressed data is broken.
    #[error("{0} cannot be decompressed: {1}; is it complete?")]
    Broken(String, io::Error),
}

/// Whether a file of this name is a module.
pub fn is_module(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The name of a file without the ending of a module or a manifest.
pub fn stem(name: &str) -> &str {
    let endings = ENDINGS.into_iter().chain([".yaml", ".yml"]);
    endings.into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The bytes of a module, decompressed according to the ending of its name. Neither the compressed nor the
/// decoded bytes may be more than `limit`.
pub fn decode(name: &str, bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let broken = |error: io::Error| DecodeError::Broken(name.to_owned(), error);
    let too_large = || DecodeError::TooLarge(name.to_owned(), limit);
    if bytes.len() > limit {
        return Err(too_large());
    }
    let decoded = if name.ends_with(".zst") {
        let window = WINDOW.max(limit as u64);
        let decoder = StreamingDecoder::new_with_max_window_size(bytes.as_slice(), window);
        read(decoder.map_err(|error| broken(io::Error::other(error)))?, limit).map_err(broken)?
    } else if name.ends_with(".gz") {
        read(flate2::read::MultiGzDecoder::new(bytes.as_slice()), limit).map_err(broken)?
    } else {
        bytes
    };
    if decoded.len() > limit { Err(too_large()) } else { Ok(decoded) }
}

/// Reads to the end, but at most one byte more than `limit`. The caller refuses a result that is longer than `limit`.
/// The error says why the data cannot be decompressed.
fn read(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    #[test]
    fn a_module_reads_the_same_plain_and_compressed() {
        let module = b"\0asm and so on".to_vec();
        assert_eq!(decode("a.wasm", module.clone(), 100).expect("plain"), module);
        assert_eq!(decode("a.wasm.gz", gzip(&module), 100).expect("gzip"), module);
        assert_eq!(decode("a.wasm.zst", zstd(&module), 100).expect("zstd"), module);
    }

    #[test]
    fn a_bomb_is_refused_after_as_many_bytes_as_are_allowed() {
        let bomb = vec![0; 50_000_000];
        for (name, bytes) in [("a.wasm.gz", gzip(&bomb)), ("a.wasm.zst", zstd(&bomb))] {
            assert!(bytes.len() < 100_000);
            let refusal = decode(name, bytes, 1_000_000).expect_err("a bomb");
            assert!(matches!(refusal, DecodeError::TooLarge(..)), "{refusal}");
        }
    }

    #[test]
    fn a_small_file_cannot_ask_for_a_large_window() {
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x88];
        let repeated = [0x02, 0x00, 0x10, 0xaa];
        let bomb: Vec<u8> = header.into_iter().chain(repeated.repeat(2000)).collect();
        let refusal = decode("a.wasm.zst", bomb, 1_000_000).expect_err("a bomb").to_string();
        assert!(refusal.contains("134217728"), "{refusal}");
    }

    #[test]
    fn half_a_compressed_module_is_told_from_a_whole_one() {
        let module: Vec<u8> = (0..10_000_u32).flat_map(|number| (number * number).to_le_bytes()).collect();
        for (name, bytes) in [("a.wasm.gz", gzip(&module)), ("a.wasm.zst", zstd(&module))] {
            let half = bytes[..bytes.len() / 2].to_vec();
            assert!(matches!(decode(name, half, 1_000_000), Err(DecodeError::Broken(..))), "{name}");
        }
    }

    #[test]
    fn rubbish_with_a_compressed_ending_is_broken_not_fatal() {
        for name in ["a.wasm.gz", "a.wasm.zst"] {
            assert!(decode(name, b"rubbish".to_vec(), 100).is_err());
            assert!(decode(name, Vec::new(), 100).is_err());
        }
    }

    #[test]
    fn a_check_is_called_after_its_file() {
        assert_eq!(["a.wasm", "b.wasm.zst", "c.yaml", "d.yml"].map(stem), ["a", "b", "c", "d"]);
        assert!(is_module("a.wasm.gz") && !is_module("a.yaml") && !is_module("wasm"));
    }
}
