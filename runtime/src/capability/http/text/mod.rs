//! The body of a response as text. Pure.

mod charset;
mod coding;
#[cfg(test)]
mod tests;

use charset::Text;
use coding::Coding;
use hyper::{HeaderMap, header::CONTENT_TYPE};

/// How the bytes of a body are to be read as text.
#[derive(Clone)]
pub(super) struct Format {
    /// The content codings, the one applied last at the end, or why they cannot be decoded.
    codings: Result<Vec<Coding>, String>,
    /// The label of the charset that the guest gave.
    charset: Option<String>,
    /// The content type, or why it cannot be told.
    content_type: Result<Option<String>, String>,
}

impl Format {
    /// How to read the body of a response with these headers. A charset that the guest gives overrides theirs.
    pub(super) fn of(headers: &HeaderMap, charset: Option<String>) -> Self {
        Self { codings: Coding::declared(headers), charset, content_type: content_type(headers) }
    }

    /// Whether reading takes so long that it needs a thread of its own.
    pub(super) fn is_slow(&self, bytes: usize) -> bool {
        const SLOW: usize = 16 * 1024;
        bytes > SLOW || self.codings.as_ref().is_ok_and(|codings| !codings.is_empty())
    }

    /// The text of a body, at most `most` bytes, and whether there would have been more. Bytes that are not `whole`
    /// may break off anywhere. The error says why the bytes cannot be read.
    pub(super) fn read(&self, bytes: &[u8], whole: bool, most: usize) -> Result<(String, bool), String> {
        let codings = self.codings.as_ref().map_err(Clone::clone)?;
        if bytes.is_empty() {
            return Ok((String::new(), false));
        }
        let (mut decoded, mut is_cut): (Option<Vec<u8>>, bool) = (None, false);
        for coding in codings.iter().rev() {
            let encoded = decoded.as_deref().unwrap_or(bytes);
            let next = coding.decode(encoded, whole && !is_cut, most)?;
            (decoded, is_cut) = (Some(next.bytes), is_cut || next.is_cut);
        }
        let bytes = decoded.as_deref().unwrap_or(bytes);
        let given = self.charset.as_deref();
        let kind = match given {
            Some(_) => None,
            None => self.content_type.as_ref().map_err(Clone::clone)?.as_deref(),
        };
        let Text { text, is_cut: more } = charset::decode(bytes, given, kind, whole && !is_cut, most)?;
        Ok((text, is_cut || more))
    }
}

/// The content type of a response. An error if there are several that differ, as clients do not agree on which counts.
fn content_type(headers: &HeaderMap) -> Result<Option<String>, String> {
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let first = declared.next();
    if declared.any(|other| Some(other) != first) {
        return Err("it has several headers `content-type` that differ".to_owned());
    }
    Ok(first.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()))
}
