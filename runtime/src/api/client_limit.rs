//! A limit of things that may be in use at once, in all and for each client.

use super::client::Client;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A limited number of permits, of which each client may hold a share.
#[derive(Clone)]
pub(super) struct ClientLimit {
    most: usize,
    of_each: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_client: HashMap<Client, usize>,
}

/// A permit, free again when it is dropped.
pub(super) struct ClientPermit {
    permits: ClientLimit,
    client: Option<Client>,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All permits are taken.
    All,
    /// The client holds its whole share already.
    Share,
}

impl ClientLimit {
    /// A limit of `most` permits in all, and of `of_each` for each client.
    pub(super) fn new(most: usize, of_each: usize) -> Self {
        Self { most, of_each, taken: Arc::default() }
    }

    /// Takes a permit for this client; without a client, a permit that counts in no share. An error if none
    /// is left, or the client holds its share.
    pub(super) fn take(&self, client: Option<Client>) -> Result<ClientPermit, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |client| taken.by_client.get(&client).copied().unwrap_or_default();
        let own = client.map(|client| (client, own(client)));
        if own.is_some_and(|(_, own)| own >= self.of_each) {
            return Err(Full::Share);
        }
        if taken.total >= self.most {
            return Err(Full::All);
        }
        taken.total += 1;
        taken.by_client.extend(own.map(|(client, own)| (client, own + 1)));
        Ok(ClientPermit { permits: self.clone(), client })
    }
}

impl ClientPermit {
    /// The client that holds the permit; none if it counts in no share.
    pub(super) fn client(&self) -> Option<Client> {
        self.client
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut taken = self.permits.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(client) = self.client
            && let Some(own) = taken.by_client.get_mut(&client)
        {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Option<Client> {
        Some(Client::of(number.to_be_bytes().into()))
    }

    #[test]
    fn a_client_has_its_share_and_leaves_seats_for_others() {
        let permits = ClientLimit::new(3, 2);
        let mut held: Vec<_> = (0..2).map(|_| permits.take(client(1)).expect("a permit")).collect();
        assert_eq!(permits.take(client(1)).err(), Some(Full::Share));
        assert!(permits.take(client(2)).is_ok());
        held.pop();
        assert!(permits.take(client(1)).is_ok());
    }

    #[test]
    fn there_are_only_so_many_seats_and_nothing_is_remembered_of_who_left() {
        let permits = ClientLimit::new(3, 2);
        let held: Vec<_> = (0..3).map(|number| permits.take(client(number)).expect("a permit")).collect();
        assert_eq!(permits.take(client(3)).err(), Some(Full::All));
        assert_eq!(permits.take(None).err(), Some(Full::All));
        drop(held);
        assert!(permits.taken.lock().expect("not poisoned").by_client.is_empty());
        assert!(permits.take(client(3)).is_ok());
    }
}
