//! The body of a response on its way, read as far as the guest wants it.

use super::{connection::HttpConnection, pool::Connections, pool::Use};
use crate::capability::{
    InFlightBytes,
    bindings::aviary::check::http::{Error, Phase},
};
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The body of a response, and the connection on which it comes.
pub(super) struct Body {
    connection: HttpConnection,
    incoming: Incoming,
    /// The most bytes that are kept.
    limit: usize,
    /// The bytes that have come, without those beyond the limit.
    pub(super) bytes: Vec<u8>,
    /// How long reading has taken so far.
    pub(super) took: Duration,
}

/// How far a body was read.
pub(super) enum BodyEnd {
    /// Not at all, as nobody asked for it.
    Unread,
    /// To its end.
    Complete,
    /// To the limit, and there was more.
    Truncated,
    /// Until the pause, and there may be more.
    Paused,
    /// Until this error.
    Broken(Error),
    /// It cannot be decoded; the text says why.
    Undecodable(String),
}

impl Body {
    /// A body of which nothing was read yet. At most `limit` bytes of it will be kept.
    pub(super) fn new(connection: HttpConnection, incoming: Incoming, limit: usize) -> Self {
        Self { connection, incoming, limit, bytes: Vec::new(), took: Duration::ZERO }
    }

    /// Reads on until the body ends, or until `pause` if that comes before the deadline.
    pub(super) async fn read(
        &mut self,
        deadline: Instant,
        pause: Option<Instant>,
        in_flight: &InFlightBytes,
    ) -> BodyEnd {
        let since = Instant::now();
        let until = pause.map_or(deadline, |pause| pause.min(deadline));
        let read = timeout_at(until, self.read_to_end(in_flight)).await;
        self.took += since.elapsed();
        match read {
            Ok(Ok(true)) => BodyEnd::Complete,
            Ok(Ok(false)) => BodyEnd::Truncated,
            Ok(Err(error)) => BodyEnd::Broken(error),
            Err(_) if until < deadline => BodyEnd::Paused,
            Err(_) => BodyEnd::Broken(Error::Timeout(Phase::Transfer)),
        }
    }

    /// Whether the body ended within the limit.
    async fn read_to_end(&mut self, in_flight: &InFlightBytes) -> Result<bool, Error> {
        while let Some(data) = self.connection.receive(&mut self.incoming).await? {
            let room = self.limit - self.bytes.len();
            let fitting = &data[..data.len().min(room)];
            let place = self.bytes.capacity();
            self.bytes.reserve(fitting.len());
            in_flight.hold(self.bytes.capacity() - place)?;
            self.bytes.extend_from_slice(fitting);
            if data.len() > room {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The body, if nothing is left to read although nothing was read.
    pub(super) fn into_ended(self) -> Option<Self> {
        self.incoming.is_end_stream().then_some(self)
    }

    /// Keeps the connection for the next request, where the body was read to its end.
    pub(super) fn keep(self, connections: &Connections, for_use: Use) {
        connections.put(for_use, self.connection);
    }
}
