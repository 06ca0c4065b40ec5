//! A semaphore that is fair between namespaces: they get permits in turn, so that none waits for all that
//! another one wants.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// A semaphore with a number of permits, of which each namespace holds a few at most. Clones share the
/// permits.
#[derive(Clone)]
pub(crate) struct FairSemaphore(Arc<Mutex<State>>);

/// The permission of one namespace to go on. Dropping it gives the permit back.
pub(crate) struct FairPermit {
    namespace: String,
    semaphore: FairSemaphore,
}

struct State {
    free: usize,
    of_each: usize,
    /// Whether a namespace gets another permit only while it holds fewer than are free.
    sparing: bool,
    taken: HashMap<String, usize>,
    /// The tasks that wait for a permit, by namespace and ticket number.
    waiting: HashMap<String, BTreeMap<u64, oneshot::Sender<FairPermit>>>,
    /// The namespaces in which a task waits; the first is served next.
    order: VecDeque<String>,
    tickets: u64,
}

/// A place in the queue of a namespace. Dropping it leaves the queue.
struct Ticket<'a> {
    semaphore: &'a FairSemaphore,
    namespace: &'a str,
    number: u64,
}

impl FairSemaphore {
    /// A semaphore with `all` permits, of which one namespace holds `of_each` at most.
    pub(crate) fn new(all: usize, of_each: usize) -> Self {
        Self::with(all, of_each, false)
    }

    /// A semaphore for permits that may be held for long. A namespace gets another one only while it holds
    /// fewer than are free.
    /// So each namespace leaves about half of what it finds, where a few would have all. The last free permit
    /// is anybody's.
    pub(crate) fn sparing(all: usize, of_each: usize) -> Self {
        Self::with(all, of_each, true)
    }

    fn with(all: usize, of_each: usize, sparing: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: all,
            of_each,
            sparing,
            taken: HashMap::new(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            tickets: 0,
        })))
    }

    /// Waits for a permit for this namespace. A caller that stops waiting leaves the queue.
    pub(crate) async fn take(&self, namespace: &str) -> FairPermit {
        let (sender, permit) = oneshot::channel();
        let number = self.state().queue(namespace, sender);
        let _ticket = Ticket { semaphore: self, namespace, number };
        self.give();
        permit.await.expect("who waits is told, or has left")
    }

    /// Hands the free permits to the tasks that wait.
    fn give(&self) {
        // A permit whose receiver is gone is dropped here, and giving it back needs the lock.
        loop {
            let next = self.state().next();
            let Some((namespace, waiting)) = next else { return };
            drop(waiting.send(FairPermit { namespace, semaphore: self.clone() }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, namespace: &str, sender: oneshot::Sender<FairPermit>) -> u64 {
        self.tickets += 1;
        if !self.waiting.contains_key(namespace) {
            self.order.push_back(namespace.to_owned());
        }
        self.waiting.entry(namespace.to_owned()).or_default().insert(self.tickets, sender);
        self.tickets
    }

    /// The task that gets the next permit, which counts as taken from now on.
    fn next(&mut self) -> Option<(String, oneshot::Sender<FairPermit>)> {
        let most = if self.sparing { self.of_each.min(self.free) } else { self.of_each };
        let has_room = |namespace: &String| self.taken.get(namespace).is_none_or(|taken| *taken < most);
        let index = self.order.iter().position(has_room).filter(|_| self.free > 0)?;
        let namespace = self.order.remove(index)?;
        let waiting = self.waiting.get_mut(&namespace)?;
        let (_, sender) = waiting.pop_first()?;
        if waiting.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.order.push_back(namespace.clone());
        }
        self.free -= 1;
        *self.taken.entry(namespace.clone()).or_default() += 1;
        Some((namespace, sender))
    }

    fn leave(&mut self, namespace: &str, number: u64) {
        let Some(waiting) = self.waiting.get_mut(namespace) else { return };
        waiting.remove(&number);
        if waiting.is_empty() {
            self.waiting.remove(namespace);
            self.order.retain(|other| other != namespace);
        }
    }

    fn give_back(&mut self, namespace: &str) {
        self.free += 1;
        if let Some(taken) = self.taken.get_mut(namespace) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(namespace);
            }
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.semaphore.state().leave(self.namespace, self.number);
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.semaphore.state().give_back(&self.namespace);
        self.semaphore.give();
    }
}

#[cfg(test)]
mod tests {
    use crate::fair_semaphore::*;
    use futures_util::FutureExt;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn namespaces_take_turns_however_much_one_of_them_wants() {
        let semaphore = FairSemaphore::new(1, 1);
        let first = semaphore.take("loud").await;
        let (sender, mut order) = mpsc::unbounded_channel();
        for namespace in ["loud", "loud", "loud", "quiet"] {
            let (semaphore, sender) = (semaphore.clone(), sender.clone());
            tokio::spawn(async move {
                let _permit = semaphore.take(namespace).await;
                sender.send(namespace).expect("heard");
            });
            tokio::task::yield_now().await;
        }
        drop((first, sender));
        let mut told = Vec::new();
        while let Some(namespace) = order.recv().await {
            told.push(namespace);
        }
        assert_eq!(told, ["loud", "quiet", "loud", "loud"]);
    }

    #[tokio::test]
    async fn a_namespace_has_a_few_at_most_and_leaves_the_others_free() {
        let semaphore = FairSemaphore::new(3, 2);
        let _held = (semaphore.take("loud").await, semaphore.take("loud").await);
        assert!(semaphore.take("loud").now_or_never().is_none());
        let quiet = semaphore.take("quiet").now_or_never().expect("free");
        assert!(semaphore.take("other").now_or_never().is_none(), "all are taken");
        drop(quiet);
        assert!(semaphore.take("other").now_or_never().is_some());
    }

    #[test]
    fn each_namespace_leaves_turns_to_the_next_where_they_are_kept_for_long() {
        let had = |semaphore: &FairSemaphore| {
            let mut held = Vec::new();
            let mut had = Vec::new();
            for namespace in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let before = held.len();
                held.extend(std::iter::from_fn(|| semaphore.take(namespace).now_or_never()));
                had.push(held.len() - before);
            }
            held.swap_remove(0);
            assert!(semaphore.take("h").now_or_never().is_some(), "what comes back is for who has none");
            had
        };
        assert_eq!(had(&FairSemaphore::new(64, 32)), [32, 32, 0, 0, 0, 0, 0, 0]);
        assert_eq!(had(&FairSemaphore::sparing(64, 32)), [32, 16, 8, 4, 2, 1, 1, 0]);
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_nothing_behind() {
        let semaphore = FairSemaphore::new(1, 1);
        let held = semaphore.take("a").await;
        for _ in 0..3 {
            assert!(semaphore.take("b").now_or_never().is_none());
        }
        assert!(semaphore.state().waiting.is_empty() && semaphore.state().order.is_empty());
        drop(held);
        drop(semaphore.take("b").await);
        assert!(semaphore.state().taken.is_empty() && semaphore.state().free == 1);
    }
}
