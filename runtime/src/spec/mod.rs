//! The Check manifest: the shapes people write, and the types in which only valid values can exist.
//!
//! [`parse`] turns the text of a file into [`Check`]s; nothing else in the daemon reads manifests.

mod build;
mod check;
mod digest;
mod duration;
mod error;
mod file;
mod key;
mod limits;
mod module;
mod raw;
mod secret;
mod size;

use crate::text::is_odd;
pub use build::alone;
pub use check::{Check, Severity};
pub use digest::{Blob, Digest, DigestError};
pub use duration::{DurationError, TimeSpan};
pub use error::{Error, Position};
pub(crate) use file::read;
pub use file::{Document, MAX_DOCUMENTS, MAX_FILE, Named, Refused, documents, parse};
pub use key::{Key, KeyError};
pub(crate) use limits::WrittenLimits;
pub use limits::{Limit, LimitError, Limits, Unit};
pub(crate) use module::ENDINGS;
pub use module::{Module, ModuleError};
pub use raw::schema;
pub use secret::{Secret, SecretError, SecretSource};
pub use size::{Size, SizeError};

/// Shows a piece of input in a message: in backticks, what could not be shown safely escaped, long text cut.
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

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoted_input_can_neither_break_a_line_nor_flood_it() {
        assert_eq!(quote("dns.wasm"), "`dns.wasm`");
        assert_eq!(quote("a\nb\0c"), "`a\\nb\\u{0}c`");
        assert!(quote(&"x".repeat(10_000)).len() < 80);
    }
}
