//! Limits on what one store may hold.

use crate::{
    quota::Quota,
    usage::LimitHits,
    value::{Limit, Limits},
};
use std::sync::Arc;
use wasmtime::{ResourceLimiter, component::ResourceTableError};

/// The most linear memories of one store. The pool takes 4 GiB of address space for each.
pub(super) const MEMORIES: u32 = 1;
/// The size of a table's element in bytes: a pointer.
const ELEMENT: usize = size_of::<usize>();
/// The most bytes of random data in one call.
pub(super) const RANDOM_BYTES: u64 = 64 * 1024;

/// The words in wasmtime's errors for limits that have no error type of their own.
const WORDS: [(&str, Limit); 4] = [
    ("instance count too high", Limit::Instances),
    ("table count too high", Limit::Tables),
    ("handle limit exceeded", Limit::Handles),
    ("fuel allocated for hostcalls", Limit::HostCallBytes),
];

/// The most of a limit that any check may have, which the pool has memory for.
pub(super) fn most(limit: Limit) -> u32 {
    u32::try_from(*limit.range().end()).unwrap_or(u32::MAX)
}

/// The limit that an error of wasmtime is about; none if it is about something else.
pub(super) fn behind(error: &wasmtime::Error) -> Option<Limit> {
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(Limit::Handles);
    }
    let why = error.root_cause().to_string();
    WORDS.into_iter().find(|(words, _)| why.contains(words)).map(|(_, limit)| limit)
}

/// The limiter of one store: it limits the sum of all linear memories, the tables and the instances.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Arc<Limits>,
    hits: Arc<LimitHits>,
    shared: Option<Arc<Quota>>,
    held: usize,
    /// How many bytes the tables take.
    tables: usize,
    /// The size of the latest growth that was allowed, in bytes, as wasmtime may still fail to do it.
    latest: usize,
    refused: Option<Refused>,
}

/// What a guest was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The guest wanted more than its own limit.
    Own(Limit),
    /// The guest wanted more memory than the guests of its namespace may hold together, which is this many
    /// bytes.
    Together(usize),
}

impl Refused {
    /// The limit that the guest hit.
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Own(limit) => limit,
            Self::Together(_) => Limit::Memory,
        }
    }
}

impl Limiter {
    /// The limiter of a store that holds nothing yet. All that it will hold counts in `shared` as well.
    pub(super) fn new(limits: Arc<Limits>, hits: Arc<LimitHits>, shared: Option<Arc<Quota>>) -> Self {
        Self { limits, hits, shared, held: 0, tables: 0, latest: 0, refused: None }
    }

    /// How many bytes of linear memory the store holds.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Forgets that the guest was refused something in an earlier run, which it survived.
    pub(super) fn start_run(&mut self) {
        self.refused = None;
    }

