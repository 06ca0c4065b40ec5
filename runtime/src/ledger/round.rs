//! A round in the ledger: one life of a guest, and the places where it makes objects.

use super::{
    Ledger, Mark, ObjectLocation,
    book::Line,
    due::Due,
    proof::{Unproven, prove},
};
use crate::cluster::{in_words, within};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most places in which one check can make objects.
const MOST_PLACES: usize = 32;

/// One life of a guest. When it is dropped, the objects that the guest made are swept.
pub struct Round {
    ledger: Arc<Ledger>,
    mark: Mark,
    /// The places where it was proven that objects can be found and deleted again.
    proven: Mutex<BTreeSet<ObjectLocation>>,
}

/// Why a guest may not make an object at a place.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The check makes objects in as many other places as it may.
    #[error("a check can make objects of at most {MOST_PLACES} kinds and namespaces")]
    TooMany,
    /// It is not proven that the object could be deleted again.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// The place cannot be noted in the book, so the object could not be found again.
    #[error("cannot note in the ledger that the check makes objects: {}", in_words(.0))]
    Book(#[from] kube::Error),
}

impl Round {
    pub(super) fn new(ledger: Arc<Ledger>, mark: Mark) -> Self {
        Self { ledger, mark, proven: Mutex::default() }
    }

    /// The labels for the objects that the guest makes.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Notes that the guest is about to make objects at a place, if it is proven that they can be found and
    /// deleted there.
    pub async fn enter(&self, place: ObjectLocation) -> Result<(), EnterError> {
        if self.proven().contains(&place) {
            return Ok(());
        }
        // Proven anew in each round, as rights may be taken away.
        let proof = prove(&self.ledger.cluster, &place, &self.ledger.daemon, self.mark.key());
        let (proven, uid) = tokio::join!(proof, self.namespace_uid(&place));
        proven?;
        self.note(&place, uid).await?;
        self.proven().insert(place);
        Ok(())
    }

    /// The uid of the place's namespace, if the daemon may see it. None for its own namespace, with which the
    /// ledger would be gone too.
    async fn namespace_uid(&self, place: &ObjectLocation) -> Option<String> {
        let cluster = &self.ledger.cluster;
        let namespace = place.namespace.as_deref().filter(|namespace| *namespace != cluster.namespace())?;
        within(cluster.uid_of(namespace)).await.ok().flatten()
    }

    pub(super) async fn note(&self, place: &ObjectLocation, uid: Option<String>) -> Result<(), EnterError> {
        let key = self.mark.key();
        loop {
            let strikes = {
                let mut state = self.ledger.state();
                let places = state.places.entry(key.clone()).or_default();
                match places.get(place) {
                    Some(known) if uid.is_none() || *known == uid => return Ok(()),
                    None if places.len() >= MOST_PLACES => return Err(EnterError::TooMany),
                    _ => state.strikes,
                }
            };
            if let Some(book) = &self.ledger.book {
                book.add([&Line::new(key, place, uid.as_deref())]).await?;
            }
            let mut state = self.ledger.state();
            // If lines were removed meanwhile, this one may be among them.
            if state.strikes == strikes {
                state.places.entry(key.clone()).or_default().insert(place.clone(), uid);
                return Ok(());
            }
        }
    }

    fn proven(&self) -> MutexGuard<'_, BTreeSet<ObjectLocation>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let key = self.mark.key();
        let mut state = self.ledger.state();
        if let Some(open) = state.open.get_mut(key) {
            open.remove(self.mark.round());
            if open.is_empty() {
                state.open.remove(key);
            }
        }
        if state.places.contains_key(key) {
            let due = state.due.entry(key.clone()).or_insert_with(Due::now);
            *due = due.after_a_round();
            self.ledger.wake.notify_one();
        }
    }
}
