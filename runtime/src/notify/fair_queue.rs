//! Events that wait to be written, at a bounded rate.

use crate::value::ConfigMapName;
use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::HashMapStateStore},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    num::NonZeroU32,
    time::Duration,
};
use tokio::time::Instant;

/// The rate of events for one ConfigMap: ten at once, then two in a minute.
const OF_ONE: Quota = Quota::per_minute(positive(2)).allow_burst(positive(10));
/// The rate of all events together: fifty at once, then two in a second.
const OF_ALL: Quota = Quota::per_second(positive(2)).allow_burst(positive(50));
/// The most events that wait: for one ConfigMap, for one namespace, and in all.
const MOST_OF_ONE: usize = 100;
const MOST_OF_NAMESPACE: usize = 200;
const MOST: usize = 5_000;

/// What an event is about. Of several waiting events of one topic only the latest is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) place: ConfigMapName,
    pub(super) about: String,
}

/// Waiting events, one for each topic. Namespaces are served in turn, and within a namespace its ConfigMaps,
/// so that none waits for all events of another.
pub(super) struct FairQueue<T> {
    waiting: BTreeMap<ConfigMapName, VecDeque<(String, T)>>,
    /// The number of waiting events.
    count: usize,
    /// The ConfigMaps with a waiting event whose rate allows none now, by the time at which it does.
    resting: BTreeSet<(Duration, ConfigMapName)>,
    /// The ConfigMaps to which an event may be written now, by namespace, in the order in which they are
    /// served. Their next event counts in their rate already.
    ready: HashMap<String, VecDeque<ConfigMapName>>,
    turns: VecDeque<String>,
    all: RateLimiter<NotKeyed, InMemoryState, Uptime, NoOpMiddleware<Duration>>,
    each: RateLimiter<ConfigMapName, HashMapStateStore<ConfigMapName>, Uptime, NoOpMiddleware<Duration>>,
}

/// A clock for rate limits. It tells the time since it was made by tokio's clock, which tests can set.
#[derive(Clone, Copy)]
struct Uptime(Instant);

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        let clock = Uptime(Instant::now());
        Self {
            waiting: BTreeMap::new(),
            count: 0,
            resting: BTreeSet::new(),
            ready: HashMap::new(),
            turns: VecDeque::new(),
            all: RateLimiter::direct_with_clock(OF_ALL, clock),
            each: RateLimiter::hashmap_with_clock(OF_ONE, clock),
        }
    }
}

impl<T> FairQueue<T> {
    /// Adds an event. It replaces an earlier event of its topic. The event is dropped if too many wait.
    pub(super) fn put(&mut self, topic: Topic, event: T) {
        let Topic { place, about } = topic;
        if let Some(earlier) = self.earlier(&place, &about) {
            *earlier = event;
        } else if self.has_room(&place) {
            self.add(&place, |events| events.push_back((about, event)));
        }
    }

    /// Adds an event again that could not be written, unless a later event of its topic waits.
    pub(super) fn put_back(&mut self, topic: Topic, event: T) {
        let Topic { place, about } = topic;
        if self.earlier(&place, &about).is_none() {
            self.add(&place, |events| events.push_front((about, event)));
        }
    }

    /// Takes the next event that may be written now. Otherwise returns how long to wait for one; none if no
    /// event waits.
    pub(super) fn take(&mut self) -> Result<(Topic, T), Option<Duration>> {
        let now = self.all.clock().now();
        self.each.retain_recent();
        self.wake(now);
        let Some(namespace) = self.turns.front() else {
            return Err(self.resting.first().map(|(at, _)| at.saturating_sub(now)));
        };
        self.all.check().map_err(|until| Some(until.wait_time_from(now)))?;
        let place = self.ready.get_mut(namespace).and_then(VecDeque::pop_front).ok_or(None)?;
        self.pass_on();
        let events = self.waiting.get_mut(&place).ok_or(None)?;
        let (about, event) = events.pop_front().ok_or(None)?;
        let is_last = events.is_empty();
        self.count -= 1;
        if is_last {
            self.waiting.remove(&place);
        } else {
            self.line_up(place.clone());
        }
        Ok((Topic { place, about }, event))
    }

    /// Drops all waiting events about a ConfigMap.
    pub(super) fn forget(&mut self, place: &ConfigMapName) {
        let Some(events) = self.waiting.remove(place) else { return };
        self.count -= events.len();
        self.resting.retain(|(_, other)| other != place);
        if let Some(ready) = self.ready.get_mut(&place.namespace) {
            ready.retain(|other| other != place);
            if ready.is_empty() {
                self.ready.remove(&place.namespace);
                self.turns.retain(|namespace| *namespace != place.namespace);
            }
        }
    }

    fn earlier(&mut self, place: &ConfigMapName, about: &str) -> Option<&mut T> {
        let mut events = self.waiting.get_mut(place)?.iter_mut();
        events.find(|(other, _)| other == about).map(|(_, event)| event)
    }

    fn has_room(&self, place: &ConfigMapName) -> bool {
        let of_one = self.waiting.get(place).map_or(0, VecDeque::len);
        let first = ConfigMapName { namespace: place.namespace.clone(), name: String::new() };
        let neighbours =
            self.waiting.range(first..).take_while(|(other, _)| other.namespace == place.namespace);
        let of_namespace: usize = neighbours.map(|(_, events)| events.len()).sum();
        of_one < MOST_OF_ONE && of_namespace < MOST_OF_NAMESPACE && self.count < MOST
    }

