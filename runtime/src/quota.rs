//! Quotas: how many bytes of something the checks of one namespace may hold together.

use crate::value::Size;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// How many bytes of something the checks of one namespace hold, and how many they may hold.
#[derive(Debug)]
pub(crate) struct Quota {
    most: usize,
    held: AtomicUsize,
}

/// A number of bytes taken from a [`Quota`]. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: Arc<Quota>,
    bytes: usize,
}

/// The [`Quota`] of each namespace, while something of that namespace uses it.
#[derive(Debug, Default)]
pub(crate) struct NamespaceQuotas(Mutex<HashMap<String, Weak<Quota>>>);

impl NamespaceQuotas {
    /// The quota that all of this namespace share; the first call sets it to `most`.
    pub(crate) fn of(&self, namespace: &str, most: Size) -> Arc<Quota> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = known.get(namespace).and_then(Weak::upgrade) {
            return quota;
        }
        known.retain(|_, quota| quota.strong_count() > 0);
        let quota = Arc::new(Quota::new(most.in_memory()));
        known.insert(namespace.to_owned(), Arc::downgrade(&quota));
        quota
    }
}

impl Quota {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// The most bytes that the namespace may hold.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Takes `bytes` from the quota; false, and nothing is taken, if they are not there.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fitting = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.most);
        self.held.fetch_update(Relaxed, Relaxed, fitting).is_ok()
    }

    /// Takes `bytes` from the quota until the [`Reservation`] is dropped; none if they are not there.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.take(bytes).then(|| Reservation { quota: Arc::clone(self), bytes })
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use crate::quota::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_comes_back_is_there_again() {
        let quota = Quota::new(10);
        assert!(quota.take(6) && !quota.take(5) && quota.take(4) && !quota.take(1));
        quota.give_back(4);
        assert!(!quota.take(usize::MAX) && quota.take(3));
    }

    #[test]
    fn what_is_lent_comes_back_by_itself() {
        let quota = Arc::new(Quota::new(10));
        let reservation = quota.lend(6).expect("room");
        assert!(quota.lend(5).is_none());
        drop(reservation);
        assert!(quota.lend(10).is_some());
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
