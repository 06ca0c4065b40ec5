//! The memory of modules that did not compile, so that nothing is spent on them again and again.

use crate::value::Digest;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// How long a module is not tried after its first failure; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(10);
/// The longest time for which a module is not tried.
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// The most failures that are remembered. The one with the least time left to wait is forgotten first.
const MOST: usize = 1_024;

/// The modules that did not compile, by digest.
#[derive(Default)]
pub(super) struct Failures(HashMap<Digest, Failure>);

struct Failure {
    what: String,
    count: u32,
    until: Instant,
}

impl Failures {
    /// Why this module is not tried now; none if it may be.
    pub(super) fn get(&self, digest: &Digest, now: Instant) -> Option<String> {
        let failure = self.0.get(digest)?;
        let left = failure.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(format!("{}; not tried again for {} s", failure.what, left.as_secs().max(1)))
    }

    /// Remembers that this module failed, and why.
    pub(super) fn insert(&mut self, digest: Digest, what: String, now: Instant) {
        let count = self.0.get(&digest).map_or(0, |failure| failure.count) + 1;
        let rest = FIRST_REST.saturating_mul(1 << (count - 1).min(16)).min(LONGEST_REST);
        if self.0.len() >= MOST
            && let Some(first) =
                self.0.iter().min_by_key(|(_, failure)| failure.until).map(|(digest, _)| *digest)
        {
            self.0.remove(&first);
        }
        self.0.insert(digest, Failure { what, count, until: now + rest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_rests_twice_as_long_after_each_failure() {
        let (mut failures, digest) = (Failures::default(), Digest::of(b"bomb"));
        let mut now = Instant::now();
        for rest in [10, 20, 40] {
            failures.insert(digest, "is a bomb".to_owned(), now);
            let known = failures.get(&digest, now).expect("it rests");
            assert_eq!(known, format!("is a bomb; not tried again for {rest} s"));
            now += Duration::from_secs(rest);
            assert_eq!(failures.get(&digest, now), None);
        }
        assert_eq!(failures.get(&Digest::of(b"innocent"), now), None);
    }

    #[test]
    fn many_failures_are_forgotten_and_not_piled_up() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..MOST + 10 {
            let later = now + Duration::from_millis(u64::try_from(number).expect("few"));
            failures.insert(Digest::of(&number.to_le_bytes()), String::new(), later);
        }
        assert_eq!(failures.0.len(), MOST);
        assert!(failures.get(&Digest::of(&0_usize.to_le_bytes()), now).is_none());
    }
}
