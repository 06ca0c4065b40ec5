//! The connections that got no seat.

use std::collections::VecDeque;
use tokio::task::AbortHandle;

/// The most connections in the lobby.
pub(super) const LOBBY: usize = 256;

/// The connections that got no seat. The oldest makes room for a new one: a client that asks at once, as the
/// kubelet does, is answered however many others only sit there.
#[derive(Default)]
pub(super) struct Lobby(VecDeque<AbortHandle>);

impl Lobby {
    /// Lets one in.
    pub(super) fn admit(&mut self, connection: AbortHandle) {
        if self.0.len() >= LOBBY {
            self.0.retain(|connection| !connection.is_finished());
        }
        if self.0.len() >= LOBBY
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}
