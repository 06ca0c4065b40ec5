//! What must hold for any input at all.
//!
//! Each function takes bytes, gives them to a part of the daemon that reads what strangers write, and panics if
//! that part keeps a promise badly. `fuzz/` searches for such bytes; the tests of `runtime/` go through those
//! that are interesting, which lie in `fuzz/corpus`.

mod decode;
mod dns;
mod manifest;
mod minisig;
mod module;
mod policy;
mod url;

pub use decode::decode;
pub use dns::dns;
pub use manifest::manifest;
pub use minisig::minisig;
pub use module::module;
pub use policy::policy;
pub use url::url;

use aviary::manifest::Error;

/// The message of an error is one line, and its place is in the text.
fn judge_error(text: &str, error: &Error) {
    assert!(!error.message.is_empty());
    assert!(error.message.chars().count() <= 601, "a flood of {} characters", error.message.chars().count());
    let Some(position) = error.position else { return };
    // YAML ends a line at `
    // `, `\r
    // ` or `\r`.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = lines.split('\n').collect();
    let line = usize::try_from(position.line).expect("a number of lines");
    assert!((1..=lines.len() + 1).contains(&line), "{error} is about none of {} lines", lines.len());
    let length = lines.get(line - 1).map_or(0, |line| line.chars().count()) as u64;
    assert!((1..=length + 1).contains(&position.column), "{error} is beyond the {length} characters there");
}
