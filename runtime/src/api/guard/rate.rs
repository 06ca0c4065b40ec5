//! The rate limit on the requests of each client.

use crate::{api::client::Client, settings::Rate};
use governor::{RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::HashMapStateStore};
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};
use tokio::time::Instant;

/// Counts the requests of clients in 65,536 cells, by a hash with a random key. So the memory is bounded, and
/// no client can choose with whom to share a cell.
pub(super) struct RateLimit {
    limiter: RateLimiter<u16, HashMapStateStore<u16>, Uptime, NoOpMiddleware<Duration>>,
    accounts: RandomState,
    clock: Uptime,
}

/// A clock for rate limits, which tells the time since it was made.
#[derive(Clone, Copy)]
struct Uptime(Instant);

impl RateLimit {
    /// A limit of `rate` for each client, of which nothing was used yet.
    pub(super) fn new(rate: Rate) -> Self {
        let clock = Uptime(Instant::now());
        let limiter = RateLimiter::hashmap_with_clock(rate.quota(), clock);
        Self { limiter, accounts: RandomState::new(), clock }
    }

    /// Counts a request of a client. Returns how long to wait if it is one too many; none if it is allowed.
    pub(super) fn exceeded(&self, client: Client) -> Option<Duration> {
        let account = self.accounts.hash_one(client) as u16;
        let refused = self.limiter.check_key(&account).err()?;
        Some(refused.wait_time_from(self.clock.now()))
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn client(text: &str) -> Client {
        Client::of(text.parse().expect("an address"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_may_be_used_at_once_and_grows_back_evenly() {
        let limit = RateLimit::new("3-M".parse().expect("a rate"));
        let (one, other) = (client("10.0.0.1"), client("10.0.0.2"));
        for _ in 0..3 {
            assert_eq!(limit.exceeded(one), None);
        }
        assert_eq!(limit.exceeded(one), Some(Duration::from_secs(20)));
        assert_eq!(limit.exceeded(other), None);
        advance(Duration::from_secs(20)).await;
        assert_eq!(limit.exceeded(one), None);
        assert_eq!(limit.exceeded(one), Some(Duration::from_secs(20)));
    }

    #[tokio::test]
    async fn accounts_are_bounded_however_many_clients_there_are() {
        let limit = RateLimit::new("1-D".parse().expect("a rate"));
        for number in 0..200_000_u32 {
            limit.exceeded(Client::of(number.to_be_bytes().into()));
        }
        assert!(limit.limiter.len() <= 65_536);
    }
}
