//! Whether the sources of checks can be reached.

use crate::text::{cut_to, printable};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The most bytes of an error that are kept.
const LONGEST_ERROR: usize = 1024;
/// The most errors of one source that are told at once.
const MOST_ERRORS: usize = 3;

/// How a source of checks can be reached: the source writes, everybody else reads.
///
/// A source has one or more places, such as directories or namespaces, each reached by itself.
#[derive(Debug)]
pub struct SourceStatus {
    name: &'static str,
    places: Mutex<BTreeMap<String, PlaceStatus>>,
    refused: AtomicUsize,
}

/// A source of checks as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// What kind of source it is.
    #[schema(value_type = String)]
    pub name: &'static str,
    /// Whether all places of the source can be reached.
    pub connected: bool,
    /// Since when the source can be reached, or cannot.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When all places of the source were last known to be up to date.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_contact: Option<Timestamp>,
    /// Why the source cannot be reached; empty if it can.
    pub error: String,
    /// How many of its ConfigMaps are refused as a whole, because their namespace may not have so many checks.
    pub refused: usize,
}

#[derive(Debug)]
struct PlaceStatus {
    since: Timestamp,
    last_contact: Option<Timestamp>,
    /// Why the place cannot be reached; none if it can.
    error: Option<String>,
}

impl SourceStatus {
    /// The status of a source with these places, none of them reached yet.
    pub fn new(name: &'static str, places: impl IntoIterator<Item = String>) -> Self {
        let now = Timestamp::now();
        let unknown = |place: String| {
            let error = Some(format!("{place} has not answered yet"));
            (place, PlaceStatus { since: now, last_contact: None, error })
        };
        Self {
            name,
            places: Mutex::new(places.into_iter().map(unknown).collect()),
            refused: AtomicUsize::new(0),
        }
    }

    /// Takes note that a place answers; true if it did not before.
    pub fn reached(&self, place: &str) -> bool {
        let mut places = self.places();
        let Some(place) = places.get_mut(place) else { return false };
        let now = Timestamp::now();
        place.last_contact = Some(now);
        let is_news = place.error.take().is_some();
        if is_news {
            place.since = now;
        }
        is_news
    }

    /// Takes note that a place cannot be reached; true if that is so for another reason than before.
    pub fn lost(&self, place: &str, error: &str) -> bool {
        let error = printable(cut_to(error, LONGEST_ERROR)).into_owned();
        let mut places = self.places();
        let Some(place) = places.get_mut(place) else { return false };
        let before = place.error.replace(error);
        if before.is_none() {
            place.since = Timestamp::now();
        }
        before != place.error
    }

    /// Takes note of how many ConfigMaps are refused as a whole.
    pub fn refuse(&self, count: usize) {
        self.refused.store(count, Relaxed);
    }

    /// The source as a reader sees it now. It cannot be reached if one of its places cannot.
    pub fn source(&self) -> Source {
        let places = self.places();
        let connected = places.values().all(|place| place.error.is_none());
        let relevant = places.values().filter(|place| connected || place.error.is_some());
        let since = relevant.map(|place| place.since);
        let errors: Vec<_> = places.values().filter_map(|place| place.error.as_deref()).collect();
        let mut error = errors.iter().take(MOST_ERRORS).copied().collect::<Vec<_>>().join("; ");
        if let Some(more @ 1..) = errors.len().checked_sub(MOST_ERRORS) {
            error += &format!("; and {more} more");
        }
        Source {
            name: self.name,
            connected,
            since: if connected { since.max() } else { since.min() }.unwrap_or_default(),
            last_contact: places.values().map(|place| place.last_contact).min().flatten(),
            error,
            refused: self.refused.load(Relaxed),
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, PlaceStatus>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(places: &[&str]) -> SourceStatus {
        SourceStatus::new("configmap", places.iter().map(|place| (*place).to_owned()))
    }

    #[test]
    fn a_source_is_cut_off_until_it_answers_for_the_first_time() {
        let contact = contact(&["a"]);
        let source = contact.source();
        assert_eq!((source.connected, source.error.as_str()), (false, "a has not answered yet"));
        assert_eq!(source.last_contact, None);
        assert!(contact.reached("a") && !contact.reached("a"));
        let source = contact.source();
        assert!(source.connected && source.error.is_empty() && source.last_contact.is_some());
    }

    #[test]
    fn one_place_that_cannot_be_reached_cuts_the_source_off_since_it_was_lost() {
        let contact = contact(&["a", "b"]);
        assert!(contact.reached("a") && contact.reached("b"));
        let before = contact.source();
        assert!(contact.lost("b", "refused") && !contact.lost("b", "refused"));
        let since = contact.source().since;
        assert!(contact.lost("b", "timed out"), "another reason");
        contact.reached("a");
        let source = contact.source();
        assert!(!source.connected && source.since == since && since >= before.since);
        assert_eq!(source.error, "timed out");
        assert!(contact.reached("b") && contact.source().since >= since);
    }

    #[test]
    fn many_errors_are_told_in_short() {
        let source = contact(&["a", "b", "c", "d", "e"]).source();
        assert!(source.error.ends_with("c has not answered yet; and 2 more"), "{}", source.error);
    }
}
