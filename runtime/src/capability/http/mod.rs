//! The `http` capability. Each request is judged by its grant, and has a connection of its own unless told
//! otherwise.

mod body;
mod client;
mod connection;
mod cookies;
mod driver;
mod exchange;
mod outgoing;
mod pool;
mod proxy;
pub mod redirect;
mod response;
mod rest;
#[cfg(test)]
mod tests;
mod text;

pub use client::Job;
pub use outgoing::Outgoing;
pub use pool::Connections;
pub use rest::Rest;
pub(super) use rest::decodings;

use super::{
    bindings::aviary::check::http::{
        Answer, BodyEnd, BodyText, Error, Fetch, Host, HostRest, Request, Response,
    },
    call_end::end_calls,
    milliseconds, nanoseconds,
};
use crate::{
    capability::{Crowded, HostState},
    grant::Capability,
    value::Limit,
};
use client::{BatchLimits, Booked, Client, Received};
use outgoing::MOST_KEPT;
use rest::{MOST_OPEN, Read};
use std::{iter::repeat_with, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use url::Url;
use wasmtime::component::Resource;

/// The most requests of one `send-all` or `fetch-all`.
const MOST_REQUESTS: usize = 100;
/// The most bytes that are kept of the bodies of one `send-all` or `fetch-all` together.
const MOST_KEPT_TOGETHER: usize = 8 * MOST_KEPT;
/// How many bytes of a URL's path appear in messages.
const LONGEST_PATH_SHOWN: usize = 100;

impl Host for HostState {
    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        self.in_flight.clear();
        let timeout = milliseconds(request.timeout_ms);
        let deadline = self.begin_http(&request, timeout)?;
        let (most, open_bodies) = (self.calls.room(), Semaphore::new(0));
        let result = self.client(&open_bodies).receive(request.into(), deadline, most).await;
        self.finish_http(&result);
        result.map(Response::from)
    }

    async fn send_all(&mut self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        let received = self.receive_all(requests.into_iter().map(Job::from)).await;
        received.into_iter().map(|result| result.map(Response::from)).collect()
    }

    async fn fetch_all(&mut self, fetches: Vec<Fetch>) -> Vec<Result<Answer, Error>> {
        let received = self.receive_all(fetches.into_iter().map(Job::from)).await;
        received.into_iter().map(|result| result.map(|received| self.hand_over(received))).collect()
    }

    async fn read_on(&mut self, this: Resource<Rest>, pause_ms: Option<u32>) -> wasmtime::Result<BodyText> {
        self.in_flight.clear();
        let mut rest = Box::new(self.table.delete(this)?);
        let deadline = self.calls.begin(Capability::Http, rest.target.as_str(), None);
        if let Err(spent) = deadline {
            let end = body::BodyEnd::Broken(Error::Denied(spent.to_string()));
            return Ok(self.body_text(Read::nothing(end), None));
        }
        let namespace = self.program.authorization.namespace();
        let before = rest.received();
        let read = rest.read(&self.network, namespace, pause_ms, &self.in_flight).await;
        self.finish(&read.end);
        // No more was asked for than the run may receive, so nothing is refused here.
        let _ = self.calls.receive(read.received - before);
        Ok(self.body_text(read, Some(rest)))
    }
}

