//! Which checks one source has, and another one leaves to it.

use crate::value::Key;
use std::collections::BTreeSet;

/// Checks that one source has, and another one leaves to it.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    keys: BTreeSet<Key>,
    /// How many were given back so far.
    given_back: u64,
}

impl Taken {
    /// Takes these as well; true if one of them was free.
    pub fn take<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) -> bool {
        let before = self.keys.len();
        self.keys.extend(keys.cloned());
        self.keys.len() != before
    }

    /// Gives back all others; true if there are some.
    pub fn keep(&mut self, is_kept: impl Fn(&Key) -> bool) -> bool {
        let before = self.keys.len();
        self.keys.retain(is_kept);
        let given_back = before - self.keys.len();
        self.given_back += given_back as u64;
        given_back > 0
    }

    /// Whether this one is taken.
    pub fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// The checks that are taken in only one of the two, this one and `former`.
    pub(super) fn differs(&self, former: &Self) -> BTreeSet<Key> {
        self.keys.symmetric_difference(&former.keys).cloned().collect()
    }

    /// Whether one was given back since it was `former` that does not show as such, as it was taken only after that,
    /// or is taken again.
    pub(super) fn hides_some(&self, former: &Self) -> bool {
        let shown = former.keys.difference(&self.keys).count() as u64;
        self.given_back - former.given_back > shown
    }
}
