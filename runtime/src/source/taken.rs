//! The checks of one source that another source must not use.

use crate::value::Key;
use std::collections::BTreeSet;

/// The checks that one source has. Another source leaves checks of these names to it.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    keys: BTreeSet<Key>,
    /// The number of checks that were given back so far.
    given_back: u64,
}

impl Taken {
    /// Adds these checks. Returns whether one of them was not taken before.
    pub fn take<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) -> bool {
        let before = self.keys.len();
        self.keys.extend(keys.cloned());
        self.keys.len() != before
    }

    /// Gives back all checks for which `is_kept` is false. Returns whether there were any.
    pub fn keep(&mut self, is_kept: impl Fn(&Key) -> bool) -> bool {
        let before = self.keys.len();
        self.keys.retain(is_kept);
        let given_back = before - self.keys.len();
        self.given_back += given_back as u64;
        given_back > 0
    }

    /// Whether a check of this name is taken.
    pub fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// The checks that are taken either now or in `former`, but not in both.
    pub(super) fn differs(&self, former: &Self) -> BTreeSet<Key> {
        self.keys.symmetric_difference(&former.keys).cloned().collect()
    }

    /// Whether a check was given back since `former` that a comparison of the two does not show. That check
    /// was taken after `former`, or was taken again.
    pub(super) fn hides_some(&self, former: &Self) -> bool {
        let shown = former.keys.difference(&self.keys).count() as u64;
        self.given_back - former.given_back > shown
    }
}
