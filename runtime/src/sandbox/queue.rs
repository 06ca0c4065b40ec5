//! Turns on the processors for the guests of tenants, so that those of one namespace hold up only each other.

use crate::{
    fair_semaphore::{FairPermit, FairSemaphore},
    manifest::Program,
};
use std::{sync::Arc, thread::available_parallelism};

/// The part of the processors that the guests of one namespace may have at once.
const SHARE: usize = 2;

/// Where one guest waits for a processor, each time that it has something to do.
pub(super) struct Queue {
    turns: FairSemaphore,
    program: Arc<Program>,
}

impl Queue {
    pub(super) fn new(turns: FairSemaphore, program: Arc<Program>) -> Self {
        Self { turns, program }
    }

    pub(super) async fn turn(&self) -> FairPermit {
        self.turns.take(self.program.namespace()).await
    }
}

/// As many turns as there are processors.
pub(super) fn processors() -> FairSemaphore {
    let all = available_parallelism().map_or(1, usize::from);
    FairSemaphore::new(all, (all / SHARE).max(1))
}
