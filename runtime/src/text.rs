//! Texts of guests, manifests and servers: cut and made safe to keep and to show, or judged as names.

use std::{any::Any, borrow::Cow};

/// The first `limit` bytes of the text, or a little less so that no character is torn.
pub(crate) fn cut_to(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The message of a panic, or words that say that it has none.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

/// Whether a letter could move a cursor, break a line or turn around the order of what is shown.
pub(crate) fn is_odd(letter: char) -> bool {
    let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// Whether a text can be shown as it is. Nearly all texts are plain ASCII, for which no letter has to be
/// decoded.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_odd)
}

/// The text with everything escaped that could move a cursor, forge a line or read otherwise than it is.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| {
        if is_odd(letter) { letter.escape_default().to_string() } else { letter.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Quotes a piece of input for a message: in backticks, what could not be shown safely escaped, long text
/// cut.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown = String::new();
    for character in text.chars().take(SHOWN) {
        if is_odd(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    match text.chars().count().saturating_sub(SHOWN) {
        0 => format!("`{shown}`"),
        _ => format!("`{shown}…`"),
    }
}

/// Whether Kubernetes takes the text as the name of a namespace: a DNS-1123 label.
pub(crate) fn is_label(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

/// Whether Kubernetes takes the text as the name of most objects: a DNS-1123 subdomain, labels joined by
/// dots.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_lines_or_colours() {
        assert_eq!(printable("a\nERROR b\u{1b}[31m\r"), "a\\nERROR b\\u{1b}[31m\\r");
        assert_eq!(printable("a\u{202e}b\u{2028}c\u{2066}"), "a\\u{202e}b\\u{2028}c\\u{2066}");
        assert!(matches!(printable("plain ünïcode"), Cow::Borrowed(_)));
    }

    #[test]
    fn quoted_input_can_neither_break_a_line_nor_flood_it() {
        assert_eq!(quote("dns.wasm"), "`dns.wasm`");
        assert_eq!(quote("a\nb\0c"), "`a\\nb\\u{0}c`");
        assert!(quote(&"x".repeat(10_000)).len() < 80);
    }
}
