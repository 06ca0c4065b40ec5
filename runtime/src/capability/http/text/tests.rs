//! Tests of bodies as text.

use super::*;
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;

const MOST: usize = 1024 * 1024;
const HTML: &[u8] = b"<title>shop</title>";
/// [`HTML`] by the `brotli` program.
const HTML_BR: [u8; 18] = [27, 18, 0, 248, 165, 94, 120, 82, 144, 66, 40, 201, 5, 54, 32, 165, 220, 1];
/// 20 MiB of the letter `a` by the `brotli` program.
const BOMB_BR: [u8; 39] = [
    203, 255, 255, 63, 0, 36, 194, 226, 177, 64, 114, 239, 255, 248, 255, 255, 7, 128, 4, 64, 28, 22, 128,
    238, 253, 95, 254, 255, 255, 0, 144, 0, 136, 195, 2, 208, 189, 255, 1,
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("gzip")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("zlib")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("deflate")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn format(kind: &str, coding: &str) -> Format {
    let mut headers = HeaderMap::new();
    for (name, value) in [(CONTENT_TYPE, kind), (CONTENT_ENCODING, coding)] {
        if !value.is_empty() {
            headers.insert(name, HeaderValue::from_str(value).expect("a header"));
        }
    }
    Format::of(&headers, None)
}

fn text(kind: &str, bytes: &[u8]) -> Result<String, String> {
    format(kind, "").read(bytes, true, MOST).map(|(text, _)| text)
}

fn decoded(coding: &str, bytes: &[u8]) -> Result<(String, bool), String> {
    format("text/html; charset=utf-8", coding).read(bytes, true, MOST)
}

#[test]
fn every_content_coding_of_browsers_is_decoded() {
    let html = String::from_utf8_lossy(HTML).into_owned();
    for (coding, bytes) in [
        ("gzip", gzip(HTML)),
        ("X-GZIP", gzip(HTML)),
        ("deflate", zlib(HTML)),
        ("deflate", deflate(HTML)),
        ("br", HTML_BR.to_vec()),
        ("zstd", zstd(HTML)),
        ("identity", HTML.to_vec()),
        ("gzip, zstd", zstd(&gzip(HTML))),
    ] {
        assert_eq!(decoded(coding, &bytes), Ok((html.clone(), false)), "{coding}");
    }
}

#[test]
fn parts_that_follow_each_other_are_one_body_and_zeros_are_padding() {
    for (coding, one, two) in [("gzip", gzip(b"one "), gzip(b"two")), ("zstd", zstd(b"one "), zstd(b"two"))] {
        let mut both = [one, two].concat();
        assert_eq!(decoded(coding, &both), Ok(("one two".to_owned(), false)), "{coding}");
        both.extend([0; 100]);
        assert_eq!(decoded(coding, &both), Ok(("one two".to_owned(), false)), "{coding}");
    }
}

#[test]
fn a_coding_that_is_not_what_came_is_an_error() {
    for coding in ["gzip", "deflate", "zstd", "br"] {
        let error = decoded(coding, b"<html>plain</html>").expect_err("it is plain");
        assert!(error.contains(&format!("it is no {coding}, though")), "{error}");
    }
    let error = decoded("compress", HTML).expect_err("nobody decodes that");
    assert_eq!(error, "its content encoding `compress` is unknown");
    assert!(decoded("gzip, gzip, gzip, gzip", HTML).is_err());
}

#[test]
fn a_body_that_changes_its_coding_midway_is_an_error() {
    for (coding, bytes) in [("gzip", gzip(HTML)), ("deflate", zlib(HTML)), ("zstd", zstd(HTML))] {
        let error =
            decoded(coding, &[&bytes[..], b"database is down"].concat()).expect_err("plain at the end");
        assert_eq!(error, format!("after its {coding} come bytes that are no {coding}"));
    }
    assert!(decoded("br", &[&HTML_BR[..], b"database is down"].concat()).is_err());
}

#[test]
fn a_coding_that_breaks_off_is_an_error_unless_more_may_come() {
    let long: Vec<u8> = (0..20_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    for (coding, bytes) in
        [("gzip", gzip(&long)), ("deflate", zlib(&long)), ("deflate", deflate(&long)), ("zstd", zstd(&long))]
    {
        let half = &bytes[..bytes.len() / 2];
        assert_eq!(decoded(coding, half), Err(format!("its {coding} breaks off")));
        let (start, _) = format("text/plain", coding).read(half, false, MOST).expect("the start");
        assert!(long.starts_with(start.as_bytes()), "{coding}");
    }
    assert_eq!(decoded("br", &HTML_BR[..10]), Err("its br breaks off".to_owned()));
}

#[test]
fn a_bomb_is_an_error_with_its_name_in_every_coding() {
    let zeros = vec![b'a'; 20 * MOST];
    for (coding, bytes) in
        [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("zstd", zstd(&zeros)), ("br", BOMB_BR.to_vec())]
    {
        let error = decoded(coding, &bytes).expect_err("a bomb");
        assert!(error.starts_with("it is a decompression bomb: "), "{coding}: {error}");
        assert!(error.ends_with(&format!(" of {coding} become more than {MOST}")), "{coding}: {error}");
    }
    let nested = gzip(&gzip(&zeros));
    assert!(decoded("gzip, gzip", &nested).is_err());
}

#[test]
fn a_body_that_is_merely_large_is_cut() {
    let mut seed = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from(seed >> 28).unwrap_or(0))
    })
    .take(2 * MOST)
    .collect();
    let (text, is_cut) = decoded("gzip", &gzip(noise.as_bytes())).expect("text");
    assert_eq!((text.len(), is_cut), (MOST, true));
    assert!(noise.starts_with(&text));
}

