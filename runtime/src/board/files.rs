//! The state of the daemon's own files that may change while it runs.

use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The state of the daemon's own files that may change, by what they are.
#[derive(Debug, Default)]
pub struct Files(Mutex<BTreeMap<&'static str, Reload>>);

/// The result of reading some of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Whether what is in use is what the files hold.
    pub is_good: bool,
    /// When what is in use stops being valid; none if it does not.
    pub expires: Option<Timestamp>,
}

impl Files {
    /// Takes note that the files of this name were read, and of the result.
    pub fn tell(&self, what: &'static str, is_good: bool, expires: Option<Timestamp>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(what, Reload { is_good, expires });
    }

    /// The results for all files, by what they are.
    pub fn all(&self) -> Vec<(&'static str, Reload)> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(what, reload)| (*what, *reload)).collect()
    }
}
