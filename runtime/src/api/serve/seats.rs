//! How many connections there are at a time.

use crate::api::client::Client;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::AbortHandle;

/// The most connections at a time, beside those in the lobby.
pub(super) const SEATS: usize = 1024;
/// The most connections of one client at a time, beside those in the lobby.
pub(super) const SEATS_EACH: usize = 64;
/// The most connections in the lobby.
pub(super) const LOBBY: usize = 256;

/// The seats that are taken, by client.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    by_client: HashMap<Client, usize>,
}

/// A seat, free again when it is dropped.
pub(super) struct Seat {
    seats: Seats,
    client: Client,
}

impl Seats {
    /// Takes a seat; none if all are taken, or this client has its share.
    pub(super) fn take(&self, client: Client) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_client.get(&client).copied().unwrap_or_default();
        if taken.total >= SEATS || own >= SEATS_EACH {
            return None;
        }
        taken.total += 1;
        taken.by_client.insert(client, own + 1);
        Some(Seat { seats: self.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        Client::of(number.to_be_bytes().into())
    }

    #[test]
    fn a_client_has_its_share_and_leaves_seats_for_others() {
        let seats = Seats::default();
        let mut held: Vec<_> = (0..SEATS_EACH).map(|_| seats.take(client(1)).expect("a seat")).collect();
        assert!(seats.take(client(1)).is_none());
        assert!(seats.take(client(2)).is_some());
        held.pop();
        assert!(seats.take(client(1)).is_some());
    }

    #[test]
    fn there_are_only_so_many_seats_and_nothing_is_remembered_of_who_left() {
        let seats = Seats::default();
        let number = |index: usize| client((index / SEATS_EACH) as u32);
        let held: Vec<_> = (0..SEATS).map(|index| seats.take(number(index)).expect("a seat")).collect();
        assert!(seats.take(client(u32::MAX)).is_none());
        drop(held);
        assert!(seats.0.lock().expect("not poisoned").by_client.is_empty());
        assert!(seats.take(client(u32::MAX)).is_some());
    }
}
