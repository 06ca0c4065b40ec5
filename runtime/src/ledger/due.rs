//! The choice of which check is swept next, and when.

use super::{AFTERMATH, ANEW, LATE, SOON};
use crate::value::Key;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;

/// The most sweeps of one namespace at the same time.
const OF_ONE_NAMESPACE: usize = 3;

/// When a check is swept next.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) at: Instant,
    /// How many sweeps in a row have left something.
    tries: u32,
    /// Whether the latest sweep left nothing.
    pub(super) was_clean: bool,
}

impl Due {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), tries: 0, was_clean: false }
    }

    /// Whether the latest sweep left something.
    pub(super) fn is_in_vain(&self) -> bool {
        self.tries > 0
    }

    /// When to sweep after a round has ended: at once. If sweeps are in vain it is a little later, however
    /// short rounds are.
    pub(super) fn after_a_round(self) -> Self {
        let now = Instant::now();
        match self.is_in_vain() {
            true => Self { at: self.at.min(now + ANEW), ..self },
            false => Self::now(),
        }
    }

    /// When to sweep after a sweep that left this many objects.
    pub(super) fn after(self, left: usize) -> Self {
        let now = Instant::now();
        match left {
            0 => Self { at: now + AFTERMATH, tries: 0, was_clean: true },
            _ => Self { at: now + pause(self.tries), tries: self.tries + 1, was_clean: false },
        }
    }

    /// Puts the sweep off until `pause` is over, but no longer than [`LATE`].
    pub(super) fn no_sooner_than(self, pause: Duration) -> Self {
        Self { at: self.at.max(Instant::now() + pause.min(LATE)), ..self }
    }
}

/// The check to sweep next: of the namespaces with the fewest sweeps under way, the one that waits longest.
pub(super) fn next(due: &BTreeMap<Key, Due>, swept: &BTreeSet<Key>) -> Option<Key> {
    let now = Instant::now();
    let mut under_way: HashMap<&str, usize> = HashMap::new();
    for key in swept {
        *under_way.entry(key.namespace()).or_default() += 1;
    }
    let under_way = |key: &Key| under_way.get(key.namespace()).copied().unwrap_or_default();
    due.iter()
        .filter(|(key, due)| due.at <= now && under_way(key) < OF_ONE_NAMESPACE && !swept.contains(*key))
        .min_by_key(|(key, due)| (under_way(key), due.at))
        .map(|(key, _)| key.clone())
}

pub(super) fn pause(tries: u32) -> Duration {
    (SOON * 2_u32.saturating_pow(tries.min(10))).min(LATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().expect("a key")
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_is_next_and_no_namespace_keeps_the_others_waiting() {
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(9)).await;
        let waiting = ["busy/a", "busy/b", "busy/c", "busy/d", "quiet/z", "quiet/y"];
        let mut due: BTreeMap<Key, Due> = BTreeMap::new();
        for (text, second) in waiting.into_iter().zip([2, 1, 3, 4, 6, 5]) {
            due.insert(key(text), Due { at: start + Duration::from_secs(second), ..Due::now() });
        }
        due.insert(key("late/x"), Due { at: start + Duration::from_secs(60), ..Due::now() });
        let (mut swept, mut order) = (BTreeSet::new(), Vec::new());
        while let Some(next) = next(&due, &swept) {
            due.remove(&next);
            order.push(next.to_string());
            swept.insert(next);
        }
        assert_eq!(order, ["busy/b", "quiet/y", "busy/a", "quiet/z", "busy/c"], "one of busy waits");
    }

    #[tokio::test]
    async fn a_check_is_not_swept_twice_at_once() {
        let due = BTreeMap::from([(key("a/b"), Due::now())]);
        assert!(next(&due, &BTreeSet::from([key("a/b")])).is_none());
        assert!(next(&due, &BTreeSet::new()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_ends_is_swept_soon_and_no_number_of_them_puts_that_off() {
        let in_vain = (0..9).fold(Due::now(), |due, _| due.after(1));
        let hurried = in_vain.after_a_round();
        assert_eq!(hurried.at - Instant::now(), ANEW);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(hurried.after_a_round().at, hurried.at);
        assert_eq!(hurried.after(1).at - Instant::now(), LATE, "its pauses go on");
        assert_eq!(Due::now().after(0).after_a_round().at, Instant::now(), "nothing was in vain");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_help_is_tried_more_and_more_rarely() {
        let mut due = Due::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            due = due.after(1);
            pauses.push((due.at - Instant::now()).as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
    }
}
