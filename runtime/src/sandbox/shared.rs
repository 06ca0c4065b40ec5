//! Memory that the guests of one namespace may hold together: their linear memory, and the code of each module.

use crate::spec::{Check, Digest};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What the guests of one namespace hold, and may hold, in bytes.
#[derive(Debug)]
pub(super) struct Shared {
    most: usize,
    held: AtomicUsize,
    codes: Mutex<HashMap<Digest, Weak<Code>>>,
}

/// The code of one module, which all checks of the namespace hold together.
pub(super) struct Code {
    shared: Arc<Shared>,
    bytes: usize,
}

/// That of each namespace in which a guest lives.
#[derive(Default)]
pub(super) struct Namespaces(Mutex<HashMap<String, Weak<Shared>>>);

impl Namespaces {
    /// What the guest of this check shares with others; none if they may hold any amount.
    pub(super) fn of(&self, check: &Check) -> Option<Arc<Shared>> {
        let most = check.permit.memory()?.in_memory();
        let mut known = lock(&self.0);
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
        Self { most, held: AtomicUsize::new(0), codes: Mutex::default() }
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

    /// Takes room for the code of a module, if it is there or somebody has taken it for the same code.
    pub(super) fn hold(self: &Arc<Self>, digest: Digest, bytes: usize) -> Option<Arc<Code>> {
        let mut codes = lock(&self.codes);
        if let Some(code) = codes.get(&digest).and_then(Weak::upgrade) {
            return Some(code);
        }
        codes.retain(|_, code| code.strong_count() > 0);
        self.take(bytes).then(|| {
            let code = Arc::new(Code { shared: Arc::clone(self), bytes });
            codes.insert(digest, Arc::downgrade(&code));
            code
        })
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.shared.give_back(self.bytes);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn the_code_of_a_module_counts_once_and_until_the_last_check_with_it_is_gone() {
        let shared = Arc::new(Shared::new(10));
        let (first, other) = (Digest::of(b"first"), Digest::of(b"other"));
        let code = shared.hold(first, 6).expect("room");
        let again = shared.hold(first, 6).expect("the same");
        assert!(shared.hold(other, 5).is_none());
        drop(code);
        assert!(shared.hold(other, 5).is_none());
        drop(again);
        assert!(shared.hold(other, 5).is_some());
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