    /// What the guest was refused last in this run: memory, or elements of a table.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn allow(&mut self, limit: Limit, wanted: usize) -> bool {
        wanted <= self.limits.count(limit) || self.refuse(Refused::Own(limit))
    }

    fn share(&mut self, more: usize) -> bool {
        match &self.shared {
            Some(shared) if !shared.take(more) => self.refuse(Refused::Together(shared.most())),
            _ => true,
        }
    }

    /// Whether the guest may grow something to `wanted`, which takes `more` bytes more.
    fn grow(&mut self, limit: Limit, wanted: usize, more: usize) -> bool {
        let fits = self.allow(limit, wanted) && self.share(more);
        if fits {
            self.latest = more;
        }
        fits
    }

    /// Gives back the latest growth, which was allowed and then failed. Returns its size in bytes.
    fn take_back(&mut self) -> usize {
        let nothing = std::mem::take(&mut self.latest);
        if let Some(shared) = &self.shared {
            shared.give_back(nothing);
        }
        nothing
    }

    fn refuse(&mut self, what: Refused) -> bool {
        self.refused = Some(what);
        self.hits.count(what.limit());
        false
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A memory that is declared smaller cannot grow that far, whatever the limits.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired - current;
        let fits = self.grow(Limit::Memory, self.held + more, more);
        self.held += if fits { more } else { 0 };
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!("a memory did not grow: {error:#}");
        self.held -= self.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = (desired - current) * ELEMENT;
        let fits = self.grow(Limit::TableElements, desired, more);
        self.tables += if fits { more } else { 0 };
        Ok(fits)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!("a table did not grow: {error:#}");
        self.tables -= self.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.count(Limit::Instances)
    }

    fn tables(&self) -> usize {
        self.limits.count(Limit::Tables)
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.give_back(self.held + self.tables);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limit: Limit, amount: u64) -> Limiter {
        let mut limits = Limits::default();
        limits.set(limit, amount).expect("in range");
        Limiter::new(Arc::new(limits), Arc::default(), None)
    }

    #[test]
    fn the_limit_holds_for_the_sum_of_all_memories() {
        const MIB: usize = 1 << 20;
        let mut limiter = limiter(Limit::Memory, 10 << 20);
        assert!(limiter.memory_growing(0, 6 * MIB, None).expect("no trap"));
        assert!(limiter.memory_growing(0, 4 * MIB, None).expect("no trap"));
        assert!(!limiter.memory_growing(6 * MIB, 6 * MIB + 1, None).expect("no trap"));
        assert_eq!((limiter.held(), limiter.refused()), (10 * MIB, Some(Refused::Own(Limit::Memory))));
        assert_eq!(limiter.hits.get(Limit::Memory), 1);
    }

    #[test]
    fn what_others_hold_is_not_there_until_they_are_gone() {
        let shared = Arc::new(Quota::new(10));
        let limiter = || Limiter::new(Arc::default(), Arc::default(), Some(Arc::clone(&shared)));
        let (mut first, mut second) = (limiter(), limiter());
        assert!(first.memory_growing(0, 7, None).expect("no trap"));
        assert!(!second.memory_growing(0, 4, None).expect("no trap"));
        assert_eq!((second.held(), second.refused()), (0, Some(Refused::Together(10))));
        assert_eq!(second.hits.get(Limit::Memory), 1);
        drop(first);
        assert!(second.memory_growing(0, 4, None).expect("no trap"));
    }

    #[test]
    fn memory_that_never_grew_is_not_held() {
        let shared = Arc::new(Quota::new(10));
        let mut limiter = Limiter::new(Arc::default(), Arc::default(), Some(Arc::clone(&shared)));
        assert!(limiter.memory_growing(0, 2, Some(5)).expect("no trap"));
        assert!(!limiter.memory_growing(2, 6, Some(5)).expect("no trap"), "more than it declares");
        assert_eq!((limiter.held(), limiter.refused(), limiter.hits.get(Limit::Memory)), (2, None, 0));
        assert!(limiter.memory_growing(2, 5, Some(5)).expect("no trap"));
        limiter.memory_grow_failed(wasmtime::Error::msg("no room")).expect("no trap");
        assert_eq!(limiter.held(), 2);
        assert!(shared.take(8) && !shared.take(1));
    }

    #[test]
    fn tables_count_with_the_memory_of_the_namespace() {
        let shared = Arc::new(Quota::new(10 * ELEMENT));
        let mut limiter = Limiter::new(Arc::default(), Arc::default(), Some(Arc::clone(&shared)));
        assert!(limiter.table_growing(0, 8, None).expect("no trap"));
        assert!(!limiter.table_growing(8, 11, None).expect("no trap"));
        assert_eq!((limiter.held(), limiter.hits.get(Limit::Memory)), (0, 1));
        assert!(limiter.table_growing(8, 10, None).expect("no trap"));
        limiter.table_grow_failed(wasmtime::Error::msg("no room")).expect("no trap");
        assert!(shared.take(2 * ELEMENT) && !shared.take(1));
        drop(limiter);
        assert!(shared.take(8 * ELEMENT));
    }

    #[test]
    fn a_table_cannot_outgrow_its_limit() {
        let mut limiter = limiter(Limit::TableElements, 7);
        assert!(limiter.table_growing(0, 7, None).expect("no trap"));
        assert!(!limiter.table_growing(0, 8, None).expect("no trap"));
        assert_eq!(limiter.hits.get(Limit::TableElements), 1);
    }
}
