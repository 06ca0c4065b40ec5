//! One life of a guest, and where it makes objects.

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

/// The most kinds and namespaces in which one check can make objects.
const MOST_PLACES: usize = 32;

/// One life of a guest. When it ends, so does what the guest made.
pub struct Round {
    ledger: Arc<Ledger>,
    mark: Mark,
    /// Where it was shown that objects can be found and deleted again.
    proven: Mutex<BTreeSet<ObjectLocation>>,
}

/// Why a guest may not make an object.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The check has made objects of too many kinds.
    #[error("a check can make objects of at most {MOST_PLACES} kinds and namespaces")]
    TooMany,
    /// What is made could not be deleted again.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// What is made could not be found again.
    #[error("cannot note in the ledger that the check makes objects: {}", in_words(.0))]
    Book(#[from] kube::Error),
}

impl Round {
    pub(super) fn new(ledger: Arc<Ledger>, mark: Mark) -> Self {
        Self { ledger, mark, proven: Mutex::default() }
    }

    /// Whose objects its guest makes.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Notes that the guest is about to make objects at a place, if they can be found and deleted there.
    pub async fn enter(&self, place: ObjectLocation) -> Result<(), EnterError> {
        if self.proven().contains(&place) {
            return Ok(());
        }
        // In each round, as rights may be taken away.
        let proof = prove(&self.ledger.cluster, &place, &self.ledger.daemon, self.mark.key());
        let (proven, uid) = tokio::join!(proof, self.namespace_uid(&place));
        proven?;
        self.note(&place, uid).await?;
        self.proven().insert(place);
        Ok(())
    }

    /// The uid of the place's namespace, if the daemon may see it. With its own namespace the ledger would be gone too.
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
            // What was struck out meanwhile may have been this.
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
