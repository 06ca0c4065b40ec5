//! Large answers that are written once for everybody who asks at about the same time.

use super::answer::Refusal;
use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures_util::{Stream, stream};
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
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

/// An answer is good for so many times the time that writing it took: however many ask, writing takes no more
/// than a twenty-fifth of a processor, and what is written in no time is always current.
const WORTH: u32 = 25;
/// The longest time for which an answer is good.
const LONGEST: Duration = Duration::from_secs(1);
/// The most that is held of all answers, in bytes. The newest of each kind are held in any case.
const MAX_HELD: usize = 64 * 1024 * 1024;
/// The longest answer that is shared while it is written.
const MAX_CACHED: usize = 32 * 1024 * 1024;
/// How much of an answer a connection holds for itself.
const PIECE: usize = 64 * 1024;

/// The answers of all shelves, oldest first.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<VecDeque<Weak<CachedResponse>>>>);

/// The place of one kind of answer.
pub(super) struct ResponseCache {
    store: Store,
    newest: Arc<Mutex<Option<Newest>>>,
    overflows: Arc<AtomicBool>,
}

struct Newest {
    response: Arc<CachedResponse>,
    _writing: AbortOnDropHandle<()>,
}

/// One answer, which may be read while it is written.
pub(super) struct CachedResponse {
    begun: Instant,
    text: watch::Sender<Text>,
}

#[derive(Default)]
struct Text {
    code: Option<StatusCode>,
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

/// What writes an answer.
pub(super) struct ResponseWriter {
    response: Arc<CachedResponse>,
    overflows: Arc<AtomicBool>,
}

impl ResponseCache {
    /// An empty place.
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone(), newest: Arc::default(), overflows: Arc::default() }
    }

    /// The answer that is there, or else a new one, away from the threads that run checks. One that was begun
    /// before `since` is not good enough.
    pub(super) async fn take(
        &self,
        since: Option<Instant>,
        write: impl FnOnce(&ResponseWriter) -> StatusCode + Send + 'static,
    ) -> Result<(StatusCode, Body), Refusal> {
        let response = self.current(since, write).await;
        let mut text = response.text.subscribe();
        let begun = text.wait_for(|text| text.code.is_some() || text.stage != Stage::Writing).await;
        let (code, whole) = match begun.as_deref() {
            Ok(Text { code: Some(code), pieces, stage: Stage::Whole(_), .. }) if pieces.len() == 1 => {
                (*code, Some(pieces[0].clone()))
            }
            Ok(Text { code: Some(code), .. }) => (*code, None),
            _ => {
                let error = "composing the answer failed; the log of the daemon says why";
                return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error));
            }
        };
        drop(begun);
        Ok((code, whole.map_or_else(|| Body::from_stream(read(Arc::clone(&response))), Body::from)))
    }

    async fn current(
        &self,
        since: Option<Instant>,
        write: impl FnOnce(&ResponseWriter) -> StatusCode + Send + 'static,
    ) -> Arc<CachedResponse> {
        loop {
            let old = {
                let mut newest = lock(&self.newest);
                match newest.as_ref().map(|newest| &newest.response).filter(|response| response.is_in_force())
                {
                    Some(response) if since.is_none_or(|since| response.begun >= since) => {
                        return Arc::clone(response);
                    }
                    Some(old) => Arc::clone(old),
                    None => return Arc::clone(&newest.insert(self.begin(write)).response),
                }
            };
            old.has_had_its_time().await;
        }
    }

    /// Whether the latest answer was too long to be shared.
    pub(super) fn overflows(&self) -> bool {
        self.overflows.load(Relaxed)
    }

    /// Says how long the latest answer was that was not shared.
    pub(super) fn measured(&self, size: usize) {
        self.overflows.store(size > MAX_CACHED, Relaxed);
    }

    fn begin(&self, write: impl FnOnce(&ResponseWriter) -> StatusCode + Send + 'static) -> Newest {
        let response = Arc::new(CachedResponse { begun: Instant::now(), text: watch::Sender::default() });
        self.store.add(&response);
        let writer =
            ResponseWriter { response: Arc::clone(&response), overflows: Arc::clone(&self.overflows) };
        let newest = Arc::downgrade(&self.newest);
        let (store, own) = (self.store.clone(), Arc::clone(&response));
        let writing = tokio::spawn(async move {
            // One that breaks down drops its writer, which says so.
            let _ = spawn_blocking(move || writer.write(write)).await;
            store.make_room(&own);
            own.has_had_its_time().await;
            let Some(newest) = newest.upgrade() else { return };
            // Memory for which nobody asks is given back.
            lock(&newest).take_if(|newest| Arc::ptr_eq(&newest.response, &own));
        });
        Newest { response, _writing: AbortOnDropHandle::new(writing) }
    }
}

