//! HTTP requests: each judged by its grant, on a connection of its own unless told otherwise.

mod connection;
mod exchange;
mod outgoing;
mod pool;
pub mod redirect;
#[cfg(test)]
mod tests;

pub use outgoing::Outgoing;
pub use pool::Connections;

use super::{
    Capability,
    bindings::aviary::check::http::{Error, Host, Request, Response},
    dial::Network,
    ended::Ended,
    milliseconds,
};
use crate::{grant::Permit, sandbox::State};
use exchange::{Exchange, Progress};
use futures_util::{StreamExt, stream};
use outgoing::MOST_KEPT;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// How many requests of one `send-all` are under way at once.
const AT_ONCE: usize = 8;
/// How many requests one `send-all` takes.
const MOST_REQUESTS: usize = 100;
/// How much of a URL's path appears in messages.
const LONGEST_PATH_SHOWN: usize = 100;

impl Host for State {
    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        let timeout = milliseconds(request.timeout_ms);
        let deadline = self.calls.begin(Capability::Http, target(&request.url), timeout);
        let deadline = deadline.map_err(|error| Error::Denied(error.to_string()))?;
        let result = send(&self.network, &self.check.permit, &self.connections, request, deadline).await;
        self.finish(&result);
        result
    }

    async fn send_all(&mut self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        let mut booked = Vec::with_capacity(requests.len().min(MOST_REQUESTS));
        for request in &requests[..requests.len().min(MOST_REQUESTS)] {
            let deadline = self.calls.begin(Capability::Http, target(&request.url), None);
            booked.push(deadline.map_err(|error| Error::Denied(error.to_string())));
        }
        let begun = booked.iter().filter(|deadline| deadline.is_ok()).count();
        let results = send_all(&self.network, &self.check.permit, &self.connections, requests, booked).await;
        // The call begun last is the first to finish.
        for result in results[..begun].iter().rev() {
            self.finish(result);
        }
        results
    }
}

impl<'a> From<&'a Error> for Ended<'a> {
    fn from(error: &'a Error) -> Self {
        match error {
            Error::Denied(why) => Self::Denied(why),
            Error::Timeout(_) => Self::Timeout,
            _ => Self::Error,
        }
    }
}

/// Sends one request, and waits for the response until the deadline.
pub async fn send(
    network: &Network,
    permit: &Permit,
    connections: &Connections,
    request: Request,
    deadline: Instant,
) -> Result<Response, Error> {
    let outgoing = Outgoing::parse(request)?;
    let mut progress = Progress::new();
    let exchange = Exchange { network, permit, connections, deadline, progress: &mut progress };
    let result = timeout_at(deadline, exchange.run(outgoing)).await;
    result.unwrap_or(Err(Error::Timeout(progress.phase)))
}

/// Sends several requests, eight at a time. The bodies that are kept share 8 MiB evenly. `booked` holds the
/// deadline of each request, or why it is not sent; requests beyond it are refused.
pub async fn send_all(
    network: &Network,
    permit: &Permit,
    connections: &Connections,
    requests: Vec<Request>,
    booked: Vec<Result<Instant, Error>>,
) -> Vec<Result<Response, Error>> {
    let share = AT_ONCE * MOST_KEPT / requests.len().clamp(AT_ONCE, MOST_REQUESTS);
    let refusal = || Err(Error::Invalid(format!("send-all takes at most {MOST_REQUESTS} requests")));
    let booked = booked.into_iter().chain(std::iter::repeat_with(refusal));
    let sent = requests.into_iter().zip(booked).map(|(mut request, booked)| async move {
        let latest = booked?;
        let timeout = milliseconds(request.timeout_ms);
        let deadline = timeout.map_or(latest, |timeout| latest.min(Instant::now() + timeout));
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        request.body_limit = Some(request.body_limit.map_or(share, |limit| limit.min(share)));
        send(network, permit, connections, request, deadline).await
    });
    stream::iter(sent).buffered(AT_ONCE).collect().await
}

/// The URL for people: without the parts where secrets tend to be.
fn target(url: &str) -> String {
    if url.len() > outgoing::LONGEST_URL {
        return "a URL that is too long".to_owned();
    }
    let Ok(url) = Url::parse(url) else { return "an invalid URL".to_owned() };
    let origin = url.origin().ascii_serialization();
    origin + url.path().get(..LONGEST_PATH_SHOWN).unwrap_or(url.path())
}
