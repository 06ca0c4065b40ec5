//! The `http` capability. Each request is judged by its grant, and has a connection of its own unless told
//! otherwise.

mod connection;
mod driver;
mod exchange;
mod outgoing;
mod pool;
pub mod redirect;
#[cfg(test)]
mod tests;

pub use outgoing::Outgoing;
pub use pool::Connections;

use super::{
    bindings::aviary::check::http::{Answer, BodyText, Error, Fetch, Host, HostRest, Request, Response},
    call_end::end_calls,
    dial::Network,
    milliseconds,
};
use crate::{
    capability::{Crowded, HostState, InFlightBytes},
    grant::{Authorization, Capability},
    value::Limit,
};
use exchange::{Exchange, Progress};
use futures_util::future::join_all;
use outgoing::MOST_KEPT;
use std::{iter::repeat_with, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use url::Url;
use wasmtime::component::Resource;

/// The most requests of one `send-all`.
const MOST_REQUESTS: usize = 100;
/// The most bytes that are kept of the bodies of one `send-all` together.
const MOST_KEPT_TOGETHER: usize = 8 * MOST_KEPT;
/// How many bytes of a URL's path appear in messages.
const LONGEST_PATH_SHOWN: usize = 100;

impl Host for HostState {
    async fn send(&mut self, mut request: Request) -> Result<Response, Error> {
        self.in_flight.clear();
        let timeout = milliseconds(request.timeout_ms);
        let deadline = self.begin_http(&request, timeout)?;
        cap_body(&mut request, self.calls.room());
        let result = self.client().send(request, deadline).await;
        self.finish_http(&result);
        result
    }

    async fn send_all(&mut self, mut requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        self.in_flight.clear();
        let refused = requests.len().saturating_sub(MOST_REQUESTS);
        requests.truncate(MOST_REQUESTS);
        let booked: Vec<Booked> = requests.into_iter().map(|request| self.book(request)).collect();
        let begun: Vec<bool> = booked.iter().map(Result::is_ok).collect();
        let limits = BatchLimits {
            at_once: self.program.limits.count(Limit::ConcurrentCalls),
            bodies: self.calls.room().min(MOST_KEPT_TOGETHER),
        };
        if begun.iter().filter(|begun| **begun).count() > limits.at_once {
            self.usage.hits.count(Limit::ConcurrentCalls);
        }
        let mut results = self.client().send_all(booked, limits).await;
        // Calls finish in the reverse order of their beginning.
        for (result, _) in results.iter().zip(begun).rev().filter(|(_, begun)| *begun) {
            self.finish_http(result);
        }
        let too_many = || Err(Error::Invalid(format!("send-all takes at most {MOST_REQUESTS} requests")));
        results.extend(repeat_with(too_many).take(refused));
        results
    }

    async fn fetch_all(&mut self, fetches: Vec<Fetch>) -> Vec<Result<Answer, Error>> {
        let refuse = |_| Err(Error::Invalid("fetch-all is not offered yet".to_owned()));
        fetches.iter().map(refuse).collect()
    }
}

/// The rest of a body that has not ended.
pub struct Rest;

impl HostRest for HostState {
    async fn read(&mut self, this: Resource<Rest>, _: Option<u32>) -> wasmtime::Result<BodyText> {
        self.table.get(&this)?;
        Err(wasmtime::Error::msg("reading on is not offered yet"))
    }

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
    fn client(&self) -> Client<'_> {
        Client {
            network: &self.network,
            authorization: &self.program.authorization,
            connections: &self.connections,
            in_flight: &self.in_flight,
        }
    }

    fn book(&mut self, request: Request) -> Booked {
        let deadline = self.begin_http(&request, None)?;
        Ok((request, deadline))
    }

    fn begin_http(&mut self, request: &Request, timeout: Option<Duration>) -> Result<Instant, Error> {
        let booked = self.calls.send(Capability::Http, sent(request));
        let begun = booked.and_then(|()| self.calls.begin(Capability::Http, target(&request.url), timeout));
        begun.map_err(|spent| Error::Denied(spent.to_string()))
    }

    fn finish_http(&mut self, result: &Result<Response, Error>) {
        self.finish(result);
        if let Ok(response) = result {
            // The body was cut to what the run may receive, so nothing is refused here.
            let _ = self.calls.receive(received(response));
        }
    }
}

/// The limits of one `send-all`.
#[derive(Clone, Copy, Debug)]
struct BatchLimits {
    /// The most requests that are under way at once.
    at_once: usize,
    /// The most bytes that are kept of all bodies together.
    bodies: usize,
}

/// A request of a `send-all` with its deadline, or why it is not sent.
type Booked = Result<(Request, Instant), Error>;

/// What all requests of one guest share.
#[derive(Clone, Copy)]
struct Client<'a> {
    network: &'a Network,
    authorization: &'a Authorization,
    connections: &'a Connections,
    in_flight: &'a InFlightBytes,
}

impl Client<'_> {
    /// Sends one request, and waits for the response until the deadline.
    async fn send(self, request: Request, deadline: Instant) -> Result<Response, Error> {
        let outgoing = Outgoing::parse(request)?;
        let mut progress = Progress::new();
        let exchange = Exchange { client: self, deadline, progress: &mut progress };
        let result = timeout_at(deadline, exchange.run(outgoing)).await;
        result.unwrap_or(Err(Error::Timeout(progress.phase)))
    }

    /// Sends several requests. The bytes that are kept of bodies are divided evenly among them.
    async fn send_all(self, booked: Vec<Booked>, limits: BatchLimits) -> Vec<Result<Response, Error>> {
        let share = limits.bodies / booked.len().max(1);
        let permits = Semaphore::new(limits.at_once);
        let sent = booked.into_iter().map(async |booked| {
            let (mut request, latest) = booked?;
            let _permit = permits.acquire().await;
            let timeout = milliseconds(request.timeout_ms);
            let deadline = timeout.map_or(latest, |timeout| latest.min(Instant::now() + timeout));
            cap_body(&mut request, share);
            // Boxed, so that a request that only waits for its permit takes little memory.
            Box::pin(self.send(request, deadline)).await
        });
        join_all(sent).await
    }
}

fn cap_body(request: &mut Request, most: usize) {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    request.body_limit = Some(request.body_limit.map_or(most, |limit| limit.min(most)));
}

fn sent(request: &Request) -> usize {
    request.url.len() + length(&request.headers) + request.body.as_ref().map_or(0, Vec::len)
}

fn received(response: &Response) -> usize {
    length(&response.headers) + response.body.len()
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
