//! Bytes in settings, as hexadecimal digits. Pure.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Deserializer};

/// The most bytes of one step.
const MOST: usize = 16 * 1024;

/// Bytes, written as pairs of hexadecimal digits with or without spaces: `"00 d2 16 2f"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if digits.is_empty() || digits.len() % 2 == 1 || digits.iter().any(|byte| digit(*byte).is_none()) {
            return Err("bytes are written as pairs of hexadecimal digits, such as \"00 d2 16 2f\"".into());
        }
        if digits.len() / 2 > MOST {
            return Err(format!("{} bytes are more than the {MOST} of one step", digits.len() / 2));
        }
        let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        Ok(Self(digits.chunks(2).filter_map(byte).collect()))
    }
}

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().take(32).enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        if self.0.len() > 32 { f.write_str(" …") } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(source)?).map_err(serde::de::Error::custom)
    }
}

/// An error if a text to send has characters that look like single bytes and are sent as two.
pub(crate) fn refuse_doubtful_text(text: &str) -> Result<(), String> {
    match text.chars().find(|letter| ('\u{80}'..='\u{ff}').contains(letter)) {
        Some(letter) => {
            let sent = Bytes(letter.to_string().into_bytes());
            Err(format!(
                "the character U+{code:04X} would be sent as the two bytes {sent}: write `sendBytes` with {sent}, or \
                 with {code:02x} for that one byte",
                code = u32::from(letter)
            ))
        }
        None => Ok(()),
    }
}

/// An error if an expression has an escape for a byte from 80 to ff, which text cannot match.
pub(crate) fn refuse_byte_escapes(expression: &str) -> Result<(), String> {
    let mut rest = expression;
    while let Some(start) = rest.find('\\') {
        let after = &rest[start + 1..];
        let digits = after.strip_prefix('x').map(|digits| match digits.strip_prefix('{') {
            Some(braced) => braced.split('}').next().unwrap_or_default(),
            None => digits.get(..2).unwrap_or_default(),
        });
        if let Some(0x80..=0xff) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            let digits = digits.unwrap_or_default();
            return Err(format!(
                "`\\x{digits}` is a character and no byte, and never matches that byte: write `expectBytes: \"{digits}\"`"
            ));
        }
        let mut after = after.chars();
        after.next();
        rest = after.as_str();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(Bytes::parse("00 d2\n162F"), Ok(Bytes(vec![0, 0xd2, 0x16, 0x2f])));
        assert_eq!(Bytes(vec![0, 0xd2]).to_string(), "00 d2");
        for wrong in ["", " ", "0", "0 0 0", "0x00", "zz", "\u{fc}0"] {
            assert!(Bytes::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Bytes::parse(&"00".repeat(MOST + 1)).is_err());
    }

    #[test]
    fn text_that_would_be_sent_as_other_bytes_than_it_looks_like_is_refused() {
        assert_eq!(refuse_doubtful_text("PING\r\n\x00"), Ok(()));
        let error = refuse_doubtful_text("\u{4}\u{d2}").expect_err("two bytes");
        assert_eq!(
            error,
            "the character U+00D2 would be sent as the two bytes c3 92: write `sendBytes` with c3 92, or with d2 for \
             that one byte"
        );
    }

    #[test]
    fn an_expression_for_bytes_that_no_text_has_is_refused() {
        for good in ["\\x0a8\\.0", "caching", "\\\\xff", "\\x{2603}", "\\x", "ü"] {
            assert_eq!(refuse_byte_escapes(good), Ok(()), "{good}");
        }
        for bad in ["\\xff\\xf7", "a\\x80", "\\x{ff}", "\\\\\\xff"] {
            let error = refuse_byte_escapes(bad).expect_err(bad);
            assert!(error.contains("write `expectBytes:"), "{error}");
        }
    }
}
