//! The seats of connections: those that say nothing make room for others.

use crate::api::{
    client::Client,
    seats::{Full, Seat, Seats},
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

/// The seats of connections. One that says nothing has to leave when somebody else needs its seat; one whose request
/// is being answered keeps it.
pub(super) struct Seating {
    seats: Seats,
    silent: Arc<Mutex<Silent>>,
}

/// The connections that nobody owes an answer, in the order in which they fell silent.
#[derive(Default)]
struct Silent {
    seats: BTreeMap<u64, (Seat, CancellationToken)>,
    next: u64,
}

/// A connection that has a seat.
pub(super) struct Seated {
    silent: Arc<Mutex<Silent>>,
    /// Says that it has to leave.
    leave: CancellationToken,
    /// Its place among those who are silent, if it is.
    place: AtomicU64,
}

/// A request that is being answered; its connection keeps its seat meanwhile.
pub(super) struct Attended {
    seated: Arc<Seated>,
    seat: Option<Seat>,
}

/// The body of an answer. Once all of it has been taken, the connection is silent again.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _attended: Option<Attended>,
}

impl Seating {
    /// So many seats in all, and for each client.
    pub(super) fn new(most: usize, of_each: usize) -> Self {
        Self { seats: Seats::new(most, of_each), silent: Arc::default() }
    }

    /// Gives a new connection of this client, or of somebody without a share, a seat, if need be of who has said nothing for longest: one of its own
    /// where it has its share, else anybody.
    pub(super) fn admit(&self, client: Option<Client>) -> Option<Arc<Seated>> {
        let mut silent = lock(&self.silent);
        let seat = loop {
            match self.seats.take(client) {
                Ok(seat) => break seat,
                Err(Full::Share) => silent.dismiss(|seat| seat.client() == client)?,
                Err(Full::All) => silent.dismiss(|_| true)?,
            }
        };
        let leave = CancellationToken::new();
        let place = silent.add(seat, leave.clone()).into();
        Some(Arc::new(Seated { silent: Arc::clone(&self.silent), leave, place }))
    }
}

impl Silent {
    fn add(&mut self, seat: Seat, leave: CancellationToken) -> u64 {
        self.next += 1;
        self.seats.insert(self.next, (seat, leave));
        self.next
    }

    /// Makes the first such connection leave, if there is one.
    fn dismiss(&mut self, whom: impl Fn(&Seat) -> bool) -> Option<()> {
        let place = *self.seats.iter().find(|(_, (seat, _))| whom(seat))?.0;
        let (_, leave) = self.seats.remove(&place)?;
        leave.cancel();
        Some(())
    }
}

impl Seated {
    /// Goes on until the connection has to leave.
    pub(super) async fn stay(&self, connection: impl Future<Output = ()>) {
        self.leave.run_until_cancelled(connection).await;
    }

    /// The connection has sent a request; nothing if it has lost its seat already.
    pub(super) fn attend(self: &Arc<Self>) -> Option<Attended> {
        let (seat, _) = lock(&self.silent).seats.remove(&self.place.load(Relaxed))?;
        Some(Attended { seated: Arc::clone(self), seat: Some(seat) })
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let left = lock(&self.silent).seats.remove(&self.place.load(Relaxed));
        drop(left);
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(seat) = self.seat.take() else { return };
        let mut silent = lock(&self.seated.silent);
        self.seated.place.store(silent.add(seat, self.seated.leave.clone()), Relaxed);
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
