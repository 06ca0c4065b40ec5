//! The client of one guest: from a request to what is wanted of its response.

use super::{
    body::{Body, BodyEnd},
    exchange::{Exchange, Head, Progress},
    outgoing::Outgoing,
    pool::Connections,
    rest::{Read, Rest},
    target,
    text::Format,
};
use crate::{
    capability::{
        InFlightBytes,
        bindings::aviary::check::{
            http::{Error, Fetch, Request, TextOptions},
            tls::TlsClient,
        },
        dial::Network,
        milliseconds, nanoseconds,
    },
    grant::Authorization,
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// A request of a guest, and what is wanted of its response.
pub struct Job {
    /// The request. Its TLS options are those of the job.
    pub(super) request: Request,
    /// How to speak TLS; none is with the daemon's root certificates.
    pub(super) tls: Option<TlsClient>,
    /// The `host` header; none is the URL's.
    pub(super) host: Option<String>,
    /// Whether cookies that a redirect sets are sent with the requests that follow it.
    pub(super) cookies: bool,
    /// What is wanted of the body.
    pub(super) body: Wanted,
}

/// What a guest wants of the body of a response.
pub(super) enum Wanted {
    Nothing,
    Bytes,
    Text(TextOptions),
}

/// What came back of a request: the head, and what was wanted of the body.
pub(super) struct Received {
    pub(super) head: Head,
    pub(super) content: Content,
}

/// What was read of a body.
pub(super) enum Content {
    /// Nothing, as nothing was wanted.
    Unread,
    /// The bytes as they were sent, whether there were more than are kept, and how long it took.
    Bytes(Vec<u8>, bool, Duration),
    /// The text, and the body if it has not ended.
    Text(Read, Option<Box<Rest>>),
}

/// A job with its deadline, or why it is not begun.
pub(super) type Booked = Result<(Job, Instant), Error>;

/// The limits of jobs that are done together.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    /// The most requests that are under way at once.
    pub(super) at_once: usize,
    /// The most bytes that are kept of all bodies together.
    pub(super) bodies: usize,
}

/// What all requests of one guest share.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) network: &'a Network,
    pub(super) authorization: &'a Authorization,
    pub(super) connections: &'a Connections,
    pub(super) in_flight: &'a InFlightBytes,
    /// One permit for each body that the guest may still leave unread.
    pub(super) open_bodies: &'a Semaphore,
}

impl Client<'_> {
    /// Does several jobs. The bytes that are kept of bodies are divided evenly among them.
    pub(super) async fn receive_all(
        self,
        booked: Vec<Booked>,
        limits: BatchLimits,
    ) -> Vec<Result<Received, Error>> {
        let share = limits.bodies / booked.len().max(1);
        let permits = Semaphore::new(limits.at_once);
        let received = booked.into_iter().map(async |booked| {
            let (job, latest) = booked?;
            let _permit = permits.acquire().await;
            let timeout = milliseconds(job.request.timeout_ms);
            let deadline = timeout.map_or(latest, |timeout| latest.min(Instant::now() + timeout));
            // Boxed, so that a request that only waits for its permit takes little memory.
            Box::pin(self.receive(job, deadline, share)).await
        });
        join_all(received).await
    }

    /// Does one job until the deadline. At most `most` bytes of the body are kept.
    pub(super) async fn receive(
        self,
        mut job: Job,
        deadline: Instant,
        most: usize,
    ) -> Result<Received, Error> {
        let wanted = std::mem::replace(&mut job.body, Wanted::Nothing);
        let outgoing = Outgoing::parse(job, most)?;
        let most = outgoing.limit;
        let mut progress = Progress::new();
        let exchange = Exchange { client: self, deadline, progress: &mut progress };
        let begun = timeout_at(deadline, exchange.run(outgoing)).await;
        let (mut head, body, keep) = begun.unwrap_or(Err(Error::Timeout(progress.phase)))?;
        let (content, body) = match wanted {
            Wanted::Nothing => (Content::Unread, body.into_ended()),
            Wanted::Bytes => self.read_bytes(body, deadline).await?,
            Wanted::Text(options) => self.read_text(&head, body, deadline, most, options).await,
        };
        head.timings.transfer_ns = content.transfer_ns();
        if let (Some(body), Some(for_use)) = (body, keep) {
            body.keep(self.connections, for_use);
        }
        Ok(Received { head, content })
    }

    /// The bytes of a body, and the body if it was read to its end.
    async fn read_bytes(self, mut body: Body, deadline: Instant) -> Result<(Content, Option<Body>), Error> {
        let truncated = match body.read(deadline, None, self.in_flight).await {
            BodyEnd::Broken(error) => return Err(error),
            end => !matches!(end, BodyEnd::Complete),
        };
        let bytes = std::mem::take(&mut body.bytes);
        let content = Content::Bytes(bytes, truncated, body.took);
        Ok((content, (!truncated).then_some(body)))
    }

    /// The text of a body, and the body if it was read to its end.
    async fn read_text(
        self,
        head: &Head,
        body: Body,
        deadline: Instant,
        most: usize,
        options: TextOptions,
    ) -> (Content, Option<Body>) {
        let permit = options.pause_ms.and_then(|_| self.open_bodies.try_acquire().ok());
        let pause = options.pause_ms.filter(|_| permit.is_some());
        let format = Format::of(&head.headers, options.charset);
        let mut rest = Rest::new(body, format, deadline, most, self.in_flight.another(), target(&head.url));
        let read = rest.read(self.network, self.authorization.namespace(), pause, self.in_flight).await;
        match (&read.end, permit) {
            (BodyEnd::Paused, Some(permit)) => {
                permit.forget();
                (Content::Text(read, Some(Box::new(rest))), None)
            }
            (BodyEnd::Complete, _) => (Content::Text(read, None), Some(rest.into_body())),
            _ => (Content::Text(read, None), None),
        }
    }
}

impl Content {
    fn transfer_ns(&self) -> u64 {
        match self {
            Self::Unread => 0,
            Self::Bytes(_, _, took) => nanoseconds(*took),
            Self::Text(read, _) => nanoseconds(read.took),
        }
    }
}

impl From<Request> for Job {
    fn from(mut request: Request) -> Self {
        let tls = request.tls.take().map(TlsClient::from);
        Self { request, tls, host: None, cookies: false, body: Wanted::Bytes }
    }
}

impl From<Fetch> for Job {
    fn from(fetch: Fetch) -> Self {
        Self {
            request: fetch.request,
            tls: fetch.tls,
            host: fetch.host,
            cookies: fetch.cookies,
            body: fetch.text.map_or(Wanted::Nothing, Wanted::Text),
        }
    }
}
