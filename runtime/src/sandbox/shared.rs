//! Linear memory that the guests of one namespace may hold together.

use crate::spec::Check;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What the guests of one namespace hold, and may hold, in bytes.
#[derive(Debug)]
pub(super) struct Shared {
    most: usize,
    held: AtomicUsize,
}

/// That of each namespace in which a guest lives.
#[derive(Default)]
pub(super) struct Namespaces(Mutex<HashMap<String, Weak<Shared>>>);

impl Namespaces {
    /// What the guest of this check shares with others; none if they may hold any amount.
    pub(super) fn of(&self, check: &Check) -> Option<Arc<Shared>> {
        let most = check.permit.memory()?.in_memory();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.get(check.key.namespace()).and_then(Weak::upgrade) {
            return Some(shared);
        }
        known.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Shared::new(most));
        known.insert(check.key.namespace().to_owned(), Arc::downgrade(&shared));
        Some(shared)
    }
}

impl Shared {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// How much they may hold.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Takes so much of it, if it is there.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let fitting = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Relaxed, Relaxed, fitting).is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grant::Ceiling, spec};

    fn check(key: &str, ceiling: &Arc<Ceiling>) -> Check {
        let (namespace, name) = key.split_once('/').expect("a key");
        let text = format!(
            "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {name} }}\nspec: {{ module: a.wasm }}\n"
        );
        spec::parse(&text, namespace, ceiling).expect("a manifest").remove(0)
    }

    fn tenant(namespace: &str) -> Arc<Ceiling> {
        Ceiling::tenant(namespace, "cluster.local", Arc::default())
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_what_comes_back_is_there_again() {
        let shared = Shared::new(10);
        assert!(shared.take(6) && !shared.take(5) && shared.take(4) && !shared.take(1));
        shared.give_back(4);
        assert!(!shared.take(usize::MAX) && shared.take(3));
    }

    #[test]
    fn checks_share_with_their_namespace_only_and_not_after_all_of_them_are_gone() {
        let namespaces = Namespaces::default();
        let first = namespaces.of(&check("a/x", &tenant("a"))).expect("shared");
        let second = namespaces.of(&check("a/y", &tenant("a"))).expect("shared");
        let other = namespaces.of(&check("b/x", &tenant("b"))).expect("shared");
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        assert!(first.take(first.most()));
        drop((first, second));
        let later = namespaces.of(&check("a/x", &tenant("a"))).expect("shared");
        assert!(later.take(later.most()), "nothing is held");
    }

    #[test]
    fn who_is_trusted_shares_nothing() {
        assert!(Namespaces::default().of(&check("a/x", &Ceiling::open())).is_none());
        assert!(Namespaces::default().of(&check("a/x", &Ceiling::trusted("a"))).is_none());
    }
}
