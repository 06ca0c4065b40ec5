//! How many requests a client may make.

use crate::api::client::Client;
use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::HashMapStateStore,
};
use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    str::FromStr,
    time::Duration,
};
use tokio::time::Instant;

/// So many requests in such a time, as in `3600-H`. They may come all at once; then they grow back evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Quota);

/// Why a text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a count from 1 up and one of S, M, H, D (second to day), as in `3600-H`")]
pub struct RateError;

/// Counts what clients ask for. Each has one of 65,536 accounts, by a hash that nobody can foresee: however
/// many there are, no more than that is kept, and nobody can choose whose account to share.
pub(super) struct Limit {
    limiter: RateLimiter<u16, HashMapStateStore<u16>, Uptime, NoOpMiddleware<Duration>>,
    accounts: RandomState,
    clock: Uptime,
}

/// Tells the time since it was made.
#[derive(Clone, Copy)]
struct Uptime(Instant);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.split_once('-').ok_or(RateError)?;
        let period = match unit {
            "S" | "s" => 1,
            "M" | "m" => 60,
            "H" | "h" => 3600,
            "D" | "d" => 86_400,
            _ => return Err(RateError),
        };
        let count: NonZeroU32 = count.parse().map_err(|_| RateError)?;
        let each = Duration::from_secs(period) / count.get();
        Quota::with_period(each).map(|quota| Self(quota.allow_burst(count))).ok_or(RateError)
    }
}

impl Limit {
    /// Nobody has asked for anything yet.
    pub(super) fn new(Rate(quota): Rate) -> Self {
        let clock = Uptime(Instant::now());
        let limiter = RateLimiter::hashmap_with_clock(quota, clock);
        Self { limiter, accounts: RandomState::new(), clock }
    }

    /// Counts a request; if it is one too many, how long to wait.
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

    #[test]
    fn a_rate_is_a_count_and_a_unit() {
        for text in ["3600-H", "1-S", "10-m", "5-D"] {
            assert!(text.parse::<Rate>().is_ok(), "{text}");
        }
        for text in
            ["", "3600", "3600H", "0-H", "-1-H", "1-W", "1-", "-H", "4294967295-S", "4294967296-D", "1.5-S"]
        {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_may_be_used_at_once_and_grows_back_evenly() {
        let limit = Limit::new("3-M".parse().expect("a rate"));
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
        let limit = Limit::new("1-D".parse().expect("a rate"));
        for number in 0..200_000_u32 {
            limit.exceeded(Client::of(number.to_be_bytes().into()));
        }
        assert!(limit.limiter.len() <= 65_536);
    }
}
