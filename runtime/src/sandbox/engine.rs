//! The one engine of the process, and the clock that interrupts its guests.

use super::limits::{MEMORIES, most};
use crate::value::Limit;
use std::{fs, time::Duration};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often a running guest gives way to others.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How many memory mappings one live guest takes: four for its memory, and its stack with a guard page.
const MAPPINGS_PER_GUEST: u32 = 6;
/// How many memory mappings everything else in the process takes, generously.
const OTHER_MAPPINGS: u32 = 1_000;
/// The file in which Linux says how many mappings a process may have.
const MAPPINGS_LIMIT: &str = "/proc/sys/vm/max_map_count";

/// The most bytes of host data for one guest: tables of functions, imports and globals.
/// The interpreters of JavaScript and Python take a part of it.
const INSTANCE_DATA: usize = 512 << 10;
/// How many more guests the pool has memory for than there are checks: for new versions that are tried beside
/// the old ones.
const SPARE: u32 = 64;

/// Builds the engine for `guests` live guests.
///
/// The pool makes instantiating fast and 10,000 live guests possible, but takes 4 GiB of address space for
/// each. Where the machine has not that much, guests are allocated one by one.
pub(super) fn build(guests: u32) -> wasmtime::Result<Engine> {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(guests)));
    let engine = match Engine::new(&config) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(
                "no address space for a pool of {guests} guests ({error:#}); allocating them one by \
                 one, which is good for a few thousand; a smaller --max-checks makes the pool smaller"
            );
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)?
        }
    };
    warn_of_few_mappings(guests);
    start_ticking(&engine)?;
    Ok(engine)
}

/// Warns if the system allows too few mappings. Beyond the limit guests cannot be made live, and nothing else
/// says why.
fn warn_of_few_mappings(guests: u32) {
    let Ok(limit) = fs::read_to_string(MAPPINGS_LIMIT) else { return };
    let needed = guests.saturating_mul(MAPPINGS_PER_GUEST).saturating_add(OTHER_MAPPINGS);
    if limit.trim().parse().is_ok_and(|limit: u32| limit < needed) {
        tracing::warn!(
            "this machine allows a process {} memory mappings, and {guests} live checks need {needed}; \
             set the sysctl vm.max_map_count to that, or choose a smaller --max-checks",
            limit.trim()
        );
    }
}

/// Builds an engine that only compiles, for the engines of [`build`]. It has no pool, as address space is
/// limited there.
pub(super) fn for_compiling() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// The configuration that decides what compiled code looks like.
fn config() -> Config {
    let mut config = Config::new();
    config
        // Otherwise a few bytes of data that lie far apart become code of up to 16 MiB.
        .memory_guaranteed_dense_image_size(1 << 20)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_custom_page_sizes(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false);
    config
}

/// The configuration of the pool. Every guest can have the most that any limit allows, so that none takes
/// what is another's.
fn pool(guests: u32) -> PoolingAllocationConfig {
    let guests = guests.saturating_add(SPARE);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(guests)
        .total_core_instances(guests.saturating_mul(most(Limit::Instances)))
        .total_memories(guests.saturating_mul(MEMORIES))
        .total_tables(guests.saturating_mul(most(Limit::Tables)))
        .total_stacks(guests)
        .table_elements(most(Limit::TableElements) as usize)
        .max_component_instance_size(INSTANCE_DATA)
        .max_core_instance_size(INSTANCE_DATA)
        // A component of more instances is refused when it is loaded, and not each time it should start.
        .max_core_instances_per_component(most(Limit::Instances));
    pool
}

/// Starts the thread that counts the epochs. It ends by itself once the last engine is gone.
fn start_ticking(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("epoch".into()).spawn(tick)?;
    Ok(())
}
