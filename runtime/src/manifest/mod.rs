//! The manifest of a check: the shapes people write, and the types in which only valid values can exist.
//!
//! [`parse`] turns the text of a file into [`Check`]s; nothing else in the daemon reads manifests.

mod build;
mod check;
mod error;
mod exact;
mod file;
mod places;
mod problem;
mod program;
mod secret;
mod setting_file;
mod spec;

pub use build::alone;
pub use check::{Check, Severity};
pub use error::{Error, Position};
pub(crate) use file::read;
pub use file::{Document, MAX_DOCUMENTS, MAX_FILE, Named, Refused, documents, parse};
pub use problem::Problem;
pub(crate) use problem::Step;
pub use program::Program;
pub use secret::{Secret, SecretError, SecretSource};
pub use setting_file::SettingFile;
pub use spec::{CheckSpec, SecretKeyRef, SecretSpec, schema};
