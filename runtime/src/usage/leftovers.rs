//! Leftovers: objects in the cluster that ended rounds of checks left behind.

use crate::value::Key;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many objects are left over in the cluster, by check. It includes checks that are gone.
#[derive(Debug, Default)]
pub struct Leftovers(Mutex<BTreeMap<Key, usize>>);

impl Leftovers {
    /// Sets how many objects of a check are left over.
    pub fn set(&self, key: &Key, count: usize) {
        match count {
            0 => self.lock().remove(key),
            count => self.lock().insert(key.clone(), count),
        };
    }

    /// The number of objects left over, for each check that left any.
    pub fn all(&self) -> BTreeMap<Key, usize> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
