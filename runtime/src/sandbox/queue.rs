//! Queues for the processors, so that tenants' guests of one namespace hold up only each other.

use crate::{
    fair_semaphore::{FairPermit, FairSemaphore},
    manifest::Program,
};
use std::{sync::Arc, thread::available_parallelism};

/// The guests of one namespace may have one part in this many of the processors at once.
const SHARE: usize = 2;

/// The queue in which one guest waits for a processor, each time that it has something to do.
pub(super) struct Queue {
    processors: FairSemaphore,
    program: Arc<Program>,
}

impl Queue {
    pub(super) fn new(processors: FairSemaphore, program: Arc<Program>) -> Self {
        Self { processors, program }
    }

    pub(super) async fn turn(&self) -> FairPermit {
        self.processors.take(self.program.namespace()).await
    }
}

/// A semaphore with as many permits as there are processors.
pub(super) fn processors() -> FairSemaphore {
    let all = available_parallelism().map_or(1, usize::from);
    FairSemaphore::new(all, (all / SHARE).max(1))
}
