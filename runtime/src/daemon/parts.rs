//! The parts of the daemon, which are its tasks.

use std::{collections::HashMap, future::pending};
use tokio::task::{Id, JoinError, JoinSet};

/// Tasks that run until they are told to stop. A task that ends before has broken down, and without it the
/// daemon would only look well.
#[derive(Default)]
pub(super) struct Parts {
    /// The running tasks, each of which returns whether it ended clean.
    tasks: JoinSet<bool>,
    names: HashMap<Id, &'static str>,
}

/// The error about a part that ended although nothing had told it to stop.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} broke down ({how}), which is a bug of Aviary: report it with the log; whoever started the daemon has to start it again"
)]
pub(super) struct BrokenPart {
    name: &'static str,
    how: String,
}

impl Parts {
    /// Starts a part under the name that an error shows, such as `the HTTP server`.
    pub(super) fn start(&mut self, name: &'static str, part: impl Future<Output = bool> + Send + 'static) {
        self.names.insert(self.tasks.spawn(part).id(), name);
    }

    /// Waits until a part ends, which none does before it is told to.
    pub(super) async fn broken(&mut self) -> BrokenPart {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, _))) => self.blame(id, "it ended by itself".to_owned()),
            Some(Err(panic)) => self.blame(panic.id(), panic.to_string()),
            None => pending().await,
        }
    }

    /// Waits until all parts have ended, after they were told to. True if each ended clean.
    pub(super) async fn end(&mut self) -> bool {
        let mut clean = true;
        while let Some(ended) = self.tasks.join_next_with_id().await {
            clean &= ended.map_or_else(|panic| self.tell(&panic), |(_, clean)| clean);
        }
        clean
    }

    fn tell(&self, panic: &JoinError) -> bool {
        tracing::error!("{}", self.blame(panic.id(), panic.to_string()));
        false
    }

    fn blame(&self, id: Id, how: String) -> BrokenPart {
        BrokenPart { name: self.names.get(&id).copied().unwrap_or("a task"), how }
    }
}
