//! What the checks of one namespace may hold together.

use crate::value::Size;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What the checks of one namespace hold of something, and may hold, in bytes.
#[derive(Debug)]
pub(crate) struct Quota {
    most: usize,
    held: AtomicUsize,
}

/// A part of what is shared, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    shared: Arc<Quota>,
    bytes: usize,
}

/// That of each namespace in which there is somebody to hold it.
#[derive(Debug, Default)]
pub(crate) struct NamespaceQuotas(Mutex<HashMap<String, Weak<Quota>>>);

impl NamespaceQuotas {
    /// What those of this namespace share, who may hold so much of it.
    pub(crate) fn of(&self, namespace: &str, most: Size) -> Arc<Quota> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.get(namespace).and_then(Weak::upgrade) {
            return shared;
        }
        known.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Quota::new(most.in_memory()));
        known.insert(namespace.to_owned(), Arc::downgrade(&shared));
        shared
    }
}

impl Quota {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// How much they may hold.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Takes so much of it, if it is there.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fitting = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Relaxed, Relaxed, fitting).is_ok()
    }

    /// Lends so much of it, if it is there.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.take(bytes).then(|| Reservation { shared: Arc::clone(self), bytes })
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use crate::quota::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_comes_back_is_there_again() {
        let shared = Quota::new(10);
        assert!(shared.take(6) && !shared.take(5) && shared.take(4) && !shared.take(1));
        shared.give_back(4);
        assert!(!shared.take(usize::MAX) && shared.take(3));
    }

    #[test]
    fn what_is_lent_comes_back_by_itself() {
        let shared = Arc::new(Quota::new(10));
        let loan = shared.lend(6).expect("room");
        assert!(shared.lend(5).is_none());
        drop(loan);
        assert!(shared.lend(10).is_some());
    }

    #[test]
    fn checks_share_with_their_namespace_only_and_not_after_all_of_them_are_gone() {
        let namespaces = NamespaceQuotas::default();
        let of = |namespace| namespaces.of(namespace, Size::mebibytes(1));
        let (first, second, other) = (of("a"), of("a"), of("b"));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        assert!(first.take(first.most()));
        drop((first, second));
        let later = of("a");
        assert!(later.take(later.most()), "nothing is held");
    }
}
