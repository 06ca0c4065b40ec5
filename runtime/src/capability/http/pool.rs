//! Connections that one check left open and may go on with.

use super::{connection::Connection, outgoing::Outgoing};
use crate::{
    capability::{bindings::aviary::check::http::IpFamily, tls::Trust},
    grant::address::Reach,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use url::Origin;

/// How many idle connections a check may have.
const MOST_IDLE: usize = 4;
/// How long a connection may be idle.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The idle connections of one check.
#[derive(Default)]
pub struct Connections(Mutex<Vec<Idle>>);

/// What a connection can be used for. How far it reaches belongs to it: other methods may be granted less.
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
    connection: Connection,
}

impl Use {
    /// What this request needs, which may go so far.
    pub(super) fn of(outgoing: &Outgoing, reach: Reach) -> Self {
        Self { origin: outgoing.url.origin(), reach, trust: outgoing.trust(), family: outgoing.family }
    }
}

impl Connections {
    /// The connection used last that still works.
    pub(super) fn take(&self, wanted: &Use) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
        while let Some(index) = idle.iter().rposition(|idle| idle.for_use == *wanted) {
            let mut connection = idle.remove(index).connection;
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose response was read to its end, if the server keeps it too.
    pub(super) fn put(&self, for_use: Use, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
        if idle.len() == MOST_IDLE {
            idle.remove(0);
        }
        idle.push(Idle { for_use, since: Instant::now(), connection });
    }
}
