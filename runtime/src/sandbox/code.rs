//! The compiled code of modules, which counts in the memory of a namespace.

use crate::{
    quota::{Quota, Reservation},
    value::Digest,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The reservation for the code of each module in each namespace. All checks of the namespace with that
/// module share it.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<(String, Digest), Weak<Reservation>>>);

impl Codes {
    /// Reserves `bytes` for the code of a module in the quota of its namespace. Checks with the same code
    /// share the reservation. None if the quota has not that much left.
    pub(super) fn hold(
        &self,
        namespace: &str,
        shared: &Arc<Quota>,
        digest: Digest,
        bytes: usize,
    ) -> Option<Arc<Reservation>> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (namespace.to_owned(), digest);
        if let Some(code) = codes.get(&place).and_then(Weak::upgrade) {
            return Some(code);
        }
        codes.retain(|_, code| code.strong_count() > 0);
        let code = Arc::new(shared.lend(bytes)?);
        codes.insert(place, Arc::downgrade(&code));
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_module_counts_once_and_until_the_last_check_with_it_is_gone() {
        let (codes, shared) = (Codes::default(), Arc::new(Quota::new(10)));
        let hold = |digest: &[u8], bytes| codes.hold("a", &shared, Digest::of(digest), bytes);
        let code = hold(b"first", 6).expect("room");
        let again = hold(b"first", 6).expect("the same");
        assert!(hold(b"other", 5).is_none());
        drop(code);
        assert!(hold(b"other", 5).is_none());
        drop(again);
        assert!(hold(b"other", 5).is_some());
    }
}
