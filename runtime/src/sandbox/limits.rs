//! What one Store may hold.

use wasmtime::ResourceLimiter;

/// Core instances in one Store, and so many places in the pool for each: a component is made of several.
pub(super) const INSTANCES: u32 = 32;
/// Linear memories in one Store, and places in the pool: each takes 4 GiB of address space.
pub(super) const MEMORIES: u32 = 1;
/// Tables in one Store, and places in the pool: the guest's own and that of its component's glue.
pub(super) const TABLES: u32 = 4;
/// Elements in one table, as many as a slot of the pool holds.
pub(super) const TABLE_ELEMENTS: usize = 20_000;
/// Bytes that a guest may hand to the host in one call.
pub(super) const HOST_CALL_BYTES: usize = 8 * 1024 * 1024;
/// Resource handles that a guest may hold.
pub(super) const HANDLES: usize = 1_000;
/// Bytes of random data in one call.
pub(super) const RANDOM_BYTES: u64 = 64 * 1024;

/// Limits the sum of all linear memories of a Store, and the tables.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    limit: usize,
    held: usize,
    refused: bool,
}

impl MemoryLimiter {
    /// Nothing held yet, at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: 0, refused: false }
    }

    /// Bytes of linear memory held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Forgets that the guest was refused memory: it lived on.
    pub(super) fn start_run(&mut self) {
        self.refused = false;
    }

    /// Whether the guest was refused memory in this run.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// The most bytes of linear memory.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let held = self.held - current + desired;
        if held > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.held = held;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_the_sum_of_all_memories() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).expect("no trap"));
        assert!(limiter.memory_growing(0, 40, None).expect("no trap"));
        assert!(!limiter.memory_growing(60, 61, None).expect("no trap"));
        assert_eq!((limiter.held(), limiter.refused()), (100, true));
    }

    #[test]
    fn a_table_cannot_outgrow_its_slot() {
        let mut limiter = MemoryLimiter::new(0);
        assert!(limiter.table_growing(0, TABLE_ELEMENTS, None).expect("no trap"));
        assert!(!limiter.table_growing(0, TABLE_ELEMENTS + 1, None).expect("no trap"));
    }
}
