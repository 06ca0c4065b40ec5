//! Events that wait to be written, at a bounded rate.

use super::Place;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// What one ConfigMap may have written: so many at once, then one in so long.
const OF_ONE: Pace = Pace { burst: 10, every: Duration::from_secs(30) };
/// What all ConfigMaps together may have written.
const OF_ALL: Pace = Pace { burst: 50, every: Duration::from_millis(500) };
/// So many events of one ConfigMap wait at most.
const MOST_WAITING: usize = 100;

/// What an event is about: only the latest of one topic is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) place: Place,
    pub(super) about: String,
}

/// Events that wait, one for each topic.
pub(super) struct Outbox<T> {
    waiting: HashMap<Topic, T>,
    order: VecDeque<Topic>,
    all: Budget,
    each: HashMap<Place, Budget>,
}

#[derive(Clone, Copy)]
struct Pace {
    burst: u32,
    every: Duration,
}

/// What has been spent: until when it would take to earn it again.
#[derive(Clone, Copy, Default)]
struct Budget(Option<Instant>);

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), order: VecDeque::new(), all: Budget::default(), each: HashMap::new() }
    }
}

impl<T> Outbox<T> {
    /// Adds an event instead of an earlier one of its topic.
    pub(super) fn put(&mut self, topic: Topic, event: T) {
        if let Some(waiting) = self.waiting.get_mut(&topic) {
            *waiting = event;
        } else if self.order.iter().filter(|other| other.place == topic.place).count() < MOST_WAITING {
            self.order.push_back(topic.clone());
            self.waiting.insert(topic, event);
        }
    }

    /// Adds an event that could not be written, unless there is a later one of its topic.
    pub(super) fn put_back(&mut self, topic: Topic, event: T) {
        if !self.waiting.contains_key(&topic) {
            self.order.push_front(topic.clone());
            self.waiting.insert(topic, event);
        }
    }

    /// Takes the next event that may be written now, or tells when one may be; never if none waits.
    pub(super) fn take(&mut self, now: Instant) -> Result<(Topic, T), Option<Instant>> {
        self.each.retain(|_, budget| !budget.is_full(now));
        let spent = |topic: &Topic| self.each.get(&topic.place).copied().unwrap_or_default();
        let all = self.all.ready(OF_ALL, now);
        let ready = |topic: &Topic| spent(topic).ready(OF_ONE, now).max(all);
        let first = self.order.iter().map(ready).enumerate().min_by_key(|(_, at)| *at);
        let (index, at) = first.ok_or(None)?;
        if at > now {
            return Err(Some(at));
        }
        let topic = self.order.remove(index).ok_or(None)?;
        let event = self.waiting.remove(&topic).ok_or(None)?;
        self.all.spend(OF_ALL, now);
        self.each.entry(topic.place.clone()).or_default().spend(OF_ONE, now);
        Ok((topic, event))
    }

    /// Drops all events about this ConfigMap.
    pub(super) fn forget(&mut self, place: &Place) {
        self.order.retain(|topic| topic.place != *place);
        self.waiting.retain(|topic, _| topic.place != *place);
    }
}

impl Budget {
    /// When the next event may be written.
    fn ready(self, pace: Pace, now: Instant) -> Instant {
        let ahead = pace.every * (pace.burst - 1);
        self.0.and_then(|until| until.checked_sub(ahead)).unwrap_or(now).max(now)
    }

    fn spend(&mut self, pace: Pace, now: Instant) {
        self.0 = Some(self.0.unwrap_or(now).max(now) + pace.every);
    }

    fn is_full(self, now: Instant) -> bool {
        self.0.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(place: &str, about: usize) -> Topic {
        let place = Place { namespace: "team-a".to_owned(), name: place.to_owned() };
        Topic { place, about: about.to_string() }
    }

    /// Takes all that may be written now; also tells when the next may be.
    fn drain(outbox: &mut Outbox<usize>, now: Instant) -> (Vec<usize>, Option<Duration>) {
        let mut taken = Vec::new();
        loop {
            match outbox.take(now) {
                Ok((_, event)) => taken.push(event),
                Err(at) => return (taken, at.map(|at| at - now)),
            }
        }
    }

    #[test]
    fn only_the_latest_of_a_topic_is_written() {
        let mut outbox = Outbox::default();
        outbox.put(topic("one", 1), 1);
        outbox.put(topic("one", 2), 2);
        outbox.put(topic("one", 1), 3);
        outbox.put_back(topic("one", 2), 9);
        assert_eq!(drain(&mut outbox, Instant::now()), (vec![3, 2], None));
    }

    #[test]
    fn a_configmap_that_has_much_to_say_waits_and_others_do_not() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for number in 0..12 {
            outbox.put(topic("loud", number), number);
        }
        outbox.put(topic("quiet", 0), 99);
        let (taken, next) = drain(&mut outbox, now);
        assert_eq!((taken.len(), taken.last(), next), (11, Some(&99), Some(Duration::from_secs(30))));
        assert_eq!(drain(&mut outbox, now + Duration::from_secs(30)).0, [10]);
        assert_eq!(drain(&mut outbox, now + Duration::from_secs(300)), (vec![11], None));
    }

    #[test]
    fn all_configmaps_together_are_bounded_and_nothing_is_lost() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        for number in 0..60 {
            outbox.put(topic(&number.to_string(), 0), number);
        }
        let (taken, next) = drain(&mut outbox, now);
        assert_eq!((taken.len(), next), (50, Some(Duration::from_millis(500))));
        assert_eq!(drain(&mut outbox, now + Duration::from_secs(5)).0.len(), 10);
    }

    #[test]
    fn what_one_configmap_can_make_grow_is_capped_and_goes_with_it() {
        let mut outbox = Outbox::default();
        for number in 0..1000 {
            outbox.put(topic("loud", number), number);
        }
        assert_eq!(outbox.waiting.len(), MOST_WAITING);
        outbox.forget(&topic("loud", 0).place);
        assert_eq!(drain(&mut outbox, Instant::now()), (vec![], None));
    }
}
