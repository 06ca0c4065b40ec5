//! What rounds that are over left behind in the cluster.

use crate::value::Key;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many objects are left over, by check; of checks that are gone as well.
#[derive(Debug, Default)]
pub struct Leftovers(Mutex<BTreeMap<Key, usize>>);

impl Leftovers {
    /// Says how many objects of a check are left over.
    pub fn set(&self, key: &Key, count: usize) {
        match count {
            0 => self.lock().remove(key),
            count => self.lock().insert(key.clone(), count),
        };
    }

    /// All checks that left something behind.
    pub fn all(&self) -> BTreeMap<Key, usize> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
