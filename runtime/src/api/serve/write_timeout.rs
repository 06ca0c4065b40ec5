//! A connection that ends when its client stops reading.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// The longest time in which a client has to take [`ENOUGH`] bytes of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes a client has to take within [`WRITE_TIMEOUT`]. With a few now and then it could hold a connection
/// for ever.
const ENOUGH: usize = 64 * 1024;

/// A connection that ends when its client stops reading: what waits to be sent takes up memory.
pub(super) struct WriteTimeout {
    stream: TcpStream,
    /// The timer that runs from when the client kept a write waiting until it has taken [`ENOUGH`] or everything.
    stalled: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl WriteTimeout {
    /// Wraps a connection with the timeout.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None, taken: 0 }
    }

    fn bounded(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = progress {
            self.taken += bytes;
            if self.taken >= ENOUGH {
                self.forgive();
            }
        } else if progress.is_pending() {
            self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        }
        let stalled = self.stalled.as_mut();
        let is_over = stalled.is_some_and(|stalled| stalled.as_mut().poll(context).is_ready());
        if is_over { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { progress }
    }

    fn forgive(&mut self) {
        self.stalled = None;
        self.taken = 0;
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The writer flushes once it has nothing left to write.
        self.forgive();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
