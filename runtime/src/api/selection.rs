//! Selections of checks, and the answers that requests for the same selection share.

use super::{
    answer::Refusal,
    demand::Sweeps,
    formats::HealthFormat,
    response_cache::{ResponseCache, Store},
};
use crate::board::{Board, Entry};
use axum::http::StatusCode;
use std::{
    array,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// The most selections whose answers are shared, beside that of all checks. The one that was requested least
/// recently is dropped first.
const MOST: usize = 256;

/// A selection of checks by namespace, owner or both. Without either, all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) namespace: Option<String>,
    pub(super) owner: Option<String>,
}

/// The caches that requests for one selection share.
pub(super) struct Answers {
    pub(super) health: [ResponseCache; HealthFormat::OFFERS.len()],
    pub(super) checks: ResponseCache,
    pub(super) sweeps: Sweeps,
}

/// The caches of all selections.
pub(super) struct Selections {
    store: Store,
    all: Arc<Answers>,
    /// The caches for selections other than all checks. The one that was requested most recently is the last.
    parts: Mutex<VecDeque<(Selection, Arc<Answers>)>>,
}

impl Selection {
    /// The selected checks, ordered by namespace and name.
    pub(super) fn entries(&self, board: &Board) -> Vec<Arc<Entry>> {
        let mut entries = match &self.namespace {
            Some(namespace) => board.entries_of(namespace),
            None => board.entries(),
        };
        if let Some(owner) = &self.owner {
            entries.retain(|entry| entry.is_of(owner));
        }
        entries
    }

    /// Whether the selection is that of all checks.
    pub(super) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The refusal of a selection that no check matches.
    pub(super) fn matches_nothing(&self) -> Refusal {
        let wanted = [("namespace", &self.namespace), ("owner", &self.owner)];
        let wanted = wanted.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?)));
        let wanted = wanted.collect::<Vec<_>>().join(" and the ");
        let error = format!("no check has the {wanted}; /api/v1/checks lists all of them");
        Refusal::new(StatusCode::NOT_FOUND, error)
    }
}

impl Answers {
    fn new(store: &Store) -> Self {
        let response_cache = |_| ResponseCache::new(store);
        Self { health: array::from_fn(response_cache), checks: response_cache(0), sweeps: Sweeps::default() }
    }
}

impl Selections {
    /// Caches without answers, whose texts will count in the limits of `store`.
    pub(super) fn new(store: Store) -> Self {
        Self { all: Arc::new(Answers::new(&store)), parts: Mutex::default(), store }
    }

    /// The caches for this selection; none if no check matches. So requests for unknown names displace no other
    /// caches.
    pub(super) fn of(&self, selection: &Selection, board: &Board) -> Option<Arc<Answers>> {
        if selection.is_all() {
            return Some(Arc::clone(&self.all));
        }
        let known = self.recall(selection);
        known.or_else(|| (!selection.entries(board).is_empty()).then(|| self.add(selection)))
    }

    fn recall(&self, selection: &Selection) -> Option<Arc<Answers>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let index = parts.iter().rposition(|(known, _)| known == selection)?;
        let part = parts.remove(index)?;
        let answers = Arc::clone(&part.1);
        parts.push_back(part);
        Some(answers)
    }

    fn add(&self, selection: &Selection) -> Arc<Answers> {
        // Another request may have added the selection meanwhile.
        if let Some(answers) = self.recall(selection) {
            return answers;
        }
        let answers = Arc::new(Answers::new(&self.store));
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.len() >= MOST {
            parts.pop_front();
        }
        parts.push_back((selection.clone(), Arc::clone(&answers)));
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::Check, value::Origin};

    fn of(namespace: &str) -> Selection {
        Selection { namespace: Some(namespace.to_owned()), owner: None }
    }

    fn board(namespaces: usize) -> Board {
        let board = Board::default();
        for index in 0..namespaces {
            let key = format!("n{index}/check").parse().expect("a key");
            let check = Check::bare(key, "m.wasm".parse().expect("a module"));
            board.enter(&Arc::new(check), &Arc::new(Origin::File("m.wasm".into())));
        }
        board
    }

    #[test]
    fn who_asks_for_the_same_checks_shares_and_what_was_asked_for_least_recently_makes_room() {
        let board = board(MOST + 1);
        let selections = Selections::new(Store::default());
        let get = |index: usize| selections.of(&of(&format!("n{index}")), &board).expect("a check");
        let (first, second) = (get(0), get(1));
        assert!(Arc::ptr_eq(&first, &get(0)) && !Arc::ptr_eq(&first, &second));
        (2..=MOST).for_each(|index| drop(get(index)));
        get(0);
        assert!(!Arc::ptr_eq(&second, &get(1)), "it has made room");
        assert!(Arc::ptr_eq(&first, &get(0)));
        assert_eq!(selections.parts.lock().expect("not poisoned").len(), MOST);
    }

    #[test]
    fn what_there_is_not_takes_no_room() {
        let selections = Selections::new(Store::default());
        assert!(selections.of(&of("nowhere"), &board(1)).is_none());
        assert!(selections.of(&of("not a namespace"), &board(1)).is_none());
        assert!(selections.parts.lock().expect("not poisoned").is_empty());
    }
}