impl CachedResponse {
    fn is_in_force(&self) -> bool {
        match self.text.borrow().stage {
            Stage::Writing => true,
            Stage::Whole(until) => Instant::now() < until,
            Stage::Gone => false,
        }
    }

    async fn has_had_its_time(&self) {
        let mut text = self.text.subscribe();
        let stage = text.wait_for(|text| text.stage != Stage::Writing).await.map(|text| text.stage);
        if let Ok(Stage::Whole(until)) = stage {
            sleep_until(until).await;
        }
    }

    /// Whoever still reads it is cut off.
    fn withdraw(&self) {
        self.text.send_modify(|text| *text = Text { stage: Stage::Gone, ..Text::default() });
    }

    fn size(&self) -> usize {
        self.text.borrow().size
    }
}

impl Text {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        self.pieces.push(piece);
    }
}

impl ResponseWriter {
    fn write(self, write: impl FnOnce(&Self) -> StatusCode) {
        let begun = std::time::Instant::now();
        let code = write(&self);
        let until = Instant::now() + (begun.elapsed() * WORTH).min(LONGEST);
        self.response.text.send_modify(|text| {
            if text.stage == Stage::Writing {
                text.code = Some(code);
                text.stage = Stage::Whole(until);
            }
        });
    }

    /// Whoever waits can have this code and what follows.
    pub(super) fn begin(&self, code: StatusCode) {
        self.response.text.send_modify(|text| text.code = Some(code));
    }

    /// Appends a piece, unless that makes the answer too long to be shared.
    pub(super) fn append(&self, piece: Bytes) {
        if self.response.size() + piece.len() > MAX_CACHED {
            self.overflows.store(true, Relaxed);
            self.response.withdraw();
        }
        self.response.text.send_if_modified(|text| {
            let is_wanted = text.stage == Stage::Writing;
            if is_wanted {
                text.push(piece);
            }
            is_wanted
        });
    }

    /// Appends what had to be made as a whole.
    pub(super) fn append_all(&self, body: Vec<u8>) {
        self.response.text.send_modify(|text| {
            if body.len() <= PIECE {
                text.push(body.into());
            } else {
                body.chunks(PIECE).map(Bytes::copy_from_slice).for_each(|piece| text.push(piece));
            }
        });
    }
}

impl Drop for ResponseWriter {
    fn drop(&mut self) {
        if self.response.text.borrow().stage == Stage::Writing {
            self.response.withdraw();
        }
    }
}

impl Store {
    fn add(&self, response: &Arc<CachedResponse>) {
        let mut sheets = lock(&self.0);
        sheets.retain(|response| response.strong_count() > 0);
        sheets.push_back(Arc::downgrade(response));
    }

    /// Those who read slowly do not fill the memory: the oldest answers make room for the newest.
    fn make_room(&self, newest: &Arc<CachedResponse>) {
        let sheets: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let mut held: usize = sheets.iter().map(|response| response.size()).sum();
        for response in sheets.iter().filter(|response| !Arc::ptr_eq(response, newest)) {
            if held <= MAX_HELD {
                return;
            }
            held -= response.size();
            response.withdraw();
        }
    }
}

/// A connection that does not read on holds one piece, and not all of the answer.
fn read(response: Arc<CachedResponse>) -> impl Stream<Item = io::Result<Bytes>> {
    let text = response.text.subscribe();
    stream::try_unfold((response, text, 0), async |(response, mut text, index)| {
        let next = text.wait_for(|text| index < text.pieces.len() || text.stage != Stage::Writing).await;
        let piece = match next.as_deref() {
            Ok(Text { pieces, .. }) if index < pieces.len() => pieces[index].clone(),
            Ok(Text { stage: Stage::Whole(_), .. }) => return Ok(None),
            _ => return Err(io::Error::other("the answer had to make room for newer ones")),
        };
        drop(next);
        Ok(Some((piece, (response, text, index + 1))))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
