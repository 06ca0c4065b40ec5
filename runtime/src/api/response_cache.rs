//! Caches of large answers: an answer is written once for all requests at about the same time.

mod shared_text;

use super::{
    answer::Refusal,
    response_writer::{Head, ResponseWriter, compose, respond},
};
use axum::{body::Body, http::StatusCode};
use shared_text::{MAX_CACHED, SharedText};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// The most bytes that the shared texts of all caches hold. The text that was completed last is held in any
/// case.
const MAX_HELD: usize = 64 * 1024 * 1024;
/// The most answers at a time that are each written for one reader, and not shared.
pub(super) const MAX_UNSHARED: usize = 8;
/// How long a request waits for a permit to get an answer that is not shared.
const PATIENCE: Duration = Duration::from_secs(5);

/// The limits on the memory that the answers of all caches take together.
#[derive(Clone)]
pub(super) struct Store {
    /// The shared texts of all caches, the oldest first.
    cached: Arc<Mutex<VecDeque<Weak<SharedText>>>>,
    unshared: Arc<Semaphore>,
}

/// The cache of one answer, such as `/metrics` in one format.
pub(super) struct ResponseCache {
    store: Store,
    newest: Arc<Mutex<Option<Arc<CachedResponse>>>>,
    /// Whether the latest answer was too large to be shared.
    overflows: Arc<AtomicBool>,
}

/// One answer, which may be read while it is written.
struct CachedResponse {
    begun: Instant,
    head: Arc<Head>,
    text: Arc<SharedText>,
    /// The task that writes the answer, aborted when nobody wants the answer any more.
    _writing: AbortOnDropHandle<()>,
}

impl ResponseCache {
    /// An empty cache, whose answers count in the limits of `store`.
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone(), newest: Arc::default(), overflows: Arc::default() }
    }

    /// The cached answer, or else a new one. A cached answer that was begun before `since` is not used. An
    /// answer that is too large to be shared is written for each reader.
    pub(super) async fn take(
        &self,
        since: Option<Instant>,
        write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
    ) -> Result<(StatusCode, Body), Refusal> {
        if self.overflows.load(Relaxed) {
            let overflows = Arc::clone(&self.overflows);
            let write = move |writer: &mut ResponseWriter| {
                write(writer)?;
                overflows.store(writer.size() > MAX_CACHED, Relaxed);
                Ok(())
            };
            return self.store.send(write).await;
        }
        let response = self.current(since, write).await;
        respond(&response.head, response.text.read(Arc::clone(&response))).await
    }

    async fn current(
        &self,
        since: Option<Instant>,
        write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
    ) -> Arc<CachedResponse> {
        loop {
            let old = {
                let mut newest = lock(&self.newest);
                match newest.as_ref().filter(|response| response.text.is_in_force()) {
                    Some(response) if since.is_none_or(|since| response.begun >= since) => {
                        return Arc::clone(response);
                    }
                    Some(old) => Arc::clone(old),
                    None => return Arc::clone(newest.insert(self.begin(write))),
                }
            };
            old.text.has_had_its_time().await;
        }
    }

    fn begin(
        &self,
        write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
    ) -> Arc<CachedResponse> {
        let (begun, text) = (Instant::now(), Arc::<SharedText>::default());
        self.store.add(&text);
        let (head, pieces) = compose(None, write);
        let (store, overflows, own) = (self.store.clone(), Arc::clone(&self.overflows), Arc::clone(&text));
        let (newest, written) = (Arc::downgrade(&self.newest), Arc::clone(&head));
        let writing = tokio::spawn(async move {
            own.collect(&written, pieces, &overflows).await;
            store.make_room(&own);
            own.has_had_its_time().await;
            let Some(newest) = newest.upgrade() else { return };
            // The memory of an answer is freed once new requests no longer get it.
            lock(&newest).take_if(|newest| Arc::ptr_eq(&newest.text, &own));
        });
        Arc::new(CachedResponse { begun, head, text, _writing: AbortOnDropHandle::new(writing) })
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { cached: Arc::default(), unshared: Arc::new(Semaphore::new(MAX_UNSHARED)) }
    }
}

impl Store {
    /// Writes an answer for one reader. Waits while [`MAX_UNSHARED`] such answers are under way, and refuses
    /// with 503 after [`PATIENCE`].
    pub(super) async fn send(
        &self,
        write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
    ) -> Result<(StatusCode, Body), Refusal> {
        let permit = timeout(PATIENCE, Arc::clone(&self.unshared).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let error = format!("{MAX_UNSHARED} large answers are under way; try again when one is done");
            Refusal::later(StatusCode::SERVICE_UNAVAILABLE, error, Duration::from_secs(1))
        })?;
        let (head, pieces) = compose(Some(permit), write);
        respond(&head, pieces).await
    }

    fn add(&self, text: &Arc<SharedText>) {
        let mut cached = lock(&self.cached);
        cached.retain(|text| text.strong_count() > 0);
        cached.push_back(Arc::downgrade(text));
    }

    /// Withdraws the oldest texts until all hold [`MAX_HELD`] bytes at most, but never `newest`. So slow
    /// readers cannot fill the memory.
    fn make_room(&self, newest: &Arc<SharedText>) {
        let texts: Vec<_> = lock(&self.cached).iter().filter_map(Weak::upgrade).collect();
        let mut held: usize = texts.iter().map(|text| text.size()).sum();
        for text in texts.iter().filter(|text| !Arc::ptr_eq(text, newest)) {
            if held <= MAX_HELD {
                return;
            }
            held -= text.size();
            text.withdraw();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
