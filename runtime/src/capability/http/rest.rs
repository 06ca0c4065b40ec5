//! A body that is read as text, on and on until it ends.

use super::{
    body::{Body, BodyEnd},
    text::Format,
};
use crate::{
    capability::{
        InFlightBytes,
        bindings::aviary::check::http::{Error, Phase},
        dial::Network,
    },
    fair_semaphore::FairSemaphore,
};
use std::time::Duration;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

/// The most bodies that a guest may hold open at once.
pub(super) const MOST_OPEN: usize = 16;
/// How many bodies are decoded at once. Each takes 17 MB at most, for the window of brotli.
const DECODED_AT_ONCE: usize = 2;

/// The permits for decoding bodies, by namespace.
pub(crate) fn decodings() -> FairSemaphore {
    FairSemaphore::new(DECODED_AT_ONCE, DECODED_AT_ONCE)
}

/// A body that is read as text. The guest may hold it between two calls.
pub struct Rest {
    body: Body,
    format: Format,
    /// When the request ends.
    deadline: Instant,
    /// The most bytes of text.
    most: usize,
    /// Counts the bytes of the body while the guest does not read.
    held: InFlightBytes,
    /// The URL for people.
    pub(super) target: String,
}

/// The text of a body as far as it was read, from its start.
pub(super) struct Read {
    pub(super) text: String,
    pub(super) end: BodyEnd,
    /// How many bytes were received, before they were decoded.
    pub(super) received: usize,
    /// How long reading has taken.
    pub(super) took: Duration,
}

impl Read {
    /// No text, for a body with this end.
    pub(super) fn nothing(end: BodyEnd) -> Self {
        Self { text: String::new(), end, received: 0, took: Duration::ZERO }
    }
}

impl Rest {
    /// A body of which nothing was read yet. It gives at most `most` bytes of text.
    pub(super) fn new(
        body: Body,
        format: Format,
        deadline: Instant,
        most: usize,
        held: InFlightBytes,
        target: String,
    ) -> Self {
        Self { body, format, deadline, most, held, target }
    }

    /// How many bytes were received so far.
    pub(super) fn received(&self) -> usize {
        self.body.bytes.len()
    }

    /// Reads on until the body ends, or for `pause` milliseconds.
    pub(super) async fn read(
        &mut self,
        network: &Network,
        namespace: &str,
        pause: Option<u32>,
        in_flight: &InFlightBytes,
    ) -> Read {
        let pause = pause.map(|pause| Instant::now() + Duration::from_millis(pause.into()));
        let end = self.body.read(self.deadline, pause, &self.held).await;
        let whole = matches!(end, BodyEnd::Complete);
        let decoded = self.decode(network, namespace, whole).await;
        let (text, end) = match decoded {
            Ok((text, more)) => match in_flight.hold(text.len()) {
                Ok(()) if more && !matches!(end, BodyEnd::Broken(_)) => (text, BodyEnd::Truncated),
                Ok(()) => (text, end),
                Err(crowded) => (String::new(), BodyEnd::Broken(crowded.into())),
            },
            Err(BodyEnd::Undecodable(_)) if matches!(end, BodyEnd::Broken(_)) => (String::new(), end),
            Err(instead) => (String::new(), instead),
        };
        Read { text, end, received: self.body.bytes.len(), took: self.body.took }
    }

    /// The text of what has come, and whether it goes on beyond the limit; or the end of the body instead.
    async fn decode(
        &mut self,
        network: &Network,
        namespace: &str,
        whole: bool,
    ) -> Result<(String, bool), BodyEnd> {
        if !self.format.is_slow(self.body.bytes.len()) {
            let text = self.format.read(&self.body.bytes, whole, self.most);
            return text.map_err(BodyEnd::Undecodable);
        }
        let permit = timeout_at(self.deadline, network.decodings.take(namespace)).await;
        let permit = permit.map_err(|_| BodyEnd::Broken(Error::Timeout(Phase::Transfer)))?;
        let (bytes, format, most) = (std::mem::take(&mut self.body.bytes), self.format.clone(), self.most);
        let decoding = spawn_blocking(move || {
            let text = format.read(&bytes, whole, most);
            // Kept until here, also if nobody waits for the text any more.
            drop(permit);
            (bytes, text)
        });
        match decoding.await {
            Ok((bytes, text)) => {
                self.body.bytes = bytes;
                text.map_err(BodyEnd::Undecodable)
            }
            Err(_) => Err(BodyEnd::Undecodable("the daemon failed to decode it".to_owned())),
        }
    }

    /// The body, for its connection.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}
