//! Whether the daemon's own files that may change are in use as they are now.

use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The state of such files, by what they are.
#[derive(Debug, Default)]
pub struct Files(Mutex<BTreeMap<&'static str, Reload>>);

/// How reading them went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// What is in use is what the files hold.
    pub is_good: bool,
    /// When what is in use is no good any more.
    pub expires: Option<Timestamp>,
}

impl Files {
    /// They were read, with this result.
    pub fn tell(&self, what: &'static str, is_good: bool, expires: Option<Timestamp>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(what, Reload { is_good, expires });
    }

    /// All of them.
    pub fn all(&self) -> Vec<(&'static str, Reload)> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(what, reload)| (*what, *reload)).collect()
    }
}
