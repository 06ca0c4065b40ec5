//! Large answers are sent while a blocking thread writes them, a piece at a time.

use super::answer::Refusal;
use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use std::{
    fmt, io,
    io::Write,
    mem,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
};

/// The most bytes in one piece of an answer.
pub(super) const PIECE: usize = 32 * 1024;
/// The most pieces of an answer that wait to be sent.
const MAX_PIECES: usize = 4;

/// The pieces of an answer as a stream, which fails if the answer ends too early.
pub(super) type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// The facts about an answer beside its text.
#[derive(Default)]
pub(super) struct Head {
    /// The status code, known with the first piece; 200 if none was set.
    code: OnceLock<StatusCode>,
    /// How long the thread took to write the answer, known once the answer has ended.
    pub(super) took: OnceLock<Duration>,
}

/// A writer for an answer's text. Writing fails once nobody reads the answer any more.
pub(super) struct ResponseWriter {
    head: Arc<Head>,
    piece: Vec<u8>,
    pieces: mpsc::Sender<Bytes>,
    size: usize,
}

impl ResponseWriter {
    /// Sets the status code, before anything is written.
    pub(super) fn set_code(&self, code: StatusCode) {
        let _ = self.head.code.set(code);
    }

    /// The number of bytes that were written so far.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Write for ResponseWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = text.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&text[..taken]);
        self.size += taken;
        if self.piece.len() == PIECE {
            self.flush()?;
            self.piece.reserve_exact(PIECE);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = mem::take(&mut self.piece);
        self.pieces.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl fmt::Write for ResponseWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Writes an answer on a blocking thread, as fast as its pieces are read. `permit` is held until the stream
/// of pieces ends or is dropped.
pub(super) fn compose(
    permit: Option<OwnedSemaphorePermit>,
    write: impl FnOnce(&mut ResponseWriter) -> io::Result<()> + Send + 'static,
) -> (Arc<Head>, Pieces) {
    let (head, (sender, receiver)) = (Arc::<Head>::default(), mpsc::channel(MAX_PIECES));
    let mut writer = ResponseWriter { head: Arc::clone(&head), piece: Vec::new(), pieces: sender, size: 0 };
    let writing = spawn_blocking(move || {
        let begun = Instant::now();
        let written = write(&mut writer).and_then(|()| writer.flush());
        let _ = writer.head.took.set(begun.elapsed());
        written
    });
    let pieces = stream::try_unfold((receiver, writing, permit), async |(mut receiver, writing, permit)| {
        match receiver.recv().await {
            Some(piece) => Ok(Some((piece, (receiver, writing, permit)))),
            // A thread that panicked has left the answer incomplete.
            None => writing.await?.map(|()| None),
        }
    });
    (head, pieces.boxed())
}

/// The status code and body of an answer. An answer of a single piece is sent as a whole, with its length.
/// Refuses with 500 if writing fails within the first two pieces.
pub(super) async fn respond(head: &Head, mut pieces: Pieces) -> Result<(StatusCode, Body), Refusal> {
    let begin = async { Ok::<_, io::Error>((pieces.try_next().await?, pieces.try_next().await?)) };
    let (first, second) = begin.await.map_err(|_| {
        let error = "composing the answer failed; the log of the daemon says why";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    })?;
    let first = first.unwrap_or_default();
    let body = match second {
        None => Body::from(first),
        Some(second) => Body::from_stream(stream::iter([Ok(first), Ok(second)]).chain(pieces)),
    };
    Ok((head.code.get().copied().unwrap_or_default(), body))
}
