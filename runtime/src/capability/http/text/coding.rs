//! Content codings (RFC 9110, section 8.4.1), decoded within limits. Pure.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status, bufread::GzDecoder};
use hyper::{
    HeaderMap,
    header::{CONTENT_ENCODING, TRANSFER_ENCODING},
};
use ruzstd::decoding::{
    FrameDecoder, StreamingDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::{self, ErrorKind::UnexpectedEof, Read};

/// The most codings that a body may have gone through.
const MOST_CODINGS: usize = 3;
/// The most parts that a body may be made of, such as members of gzip or frames of zstd. An empty part costs
/// time and yields nothing.
const MOST_PARTS: usize = 256;
/// How many times as large as the encoded bytes the decoded ones may become, once they reach their limit.
const MOST_RATIO: usize = 100;
/// The largest window of zstd in bytes (RFC 9659, section 3).
const LARGEST_WINDOW: u64 = 8 * 1024 * 1024;
/// By how many bytes the space for decoded bytes grows.
const STEP: usize = 32 * 1024;

/// A content coding that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `gzip` or `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate` (RFC 1950), also without its zlib wrapper, as some servers send it.
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

/// Decoded bytes, at most as many as were allowed.
pub(super) struct Decoded {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether there would have been more.
    pub(super) is_cut: bool,
}

impl Coding {
    /// The codings that the headers of a response declare, the one applied last at the end. The error names one
    /// that is unknown.
    pub(super) fn declared(headers: &HeaderMap) -> Result<Vec<Self>, String> {
        for value in headers.get_all(TRANSFER_ENCODING) {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            if value.split(',').any(|name| !matches!(name.trim(), "" | "chunked" | "identity")) {
                return Err(
                    "it has a transfer encoding other than `chunked`, which is not decoded".to_owned()
                );
            }
        }
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            for name in value.split(',').map(str::trim) {
                codings.push(match name {
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    "" | "identity" => continue,
                    other => {
                        let other: String = other.chars().take(40).flat_map(char::escape_debug).collect();
                        return Err(format!("its content encoding `{other}` is unknown"));
                    }
                });
            }
        }
        if codings.len() > MOST_CODINGS {
            return Err(format!("it was encoded {} times, and {MOST_CODINGS} are decoded", codings.len()));
        }
        Ok(codings)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Decodes at most `most` bytes. Encoded bytes that are not `whole` may break off anywhere. The error says what
    /// is wrong with the encoded bytes.
    pub(super) fn decode(self, encoded: &[u8], whole: bool, most: usize) -> Result<Decoded, String> {
        let (mut rest, mut bytes, mut parts) = (encoded, Vec::new(), 0);
        // After the last part, zeros are padding.
        while bytes.len() <= most && (parts == 0 || rest.iter().any(|byte| *byte != 0)) {
            parts += 1;
            if parts > MOST_PARTS {
                return Err(format!("its {} has more than {MOST_PARTS} parts", self.name()));
            }
            match self.decode_part(&mut rest, &mut bytes, most + 1) {
                Ok(()) => {}
                Err(_) if !whole => break,
                Err(_) if !self.fits(encoded) => return Err(self.unfit()),
                Err(error) => return Err(self.explain(&error, parts, bytes.len())),
            }
        }
        let is_cut = bytes.len() > most;
        let used = encoded.len() - rest.len();
        if is_cut && most / MOST_RATIO > used {
            let name = self.name();
            return Err(format!(
                "it is a decompression bomb: {used} bytes of {name} become more than {most}"
            ));
        }
        bytes.truncate(most);
        Ok(Decoded { bytes, is_cut })
    }

    fn decode_part(self, rest: &mut &[u8], bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
        let room = (most - bytes.len()) as u64;
        match self {
            Self::Gzip => GzDecoder::new(rest).take(room).read_to_end(bytes).map(drop),
            Self::Deflate => inflate(rest, bytes, most),
            Self::Brotli => brotli(rest, bytes, most),
            Self::Zstd => zstd(rest, bytes, room),
        }
    }

    fn explain(self, error: &io::Error, parts: usize, decoded: usize) -> String {
        let name = self.name();
        match error.kind() {
            UnexpectedEof => format!("its {name} breaks off"),
            io::ErrorKind::OutOfMemory => {
                format!("its {name} needs a window of more than {LARGEST_WINDOW} bytes")
            }
            _ if parts > 1 => format!("after its {name} come bytes that are no {name}"),
            _ if decoded > 0 => format!("its {name} is broken after {decoded} bytes of text"),
            _ => self.unfit(),
        }
    }

    /// Whether encoded bytes begin as this coding does, as far as it has a beginning of its own.
    fn fits(self, encoded: &[u8]) -> bool {
        match self {
            Self::Gzip => encoded.starts_with(&[0x1f, 0x8b]),
            // A frame of zstd, or one to skip.
            Self::Zstd => {
                encoded.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || encoded.get(1..4) == Some(&[0x2a, 0x4d, 0x18])
            }
            Self::Deflate | Self::Brotli => true,
        }
    }

    fn unfit(self) -> String {
        format!("it is no {}, though `content-encoding` says so", self.name())
    }
}

fn inflate(rest: &mut &[u8], bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
    // The first two bytes of zlib (RFC 1950, section 2.2).
    let has_wrapper = matches!(**rest, [first, second, ..]
        if first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0);
    let mut decoder = Decompress::new(has_wrapper);
    while bytes.len() < most {
        let before = (decoder.total_in(), decoder.total_out());
        bytes.reserve_exact(STEP.min(most - bytes.len()));
        let status = decoder.decompress_vec(rest, bytes, FlushDecompress::None);
        let status = status.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let used = usize::try_from(decoder.total_in() - before.0).unwrap_or(usize::MAX);
        *rest = rest.get(used..).unwrap_or_default();
        if status == Status::StreamEnd {
            return Ok(());
        }
        if rest.is_empty() && decoder.total_out() == before.1 {
            return Err(UnexpectedEof.into());
        }
    }
    Ok(())
}

fn brotli(rest: &mut &[u8], bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let (one, two, three) = (StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let mut state = BrotliState::new_strict(one, two, three);
    let (mut left, mut used, mut total) = (rest.len(), 0, 0);
    let result = loop {
        let start = bytes.len();
        bytes.resize(most.min(start + STEP), 0);
        let (mut room, mut written) = (bytes.len() - start, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            rest,
            &mut room,
            &mut written,
            &mut bytes[start..],
            &mut total,
            &mut state,
        );
        bytes.truncate(start + written);
        if !matches!(result, BrotliResult::NeedsMoreOutput) || bytes.len() == most {
            break result;
        }
    };
    *rest = rest.get(used..).unwrap_or_default();
    match result {
        BrotliResult::ResultSuccess | BrotliResult::NeedsMoreOutput => Ok(()),
        BrotliResult::NeedsMoreInput => Err(UnexpectedEof.into()),
        BrotliResult::ResultFailure => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn zstd(rest: &mut &[u8], bytes: &mut Vec<u8>, room: u64) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(LARGEST_WINDOW);
    let broken = |rest: &[u8]| match rest.is_empty() {
        true => io::Error::from(UnexpectedEof),
        false => io::ErrorKind::InvalidData.into(),
    };
    let mut frame = match StreamingDecoder::new_with_decoder(&mut *rest, decoder) {
        Ok(frame) => frame,
        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
            *rest = rest.get(length as usize..).ok_or(UnexpectedEof)?;
            return Ok(());
        }
        Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(io::ErrorKind::OutOfMemory.into()),
        Err(_) => return Err(broken(rest)),
    };
    let read = (&mut frame).take(room).read_to_end(bytes);
    let frame = frame.into_frame_decoder();
    let sums = (frame.get_checksum_from_data(), frame.get_calculated_checksum());
    match (read, sums) {
        (Err(_), _) => Err(broken(rest)),
        (Ok(_), (Some(given), Some(counted))) if frame.is_finished() && given != counted => {
            Err(io::ErrorKind::InvalidData.into())
        }
        _ => Ok(()),
    }
}
