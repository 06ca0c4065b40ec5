//! Charsets (WHATWG Encoding Standard): which one a body is in, and its text. Pure.

use encoding_rs::{DecoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// How many bytes from the start may declare the charset (WHATWG HTML, section 13.2.3.2).
const PROLOGUE: usize = 1024;

/// Text, at most as many bytes of UTF-8 as were allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// The text.
    pub(super) text: String,
    /// Whether there would have been more.
    pub(super) is_cut: bool,
}

/// Decodes at most `most` bytes of text. The charset is `given`, or what the bytes, the content type, or HTML or XML
/// itself declare, and else UTF-8. Bytes that are not `whole` may end within a character. The error says why the
/// bytes are no text.
pub(super) fn decode(
    bytes: &[u8],
    given: Option<&str>,
    content_type: Option<&str>,
    whole: bool,
    most: usize,
) -> Result<Text, String> {
    let (encoding, is_declared, mark) = match given {
        Some(label) => match (labelled(label)?, Encoding::for_bom(bytes)) {
            // The mark is no letter, and says which byte comes first.
            (encoding, Some((marked, mark))) if [UTF_8, UTF_16LE, UTF_16BE].contains(&encoding) => {
                (marked, true, mark)
            }
            (encoding, _) => (encoding, true, 0),
        },
        None => find(bytes, content_type)?,
    };
    let bytes = bytes.get(mark..).unwrap_or_default();
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let longest = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(usize::MAX);
    let mut text = String::with_capacity(longest.min(most + 4));
    let (result, used) = decoder.decode_to_string_without_replacement(bytes, &mut text, whole);
    if let DecoderResult::Malformed(bad, after) = result {
        let place = mark + used - usize::from(bad) - usize::from(after);
        let undeclared = if is_declared { "" } else { ", and no charset is declared" };
        return Err(format!("it is not {} at byte {place}{undeclared}", encoding.name()));
    }
    if given.is_none() && text.contains('\0') {
        return Err("it has zero bytes, as binary data have, and UTF-16 without a byte order mark".to_owned());
    }
    let is_cut = result == DecoderResult::OutputFull || text.len() > most;
    text.truncate(text.floor_char_boundary(most));
    Ok(Text { text, is_cut })
}

/// The encoding of some bytes, whether it was declared, and the length of the byte order mark.
fn find(bytes: &[u8], content_type: Option<&str>) -> Result<(&'static Encoding, bool, usize), String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok((encoding, true, mark));
    }
    if let Some(label) = content_type.and_then(parameter) {
        return Ok((labelled(&label)?, true, 0));
    }
    match content_type.is_none_or(is_markup).then(|| declared_inside(bytes)).flatten() {
        Some(label) => Ok((ascii_compatible(labelled(&label)?), true, 0)),
        None => Ok((UTF_8, false, 0)),
    }
}

fn labelled(label: &str) -> Result<&'static Encoding, String> {
    let known = Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != REPLACEMENT);
    known.ok_or_else(|| {
        let label: String = label.chars().take(40).flat_map(char::escape_debug).collect();
        format!("its charset `{label}` is unknown")
    })
}

/// The encoding of a document that could be read as ASCII up to its declaration, and so is not UTF-16.
fn ascii_compatible(encoding: &'static Encoding) -> &'static Encoding {
    if [UTF_16LE, UTF_16BE].contains(&encoding) { UTF_8 } else { encoding }
}

/// The value of the parameter `charset` of a content type.
fn parameter(content_type: &str) -> Option<Cow<'_, str>> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches(['"', '\'']).trim().into())
        .filter(|label: &Cow<'_, str>| !label.is_empty())
}

fn is_markup(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().to_ascii_lowercase();
    kind.contains("html") || kind.contains("xml")
}

/// The label in `<meta charset=…>`, in `<meta … content="…; charset=…">` or in `<?xml … encoding=…?>`.
fn declared_inside(bytes: &[u8]) -> Option<Cow<'static, str>> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(PROLOGUE)]).to_ascii_lowercase();
    let xml = start.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let label = match xml {
        Some((declaration, _)) => value_of("encoding", declaration),
        // A `<meta name=…>` is about the page, and may speak of a charset in prose.
        None => start
            .split("<meta")
            .skip(1)
            .filter_map(|tag| tag.split('>').next().filter(|tag| value_of("name", tag).is_none()))
            .find_map(|tag| value_of("charset", tag)),
    };
    label.map(|label| label.to_owned().into())
}

/// The value after `name` and an equals sign, without quotes.
fn value_of<'a>(name: &str, text: &'a str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = value.find(|letter: char| letter.is_whitespace() || "\"';/>".contains(letter));
    Some(&value[..end.unwrap_or(value.len())]).filter(|label| !label.is_empty())
}
