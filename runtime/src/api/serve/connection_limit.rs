//! The limit of open connections. Idle connections make room for new ones.

use crate::api::{
    client::Client,
    client_limit::{ClientLimit, ClientPermit, Full},
};
use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;

/// The permits of connections. An idle connection has to leave when a new one needs its permit. A connection whose
/// request is being answered keeps its permit.
pub(super) struct ConnectionLimit {
    permits: ClientLimit,
    idle: Arc<Mutex<IdleConnections>>,
}

/// The idle connections, which have no request under way, in the order in which they became idle.
#[derive(Default)]
struct IdleConnections {
    permits: BTreeMap<u64, (ClientPermit, CancellationToken)>,
    next: u64,
}

/// A connection that has a permit.
pub(super) struct Connection {
    idle: Arc<Mutex<IdleConnections>>,
    /// Cancelled when the connection has to leave.
    leave: CancellationToken,
    /// The key of this connection in [`IdleConnections::permits`], while the connection is idle.
    place: AtomicU64,
}

/// A request that is being answered; its connection keeps its permit meanwhile.
pub(super) struct RequestGuard {
    connection: Arc<Connection>,
    permit: Option<ClientPermit>,
}

/// The body of an answer. The connection is idle again once this body is dropped.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _guard: Option<RequestGuard>,
}

impl ConnectionLimit {
    /// A limit of `most` connections in all, and of `of_each` for each client.
    pub(super) fn new(most: usize, of_each: usize) -> Self {
        Self { permits: ClientLimit::new(most, of_each), idle: Arc::default() }
    }

    /// Gives a permit to a new connection of this client, or of a client without a share. Where the client
    /// has its share already, its own connection that is idle for longest has to leave first. Where no permit
    /// is left at all, the longest idle of all connections has to leave. `None` if no such connection is
    /// idle.
    pub(super) fn admit(&self, client: Option<Client>) -> Option<Arc<Connection>> {
        let mut idle = lock(&self.idle);
        let permit = loop {
            match self.permits.take(client) {
                Ok(permit) => break permit,
                Err(Full::Share) => idle.dismiss(|permit| permit.client() == client)?,
                Err(Full::All) => idle.dismiss(|_| true)?,
            }
        };
        let leave = CancellationToken::new();
        let place = idle.add(permit, leave.clone()).into();
        Some(Arc::new(Connection { idle: Arc::clone(&self.idle), leave, place }))
    }
}

impl IdleConnections {
    fn add(&mut self, permit: ClientPermit, leave: CancellationToken) -> u64 {
        self.next += 1;
        self.permits.insert(self.next, (permit, leave));
        self.next
    }

    /// Makes the first idle connection leave whose permit `whom` accepts; none if there is none.
    fn dismiss(&mut self, whom: impl Fn(&ClientPermit) -> bool) -> Option<()> {
        let place = *self.permits.iter().find(|(_, (permit, _))| whom(permit))?.0;
        let (_, leave) = self.permits.remove(&place)?;
        leave.cancel();
        Some(())
    }
}

impl Connection {
    /// Drives the connection until it ends or has to leave.
    pub(super) async fn stay(&self, connection: impl Future<Output = ()>) {
        self.leave.run_until_cancelled(connection).await;
    }

    /// Notes that the connection has sent a request. Returns none if the connection has lost its permit
    /// already.
    pub(super) fn attend(self: &Arc<Self>) -> Option<RequestGuard> {
        let (permit, _) = lock(&self.idle).permits.remove(&self.place.load(Relaxed))?;
        Some(RequestGuard { connection: Arc::clone(self), permit: Some(permit) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let left = lock(&self.idle).permits.remove(&self.place.load(Relaxed));
        drop(left);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut idle = lock(&self.connection.idle);
        self.connection.place.store(idle.add(permit, self.connection.leave.clone()), Relaxed);
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