#[test]
fn empty_parts_that_cost_time_and_yield_nothing_are_counted() {
    let error = decoded("gzip", &gzip(b"").repeat(10_000)).expect_err("too many");
    assert_eq!(error, "its gzip has more than 256 parts");
}

#[test]
fn a_charset_is_that_of_the_mark_the_content_type_or_the_document() {
    let cafe = "café".to_owned();
    for (kind, bytes) in [
        ("text/html; charset=iso-8859-1", &b"caf\xe9"[..]),
        ("text/html; Charset=\"Latin1\"; x=y", b"caf\xe9"),
        ("text/plain; charset=utf-16le", b"c\0a\0f\0\xe9\0"),
        ("text/plain", b"\xff\xfec\0a\0f\0\xe9\0"),
        ("application/json; charset=latin1", b"\xef\xbb\xbfcaf\xc3\xa9"),
        ("text/plain", "café".as_bytes()),
    ] {
        assert_eq!(text(kind, bytes), Ok(cafe.clone()), "{kind}");
    }
    for page in [
        &b"<html><META charset=\"windows-1252\">caf\xe9"[..],
        b"<meta http-equiv=content-type content='text/html; charset=iso-8859-1'/>caf\xe9",
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xe9</a>",
    ] {
        let read = text("text/html", page).expect("text");
        assert!(read.contains("café"), "{read}");
        assert!(text("text/plain", page).is_err(), "plain text declares nothing");
    }
}

#[test]
fn what_a_page_says_of_itself_in_prose_declares_no_charset() {
    let page =
        b"<meta name=description content='set charset = latin1'><meta charset=windows-1252>caf\xe9 \x80";
    let read = text("text/html", page).expect("text");
    assert!(read.ends_with("caf\u{e9} \u{20ac}"), "{read}");
    let page = b"<meta name=description content='set charset = latin1'>caf\xe9";
    let error = text("text/html", page).expect_err("it declares nothing");
    assert!(error.ends_with("and no charset is declared"), "{error}");
}

#[test]
fn content_types_that_differ_declare_nothing_unless_the_guest_knows_better() {
    let read = |kinds: [&str; 2], given: Option<&str>| {
        let mut headers = HeaderMap::new();
        for kind in kinds {
            headers.append(CONTENT_TYPE, HeaderValue::from_str(kind).expect("a header"));
        }
        Format::of(&headers, given.map(str::to_owned)).read(b"caf\xe9", true, MOST)
    };
    let (latin, utf) = ("text/html; charset=latin1", "text/html; charset=utf-8");
    let cafe = Ok(("caf\u{e9}".to_owned(), false));
    assert_eq!(read([latin, utf], None), Err("it has several headers `content-type` that differ".to_owned()));
    assert_eq!(read([latin, latin], None), cafe);
    assert_eq!(read([latin, utf], Some("latin1")), cafe);
}

