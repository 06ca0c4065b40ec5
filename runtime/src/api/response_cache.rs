//! Large answers that are written once for everybody who asks at about the same time.

use super::{
    answer::Refusal,
    response_writer::{Code, Pieces, ResponseWriter, compose, respond},
};
use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures_util::{StreamExt, stream};
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
    sync::{Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// An answer is good for so many times the time that writing it took: however many ask, writing takes no more
/// than a twenty-fifth of a processor, and what is written in no time is always current.
const WORTH: u32 = 25;
/// The longest time for which an answer is good.
const LONGEST: Duration = Duration::from_secs(1);
/// The most that is held of all answers, in bytes. The newest of each kind are held in any case.
const MAX_HELD: usize = 64 * 1024 * 1024;
/// The longest answer that is shared, in bytes.
const MAX_CACHED: usize = 32 * 1024 * 1024;
/// The most large answers that are sent at a time without being shared.
pub(super) const MAX_UNSHARED: usize = 8;
/// How long a request waits for its turn to get such an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bounds the memory that large answers take together.
#[derive(Clone)]
pub(super) struct Store {
    /// The texts of all caches, oldest first.
    cached: Arc<Mutex<VecDeque<Weak<SharedText>>>>,
    unshared: Arc<Semaphore>,
}

/// The place of one kind of answer.
pub(super) struct ResponseCache {
    store: Store,
    newest: Arc<Mutex<Option<Arc<CachedResponse>>>>,
    /// Whether the latest answer was too long to be shared.
    overflows: Arc<AtomicBool>,
}

/// One answer, which may be read while it is written.
struct CachedResponse {
    begun: Instant,
    code: Code,
    text: Arc<SharedText>,
    /// Ends when nobody wants the answer any more.
    _writing: AbortOnDropHandle<()>,
}

/// The text of an answer for all who read it.
#[derive(Default)]
struct SharedText(watch::Sender<Text>);

#[derive(Default)]
struct Text {
    pieces: Vec<Bytes>,
    size: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Writing,
    /// Nothing is missing; others get another one from then on.
    Whole(Instant),
    /// It had to make room, or could not be written.
    Gone,
}

impl ResponseCache {
    /// An empty place.
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone(), newest: Arc::default(), overflows: Arc::default() }
    }

    /// The answer that is there, or else a new one. One that was begun before `since` is not good enough. What is too
    /// long to be shared is written for each reader.
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
        respond(Arc::clone(&response.code), read(response)).await
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
        let (code, pieces) = compose(None, write);
        let (store, overflows, own) = (self.store.clone(), Arc::clone(&self.overflows), Arc::clone(&text));
        let newest = Arc::downgrade(&self.newest);
        let writing = tokio::spawn(async move {
            own.collect(pieces, &overflows).await;
            store.make_room(&own);
            own.has_had_its_time().await;
            let Some(newest) = newest.upgrade() else { return };
            // Memory for which nobody asks is given back.
            lock(&newest).take_if(|newest| Arc::ptr_eq(&newest.text, &own));
        });
        Arc::new(CachedResponse { begun, code, text, _writing: AbortOnDropHandle::new(writing) })
    }
}

impl SharedText {
    async fn collect(&self, mut pieces: Pieces, overflows: &AtomicBool) {
        let begun = std::time::Instant::now();
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return self.withdraw() };
            if self.size() + piece.len() > MAX_CACHED {
                overflows.store(true, Relaxed);
                return self.withdraw();
            }
            self.write(|text| text.push(piece));
        }
        let until = Instant::now() + (begun.elapsed() * WORTH).min(LONGEST);
        self.write(|text| text.stage = Stage::Whole(until));
    }

    /// Changes the text, unless it is gone.
    fn write(&self, change: impl FnOnce(&mut Text)) {
        self.0.send_if_modified(|text| {
            let is_wanted = text.stage == Stage::Writing;
            if is_wanted {
                change(text);
            }
            is_wanted
        });
    }

    fn is_in_force(&self) -> bool {
        match self.0.borrow().stage {
            Stage::Writing => true,
            Stage::Whole(until) => Instant::now() < until,
            Stage::Gone => false,
        }
    }

    async fn has_had_its_time(&self) {
        let mut text = self.0.subscribe();
        let stage = text.wait_for(|text| text.stage != Stage::Writing).await.map(|text| text.stage);
        if let Ok(Stage::Whole(until)) = stage {
            sleep_until(until).await;
        }
    }

    /// Whoever still reads it is cut off.
    fn withdraw(&self) {
        self.0.send_modify(|text| *text = Text { stage: Stage::Gone, ..Text::default() });
    }

    fn size(&self) -> usize {
        self.0.borrow().size
    }
}

impl Text {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        self.pieces.push(piece);
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { cached: Arc::default(), unshared: Arc::new(Semaphore::new(MAX_UNSHARED)) }
    }
}

impl Store {
    /// Sends an answer to one reader, and waits if too many such answers are under way.
    pub(super) async fn send(
        &self,
        write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
    ) -> Result<(StatusCode, Body), Refusal> {
        let permit = timeout(PATIENCE, Arc::clone(&self.unshared).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let error = format!("{MAX_UNSHARED} large answers are under way; try again when one is done");
            Refusal::later(StatusCode::SERVICE_UNAVAILABLE, error, Duration::from_secs(1))
        })?;
        let (code, pieces) = compose(Some(permit), write);
        respond(code, pieces).await
    }

    fn add(&self, text: &Arc<SharedText>) {
        let mut cached = lock(&self.cached);
        cached.retain(|text| text.strong_count() > 0);
        cached.push_back(Arc::downgrade(text));
    }

    /// Those who read slowly do not fill the memory: the oldest answers make room for the newest.
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

/// A connection that does not read on holds two pieces, and not all of the answer.
fn read(response: Arc<CachedResponse>) -> Pieces {
    let text = response.text.0.subscribe();
    let pieces = stream::try_unfold((response, text, 0), async |(response, mut text, index)| {
        let next = text.wait_for(|text| index < text.pieces.len() || text.stage != Stage::Writing).await;
        let piece = match next.as_deref() {
            Ok(Text { pieces, .. }) if index < pieces.len() => pieces[index].clone(),
            Ok(Text { stage: Stage::Whole(_), .. }) => return Ok(None),
            _ => return Err(io::Error::other("the answer had to make room for newer ones")),
        };
        drop(next);
        Ok(Some((piece, (response, text, index + 1))))
    });
    pieces.boxed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
