//! Bearer tokens, and users with passwords.

use crate::api::reloading_file::FileContent;
use axum::http::{HeaderMap, header};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bearer tokens, one in each line of a file. A line that begins with `#` is a comment.
pub struct Bearer(KnownTokens);

/// Users with their passwords, `user:password` in each line of a file. A line that begins with `#` is a
/// comment.
pub struct Basic(KnownTokens);

/// Digests of the known tokens. Comparing digests takes the same time wherever they differ, and a memory dump
/// reveals less.
struct KnownTokens(Vec<[u8; 32]>);

impl Bearer {
    /// Whether this token is known.
    pub(super) fn knows(&self, token: &str) -> bool {
        self.0.has(token.as_bytes())
    }
}

impl Basic {
    /// Whether this `user:password` in base64 is known.
    pub(super) fn knows(&self, pair: &str) -> bool {
        BASE64.decode(pair).is_ok_and(|pair| self.0.has(&pair))
    }
}

impl FileContent for Bearer {
    const WHAT: &'static str = "bearer";

    fn parse(contents: &[Vec<u8>]) -> Result<Self, String> {
        KnownTokens::parse(contents, "a token of letters, digits and signs without spaces", |line| {
            line.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(Self)
    }
}

impl FileContent for Basic {
    const WHAT: &'static str = "basic";

    fn parse(contents: &[Vec<u8>]) -> Result<Self, String> {
        KnownTokens::parse(contents, "`user:password`", |line| {
            line.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
        })
        .map(Self)
    }
}

impl KnownTokens {
    /// Parses the lines of files, except empty lines and comments. Errors name a line by its number, as its
    /// text is secret, and say by `shape` what it should be.
    fn parse(contents: &[Vec<u8>], shape: &str, is_good: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut digests = Vec::new();
        for content in contents {
            let text = str::from_utf8(content).map_err(|_| "it is not text in UTF-8".to_owned())?;
            for (number, line) in (1..).zip(text.lines().map(str::trim)) {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                if !is_good(line) {
                    return Err(format!("line {number} is not {shape}"));
                }
                digests.push(Sha256::digest(line).into());
            }
        }
        if digests.is_empty() {
            return Err(format!("it has no line with {shape}, so nobody could come in; write one"));
        }
        Ok(Self(digests))
    }

    fn has(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let compare = |found: Choice, known: &[u8; 32]| found | known.ct_eq(&presented);
        self.0.iter().fold(Choice::from(0), compare).into()
    }
}

/// The credentials of this scheme in the header `authorization`. None if there are several such headers, as
/// another reader might take another one.
pub(super) fn presented<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (named, rest) = value.to_str().ok()?.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn bearer(text: &str) -> Result<Bearer, String> {
        Bearer::parse(&[text.into()])
    }

    fn basic(text: &str) -> Result<Basic, String> {
        Basic::parse(&[text.into()])
    }

    #[test]
    fn every_line_but_comments_is_a_token() {
        let tokens = bearer("# for Prometheus\none\n\n  two \r\n").expect("tokens");
        assert!(tokens.knows("one") && tokens.knows("two"));
        assert!(!tokens.knows("") && !tokens.knows("on") && !tokens.knows("# for Prometheus"));
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        for text in ["", "\n", "# nothing\n"] {
            assert!(bearer(text).is_err_and(|error| error.contains("nobody could come in")), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_meant_is_named_by_its_number_and_not_by_its_text() {
        let error = bearer("good\nhunter2 with spaces\n").err().expect("refused");
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        let error = basic("hunter2\n").err().expect("refused");
        assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn users_come_in_base64_with_or_without_padding() {
        let users = basic("test:test\nzoë:p:w\n").expect("users");
        for pair in ["dGVzdDp0ZXN0", "em/DqzpwOnc=", "em/DqzpwOnc"] {
            assert!(users.knows(pair), "{pair}");
        }
        assert!(!users.knows("test:test") && !users.knows("dGVzdDp0ZXN") && !users.knows(""));
    }

    #[test]
    fn only_one_header_of_the_right_scheme_counts() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };
        assert_eq!(presented(&headers(&["bEaReR  x "]), "bearer"), Some("x"));
        assert_eq!(presented(&headers(&["Basic x"]), "bearer"), None);
        assert_eq!(presented(&headers(&["Bearer x", "Bearer y"]), "bearer"), None);
        assert_eq!(presented(&headers(&["Bearer"]), "bearer"), None);
    }
}