    fn add(&mut self, place: &ConfigMapName, add: impl FnOnce(&mut VecDeque<(String, T)>)) {
        let events = self.waiting.entry(place.clone()).or_default();
        let is_first = events.is_empty();
        add(events);
        self.count += 1;
        if is_first {
            self.line_up(place.clone());
        }
    }

    /// Puts a ConfigMap with a waiting event in line, or among those whose rate allows no event now.
    fn line_up(&mut self, place: ConfigMapName) {
        if let Err(until) = self.each.check_key(&place) {
            self.resting.insert((until.earliest_possible(), place));
            return;
        }
        let ready = self.ready.entry(place.namespace.clone()).or_default();
        if ready.is_empty() {
            self.turns.push_back(place.namespace.clone());
        }
        ready.push_back(place);
    }

    /// Puts the ConfigMaps in line whose rate allows an event again.
    fn wake(&mut self, now: Duration) {
        while self.resting.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, place)) = self.resting.pop_first() else { return };
            self.line_up(place);
        }
    }

    /// Moves on to the next namespace.
    fn pass_on(&mut self) {
        let Some(namespace) = self.turns.pop_front() else { return };
        if self.ready.get(&namespace).is_none_or(VecDeque::is_empty) {
            self.ready.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
    }
}

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

const fn positive(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("more than none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn topic(place: &str, about: usize) -> Topic {
        topic_in("team-a", place, about)
    }

    fn topic_in(namespace: &str, place: &str, about: usize) -> Topic {
        let place = ConfigMapName { namespace: namespace.to_owned(), name: place.to_owned() };
        Topic { place, about: about.to_string() }
    }

    /// Takes all events that may be written now. Also returns how long the next event has to wait.
    fn drain(queue: &mut FairQueue<usize>) -> (Vec<usize>, Option<Duration>) {
        let mut taken = Vec::new();
        loop {
            match queue.take() {
                Ok((_, event)) => taken.push(event),
                Err(pause) => return (taken, pause),
            }
        }
    }

    #[test]
    fn only_the_latest_of_a_topic_is_written() {
        let mut queue = FairQueue::default();
        queue.put(topic("one", 1), 1);
        queue.put(topic("one", 2), 2);
        queue.put(topic("one", 1), 3);
        queue.put_back(topic("one", 2), 9);
        assert_eq!(drain(&mut queue), (vec![3, 2], None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_configmap_that_has_much_to_say_waits_and_others_do_not() {
        let mut queue = FairQueue::default();
        for number in 0..12 {
            queue.put(topic("loud", number), number);
        }
        queue.put(topic("quiet", 0), 99);
        let (taken, next) = drain(&mut queue);
        assert_eq!((taken.len(), next), (11, Some(Duration::from_secs(30))));
        assert_eq!(taken[1], 99, "it is its turn after the first");
        advance(Duration::from_secs(30)).await;
        assert_eq!(drain(&mut queue).0, [10]);
        advance(Duration::from_secs(270)).await;
        assert_eq!(drain(&mut queue), (vec![11], None));
    }

    #[tokio::test(start_paused = true)]
    async fn all_configmaps_together_are_bounded_and_nothing_is_lost() {
        let mut queue = FairQueue::default();
        for number in 0..60 {
            queue.put(topic(&number.to_string(), 0), number);
        }
        let (taken, next) = drain(&mut queue);
        assert_eq!((taken.len(), next), (50, Some(Duration::from_millis(500))));
        advance(Duration::from_secs(5)).await;
        assert_eq!(drain(&mut queue).0.len(), 10);
    }

    #[test]
    fn what_one_configmap_can_make_grow_is_capped_and_goes_with_it() {
        let mut queue = FairQueue::default();
        for number in 0..1000 {
            queue.put(topic("loud", number), number);
        }
        assert_eq!(queue.count, MOST_OF_ONE);
        queue.forget(&topic("loud", 0).place);
        assert_eq!(drain(&mut queue), (vec![], None));
        assert!(queue.turns.is_empty() && queue.ready.is_empty() && queue.resting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_with_many_configmaps_keeps_no_other_waiting() {
        let mut queue = FairQueue::default();
        for number in 0..60 {
            queue.put(topic_in("loud", &number.to_string(), 0), number);
        }
        assert_eq!(drain(&mut queue).0.len(), 50, "more have to wait");
        queue.put(topic_in("quiet", "one", 0), 99);
        advance(Duration::from_secs(1)).await;
        let (taken, _) = drain(&mut queue);
        assert!(taken.len() == 2 && taken.contains(&99), "{taken:?}");
    }

    #[test]
    fn what_waits_is_capped_for_each_namespace_and_in_all() {
        let mut queue = FairQueue::default();
        for namespace in 0..100 {
            for number in 0..MOST_OF_NAMESPACE + 10 {
                queue.put(topic_in(&namespace.to_string(), &number.to_string(), 0), number);
            }
            assert_eq!(queue.count, ((namespace + 1) * MOST_OF_NAMESPACE).min(MOST));
        }
    }
}
