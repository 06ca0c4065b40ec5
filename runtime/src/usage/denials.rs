//! Denials: what a guest was refused for want of a grant.

use crate::text::printable;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most different refusals of one module that are kept.
const MOST: usize = 20;

/// The refusals of one check's guest for want of a grant, each of them once per module.
#[derive(Debug, Default)]
pub struct Denials(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    all: Vec<String>,
    /// How many entries at the start of `all` have been told.
    told: usize,
}

impl Denials {
    /// Adds a refusal; true if it is a new one and is kept.
    pub(crate) fn add(&self, why: &str) -> bool {
        let mut known = self.known();
        let is_new = known.all.len() < MOST && known.all.iter().all(|other| other != why);
        if is_new {
            known.all.push(why.to_owned());
        }
        is_new
    }

    /// The refusals that came since the last call of this method, in words that can be shown safely.
    pub fn take_new(&self) -> Vec<String> {
        let mut known = self.known();
        let new = known.all[known.told..].iter().map(|why| printable(why).into_owned()).collect();
        known.told = known.all.len();
        new
    }

    /// Forgets all refusals, as another module takes the place of the one that was refused.
    pub(crate) fn clear(&self) {
        *self.known() = Known::default();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_told_once_until_another_module_comes() {
        let denials = Denials::default();
        assert!(denials.add("http a") && denials.add("dns\nb") && !denials.add("http a"));
        assert_eq!(denials.take_new(), ["http a", "dns\\nb"]);
        assert!(!denials.add("http a") && denials.take_new().is_empty());
        denials.clear();
        assert!(denials.add("http a"));
    }

    #[test]
    fn a_guest_cannot_make_the_list_long() {
        let denials = Denials::default();
        assert_eq!((0..10 * MOST).filter(|number| denials.add(&number.to_string())).count(), MOST);
    }
}