#[test]
fn a_charset_that_does_not_exist_is_named() {
    let error = text("text/html; charset=utf-9", HTML).expect_err("there is none");
    assert_eq!(error, "its charset `utf-9` is unknown");
    assert!(text("text/html; charset=iso-2022-kr", HTML).is_err());
}

#[test]
fn bytes_that_are_no_text_of_their_charset_are_an_error_with_their_place() {
    let undeclared = text("text/plain", b"caf\xe9!").expect_err("Latin-1");
    assert_eq!(undeclared, "it is not UTF-8 at byte 3, and no charset is declared");
    let declared = text("text/plain; charset=utf-8", b"caf\xe9!").expect_err("Latin-1");
    assert_eq!(declared, "it is not UTF-8 at byte 3");
    let wide = text("text/plain", b"d\0a\0t\0a\0").expect_err("UTF-16");
    assert!(wide.starts_with("it has zero bytes"), "{wide}");
}

#[test]
fn a_charset_that_the_guest_gives_overrides_all_others() {
    let format = |charset: &str| Format {
        charset: Some(charset.to_owned()),
        ..format("text/html; charset=utf-8", "")
    };
    assert_eq!(format("latin1").read(b"\x89PNG\0\xe9", true, MOST), Ok(("\u{2030}PNG\0é".to_owned(), false)));
    assert!(format("klingon").read(b"a", true, MOST).is_err());
    let marked = |charset: &str, bytes: &[u8]| format(charset).read(bytes, true, MOST).map(|(text, _)| text);
    assert_eq!(marked("utf-16", b"\xfe\xff\0d\0o"), Ok("do".to_owned()));
    assert_eq!(marked("utf-8", b"\xef\xbb\xbf^"), Ok("^".to_owned()));
}

#[test]
fn a_body_that_has_not_ended_may_end_within_a_character() {
    let bytes = "café".as_bytes();
    let part = &bytes[..bytes.len() - 1];
    assert_eq!(format("", "").read(part, false, MOST), Ok(("caf".to_owned(), false)));
    assert_eq!(text("", part), Err("it is not UTF-8 at byte 3, and no charset is declared".to_owned()));
}

#[test]
fn text_that_grows_by_its_charset_is_cut_between_characters() {
    let format = format("text/plain; charset=latin1", "");
    let (text, is_cut) = format.read(&[0xe9; 100], true, 99).expect("text");
    assert_eq!((text, is_cut), ("é".repeat(49), true));
}

#[test]
fn a_transfer_encoding_that_nobody_undoes_is_an_error() {
    for (value, readable) in
        [("chunked", true), ("Chunked", true), ("deflate, chunked", false), ("gzip", false)]
    {
        let mut headers = HeaderMap::new();
        headers.insert("transfer-encoding", HeaderValue::from_str(value).expect("a header"));
        let read = Format::of(&headers, None).read(b"fine", true, MOST);
        assert_eq!(read.is_ok(), readable, "{value}: {read:?}");
    }
}

#[test]
fn no_body_is_an_empty_text_in_every_coding() {
    assert_eq!(decoded("gzip", b""), Ok((String::new(), false)));
}

#[test]
fn no_bytes_at_all_make_a_decoder_panic_or_go_beyond_the_limit() {
    let samples =
        [("gzip", gzip(HTML)), ("deflate", zlib(HTML)), ("br", HTML_BR.to_vec()), ("zstd", zstd(HTML))];
    let mut seed = 7_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize
    };
    for (coding, sample) in samples {
        let format = format("text/html", coding);
        for _ in 0..2_000 {
            let mut bytes = sample.clone();
            for _ in 0..=random() % 4 {
                let place = random() % bytes.len();
                bytes[place] = u8::try_from(random() % 256).unwrap_or(0);
            }
            bytes.truncate(1 + random() % sample.len());
            for whole in [true, false] {
                if let Ok((text, _)) = format.read(&bytes, whole, 100) {
                    assert!(text.len() <= 100, "{coding} {bytes:?}");
                }
            }
        }
    }
}
