//! Bytes of answers on their way to a guest, which count in the memory of its namespace.

use crate::{quota::Quota, usage::LimitHits, value::Limit};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The bytes of answers from other machines that are on their way to one guest.
pub(crate) struct InFlightBytes {
    /// The memory quota of the namespace; none where there is no limit.
    shared: Option<Arc<Quota>>,
    hits: Arc<LimitHits>,
    held: AtomicUsize,
}

/// The namespace's memory has no space for an answer. The number is its quota in bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "the guests of this namespace hold all of the memory that they may have together, {} MiB; `memory` in the \
     rule of the policy raises that", .0 >> 20
)]
pub(crate) struct Crowded(usize);

impl InFlightBytes {
    /// The state with no bytes on their way, which will count in `shared`.
    pub(crate) fn new(shared: Option<Arc<Quota>>, hits: Arc<LimitHits>) -> Self {
        Self { shared, hits, held: AtomicUsize::new(0) }
    }

    /// The state with no bytes on their way, which will count in the same quota.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.shared.clone(), Arc::clone(&self.hits))
    }

    /// Reserves `bytes` more bytes until [`Self::clear`], or refuses them.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Crowded> {
        let Some(shared) = &self.shared else { return Ok(()) };
        if !shared.take(bytes) {
            self.hits.count(Limit::Memory);
            return Err(Crowded(shared.most()));
        }
        self.held.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Gives all bytes back, as the guest has its answers.
    pub(crate) fn clear(&mut self) {
        let held = std::mem::take(self.held.get_mut());
        if let Some(shared) = &self.shared {
            shared.give_back(held);
        }
    }
}

impl Drop for InFlightBytes {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_room_from_all_guests_of_the_namespace_until_they_have_arrived() {
        let shared = Arc::new(Quota::new(10));
        let in_flight = || InFlightBytes::new(Some(Arc::clone(&shared)), Arc::default());
        let (mut first, second) = (in_flight(), in_flight());
        first.hold(4).expect("room");
        first.hold(3).expect("room");
        second.hold(4).expect_err("no room");
        assert_eq!(second.hits.get(Limit::Memory), 1);
        first.clear();
        second.hold(10).expect("room");
        drop(second);
        first.hold(10).expect("room");
    }
}
