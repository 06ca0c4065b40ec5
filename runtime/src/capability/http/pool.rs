//! The pool of connections that one check left open and may use again.

use super::{connection::HttpConnection, outgoing::Outgoing};
use crate::{
    capability::{bindings::aviary::check::http::IpFamily, tls::Trust},
    grant::address::Reach,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use url::Origin;

/// The most idle connections of a check.
const MOST_IDLE: usize = 4;
/// How long a connection may be idle before it is closed.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The idle connections of one check.
#[derive(Default)]
pub struct Connections {
    pool: Arc<Mutex<Pool>>,
    /// The task that closes connections that are idle for too long. It runs while any are idle.
    closing: Mutex<Option<AbortOnDropHandle<()>>>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Idle>,
    /// Whether the closing task runs.
    is_tended: bool,
}

/// What a connection can be used for. How far it may reach is part of that, as other methods may be granted
/// less.
#[derive(PartialEq, Eq)]
pub(super) struct Use {
    origin: Origin,
    reach: Reach,
    trust: Trust,
    family: IpFamily,
}

struct Idle {
    for_use: Use,
    since: Instant,
    connection: HttpConnection,
}

impl Use {
    /// What a request needs that may reach this far.
    pub(super) fn of(outgoing: &Outgoing, reach: Reach) -> Self {
        Self { origin: outgoing.url.origin(), reach, trust: outgoing.trust(), family: outgoing.family }
    }
}

impl Connections {
    /// Takes the connection used last for `wanted` that still works.
    pub(super) fn take(&self, wanted: &Use) -> Option<HttpConnection> {
        let mut pool = lock(&self.pool);
        pool.close_old();
        while let Some(index) = pool.idle.iter().rposition(|idle| idle.for_use == *wanted) {
            let mut connection = pool.idle.remove(index).connection;
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose response was read to its end, if the server keeps it open too.
    pub(super) fn put(&self, for_use: Use, mut connection: HttpConnection) {
        if !connection.is_ready() {
            return;
        }
        let mut pool = lock(&self.pool);
        pool.close_old();
        if pool.idle.len() == MOST_IDLE {
            pool.idle.remove(0);
        }
        pool.idle.push(Idle { for_use, since: Instant::now(), connection });
        if !std::mem::replace(&mut pool.is_tended, true) {
            let closing = AbortOnDropHandle::new(tokio::spawn(tend(Arc::downgrade(&self.pool))));
            *lock(&self.closing) = Some(closing);
        }
    }
}

impl Pool {
    fn close_old(&mut self) {
        self.idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
    }

    /// Closes what is idle for too long, and returns when the next connection will be. None is idle if it
    /// returns none, and the closing task ends.
    fn tend(&mut self) -> Option<Instant> {
        self.close_old();
        let first = self.idle.first().map(|idle| idle.since + LONGEST_IDLE);
        self.is_tended = first.is_some();
        first
    }
}

/// Closes connections when they have been idle for too long.
/// The check may not come again for hours, and each of them has a socket that others wait for.
async fn tend(pool: Weak<Mutex<Pool>>) {
    while let Some(next) = pool.upgrade().and_then(|pool| lock(&pool).tend()) {
        sleep_until(next).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