impl HostRest for HostState {
    async fn drop(&mut self, this: Resource<Rest>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

end_calls!(Error, Error::Timeout(_));

impl From<Crowded> for Error {
    fn from(crowded: Crowded) -> Self {
        Self::Denied(crowded.to_string())
    }
}

impl HostState {
    fn client<'a>(&'a self, open_bodies: &'a Semaphore) -> Client<'a> {
        Client {
            network: &self.network,
            authorization: &self.program.authorization,
            connections: &self.connections,
            in_flight: &self.in_flight,
            open_bodies,
        }
    }

    /// Does several jobs, and returns what came back in the same order.
    async fn receive_all(
        &mut self,
        mut jobs: impl ExactSizeIterator<Item = Job>,
    ) -> Vec<Result<Received, Error>> {
        self.in_flight.clear();
        let refused = jobs.len().saturating_sub(MOST_REQUESTS);
        let booked: Vec<Booked> = jobs.by_ref().take(MOST_REQUESTS).map(|job| self.book(job)).collect();
        let begun: Vec<bool> = booked.iter().map(Result::is_ok).collect();
        let limits = BatchLimits {
            at_once: self.program.limits.count(Limit::ConcurrentCalls),
            bodies: self.calls.room().min(MOST_KEPT_TOGETHER),
        };
        if begun.iter().filter(|begun| **begun).count() > limits.at_once {
            self.usage.hits.count(Limit::ConcurrentCalls);
        }
        let open = self.table.iter_mut().filter(|resource| resource.is::<Rest>()).count();
        let open_bodies = Semaphore::new(MOST_OPEN.saturating_sub(open));
        let mut results = self.client(&open_bodies).receive_all(booked, limits).await;
        // Calls finish in the reverse order of their beginning.
        for (result, _) in results.iter().zip(begun).rev().filter(|(_, begun)| *begun) {
            self.finish_http(result);
        }
        let too_many = || Err(Error::Invalid(format!("at most {MOST_REQUESTS} requests are sent together")));
        results.extend(repeat_with(too_many).take(refused));
        results
    }

    fn book(&mut self, job: Job) -> Booked {
        let deadline = self.begin_http(&job.request, None)?;
        Ok((job, deadline))
    }

    fn begin_http(&mut self, request: &Request, timeout: Option<Duration>) -> Result<Instant, Error> {
        let booked = self.calls.send(Capability::Http, sent(request));
        let begun = booked.and_then(|()| self.calls.begin(Capability::Http, target(&request.url), timeout));
        begun.map_err(|spent| Error::Denied(spent.to_string()))
    }

    fn finish_http(&mut self, result: &Result<Received, Error>) {
        match result {
            Ok(received) => {
                self.finish(received);
                // The body was cut to what the run may receive, so nothing is refused here.
                let _ = self.calls.receive(received.length());
            }
            Err(error) => self.finish(error),
        }
    }

    /// The answer for the guest, which gets a handle for a body that has not ended.
    fn hand_over(&mut self, received: Received) -> Answer {
        let (answer, read, rest) = received.into_answer();
        Answer { body: self.body_text(read, rest), ..answer }
    }

    fn body_text(&mut self, read: Read, rest: Option<Box<Rest>>) -> BodyText {
        let end = match read.end {
            body::BodyEnd::Unread => BodyEnd::Unread,
            body::BodyEnd::Complete => BodyEnd::Complete,
            body::BodyEnd::Truncated => BodyEnd::Truncated,
            body::BodyEnd::Broken(error) => BodyEnd::Broken(error),
            body::BodyEnd::Undecodable(reason) => BodyEnd::Undecodable(reason),
            body::BodyEnd::Paused => self.paused(rest),
        };
        BodyText { text: read.text, end, received: read.received as u64, transfer_ns: nanoseconds(read.took) }
    }

    fn paused(&mut self, rest: Option<Box<Rest>>) -> BodyEnd {
        match rest.map(|rest| self.table.push(*rest)) {
            Some(Ok(rest)) => BodyEnd::Paused(rest),
            _ => BodyEnd::Broken(Error::Denied("the guest holds as many handles as it may".to_owned())),
        }
    }
}

fn sent(request: &Request) -> usize {
    request.url.len() + length(&request.headers) + request.body.as_ref().map_or(0, Vec::len)
}

fn length(headers: &[(String, String)]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// The URL for people, without the parts where secrets tend to be.
fn target(url: &str) -> String {
    if url.len() > outgoing::LONGEST_URL {
        return "a URL that is too long".to_owned();
    }
    let Ok(url) = Url::parse(url) else { return "an invalid URL".to_owned() };
    let origin = url.origin().ascii_serialization();
    origin + url.path().get(..LONGEST_PATH_SHOWN).unwrap_or(url.path())
}
