//! Which ConfigMap has which check, and what has been told of it.

use super::{Age, Place, Seen};
use crate::{
    source::{Change, bundle::Wish},
    spec::Key,
};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// What all ConfigMaps want. Of two that want one check the older has it; before all others comes
/// another source that has taken it.
#[derive(Default)]
pub(super) struct Shelf {
    maps: BTreeMap<Place, Held>,
    /// Who wants each check, the oldest first.
    claims: BTreeMap<Key, BTreeSet<(Age, Place)>>,
    /// What was told of each check, and whose it is.
    told: BTreeMap<Key, (Place, Wish)>,
    taken: BTreeSet<Key>,
}

/// One ConfigMap.
struct Held {
    age: Age,
    wishes: BTreeMap<Key, Wish>,
    /// The checks that others have, with what was told about that.
    beaten: BTreeMap<Key, String>,
}

/// What is to be done after a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Checks that nobody wants any more.
    pub(super) remove: Vec<Key>,
    /// Checks that another source has taken.
    pub(super) left: Vec<Key>,
    /// Checks of the ConfigMap that has just been read, to be told with its content.
    pub(super) tell: Vec<Key>,
    /// ConfigMaps to be read again: they have a check now that another one had.
    pub(super) read: BTreeSet<Place>,
    /// ConfigMaps that do not get what they want, and why.
    pub(super) clashes: Vec<(Place, String)>,
}

impl Shelf {
    /// What the ConfigMap wanted when it was last read.
    pub(super) fn wishes(&self, place: &Place) -> BTreeMap<Key, Wish> {
        self.maps.get(place).map(|held| held.wishes.clone()).unwrap_or_default()
    }

    /// The ConfigMap has been read and wants this.
    pub(super) fn put(&mut self, seen: &Seen, wishes: BTreeMap<Key, Wish>) -> Plan {
        let mut touched: BTreeSet<Key> = wishes.keys().cloned().collect();
        let mut held = Held { age: seen.age.clone(), wishes, beaten: BTreeMap::new() };
        if let Some(former) = self.withdraw(&seen.place) {
            touched.extend(former.wishes.into_keys());
            if former.age == held.age {
                held.beaten = former.beaten;
                held.beaten.retain(|key, _| held.wishes.contains_key(key));
            }
        }
        for key in held.wishes.keys() {
            let claim = (seen.age.clone(), seen.place.clone());
            self.claims.entry(key.clone()).or_default().insert(claim);
        }
        self.maps.insert(seen.place.clone(), held);
        self.settle(&touched, Some(&seen.place))
    }

    /// The ConfigMap is gone.
    pub(super) fn remove(&mut self, place: &Place) -> Plan {
        let wishes = self.withdraw(place).map(|held| held.wishes).unwrap_or_default();
        self.settle(&wishes.into_keys().collect(), None)
    }

    /// Another source has these checks, and no others.
    pub(super) fn leave(&mut self, taken: BTreeSet<Key>) -> Plan {
        let touched = self.taken.symmetric_difference(&taken).cloned().collect();
        self.taken = taken;
        self.settle(&touched, None)
    }

    /// The module that has to be read before [`Self::tell`].
    pub(super) fn module_to_tell(&self, key: &Key) -> Option<&str> {
        let (_, wish) = self.owner(key)?;
        wish.to_set(self.told.get(key).map(|(_, wish)| wish)).map(|(_, module)| module.name.as_str())
    }

    /// What is to be told of a check, once; `read` gives a decoded module of the ConfigMap that has it.
    pub(super) fn tell(
        &mut self,
        key: &Key,
        read: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    ) -> Vec<Change> {
        let Some((place, wish)) = self.owner(key).map(|(place, wish)| (place.clone(), wish.clone())) else {
            return Vec::new();
        };
        let before = self.told.get(key).map(|(_, wish)| wish);
        let changes = wish.changes(key, before, read).collect();
        self.told.insert(key.clone(), (place, wish));
        changes
    }

    /// The uid of a ConfigMap.
    pub(super) fn uid(&self, place: &Place) -> Option<&str> {
        self.maps.get(place).map(|held| held.age.uid.as_str())
    }

    /// Who has the check: the oldest ConfigMap that wants it.
    pub(super) fn owner(&self, key: &Key) -> Option<(&Place, &Wish)> {
        if self.taken.contains(key) {
            return None;
        }
        let (_, place) = self.claims.get(key)?.first()?;
        Some((place, self.maps.get(place)?.wishes.get(key)?))
    }

    /// Takes a ConfigMap and its claims off the shelf.
    fn withdraw(&mut self, place: &Place) -> Option<Held> {
        let held = self.maps.remove(place)?;
        let claim = (held.age.clone(), place.clone());
        for key in held.wishes.keys() {
            if let Entry::Occupied(mut claims) = self.claims.entry(key.clone()) {
                claims.get_mut().remove(&claim);
                if claims.get().is_empty() {
                    claims.remove();
                }
            }
        }
        Some(held)
    }

    fn settle(&mut self, touched: &BTreeSet<Key>, at_hand: Option<&Place>) -> Plan {
        let mut plan = Plan::default();
        for key in touched {
            self.find_clashes(key, &mut plan.clashes);
            match self.owner(key) {
                None => {
                    if self.told.remove(key).is_some() {
                        let list = if self.taken.contains(key) { &mut plan.left } else { &mut plan.remove };
                        list.push(key.clone());
                    }
                }
                Some((place, wish)) => {
                    let told = self.told.get(key);
                    let same_owner = told.is_some_and(|(former, _)| former == place);
                    if !wish.is_news(told.map(|(_, wish)| wish)) && same_owner {
                        continue;
                    }
                    if at_hand == Some(place) {
                        plan.tell.push(key.clone());
                    } else {
                        plan.read.insert(place.clone());
                    }
                }
            }
        }
        plan
    }

    /// Finds who wants the check and does not get it, and has not been told so.
    fn find_clashes(&mut self, key: &Key, clashes: &mut Vec<(Place, String)>) {
        let winner = self.owner(key).map(|(place, _)| place.clone());
        let places = self.claims.get(key).into_iter().flatten().map(|(_, place)| place);
        for place in places {
            let Some(held) = self.maps.get_mut(place) else { continue };
            let why = match &winner {
                Some(winner) if winner == place => {
                    held.beaten.remove(key);
                    continue;
                }
                Some(winner) => format!(
                    "{key} is wanted by the ConfigMap {winner} too, which is older and so has it: rename one"
                ),
                None => {
                    format!("{key} is a check from a directory of the daemon, which comes first: rename it")
                }
            };
            if held.beaten.get(key) != Some(&why) {
                held.beaten.insert(key.clone(), why.clone());
                clashes.push((place.clone(), why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Fault, Reason},
        source::bundle::Stored,
        spec::{Check, Digest},
    };
    use jiff::Timestamp;
    use std::sync::Arc;

    fn place(name: &str) -> Place {
        Place { namespace: "team-a".to_owned(), name: name.to_owned() }
    }

    fn key(name: &str) -> Key {
        Key::new("team-a", name).expect("a key")
    }

    fn seen(name: &str, created: i64) -> Seen {
        let created = Timestamp::from_second(created).expect("a time");
        Seen { place: place(name), age: Age { created, uid: format!("uid-{name}") }, version: String::new() }
    }

    /// A wish for each check, whose module is the given text.
    fn wishes(checks: &[(&str, &str)]) -> BTreeMap<Key, Wish> {
        let wish = |(name, module): &(&str, &str)| {
            let check = Arc::new(Check::bare(key(name), "m.wasm".parse().expect("a module")));
            let digest = Digest::of(module.as_bytes());
            let module = Some(Stored { name: "m.wasm".to_owned(), digest, signature: None });
            (key(name), Wish { check: Some(check), module, ..Wish::default() })
        };
        checks.iter().map(wish).collect()
    }

    /// What is told when this ConfigMap has been read, as `+key`, `-key`, `!key`, `?configmap` to be read again.
    fn put(shelf: &mut Shelf, name: &str, created: i64, wishes: BTreeMap<Key, Wish>) -> Vec<String> {
        let plan = shelf.put(&seen(name, created), wishes);
        done(shelf, &plan)
    }

    fn done(shelf: &mut Shelf, plan: &Plan) -> Vec<String> {
        let mut told: Vec<_> = plan.remove.iter().map(|key| format!("-{}", key.name())).collect();
        for key in &plan.tell {
            told.extend(shelf.tell(key, |_| Ok(vec![])).iter().map(|change| match change {
                Change::Set(candidate) => format!("+{}", candidate.check.key.name()),
                Change::Reject(key, _) => format!("!{}", key.name()),
                other => format!("{other:?}"),
            }));
        }
        told.extend(plan.read.iter().map(|place| format!("?{}", place.name)));
        told.extend(plan.clashes.iter().map(|(place, _)| format!("clash {}", place.name)));
        told
    }

    #[test]
    fn what_a_configmap_wants_is_told_once_and_removed_with_it() {
        let mut shelf = Shelf::default();
        assert_eq!(put(&mut shelf, "one", 1, wishes(&[("a", "1"), ("b", "1")])), ["+a", "+b"]);
        assert!(put(&mut shelf, "one", 1, wishes(&[("a", "1"), ("b", "1")])).is_empty());
        assert_eq!(put(&mut shelf, "one", 1, wishes(&[("a", "2")])), ["-b", "+a"]);
        let plan = shelf.remove(&place("one"));
        assert_eq!(done(&mut shelf, &plan), ["-a"]);
    }

    #[test]
    fn the_older_configmap_keeps_the_name_and_the_newer_takes_over_when_it_goes() {
        let mut shelf = Shelf::default();
        assert_eq!(put(&mut shelf, "old", 1, wishes(&[("a", "1")])), ["+a"]);
        assert_eq!(put(&mut shelf, "new", 2, wishes(&[("a", "2")])), ["clash new"]);
        assert!(put(&mut shelf, "new", 2, wishes(&[("a", "3")])).is_empty(), "told once");
        let plan = shelf.remove(&place("old"));
        assert_eq!(done(&mut shelf, &plan), ["?new"], "its module is not kept");
        assert_eq!(put(&mut shelf, "new", 2, wishes(&[("a", "3")])), ["+a"]);
    }

    #[test]
    fn an_older_configmap_that_comes_to_want_a_name_gets_it() {
        let mut shelf = Shelf::default();
        put(&mut shelf, "new", 2, wishes(&[("a", "1")]));
        assert_eq!(put(&mut shelf, "old", 1, wishes(&[("a", "2")])), ["+a", "clash new"]);
        assert_eq!(put(&mut shelf, "old", 1, wishes(&[])), ["?new"]);
    }

    #[test]
    fn of_two_of_one_second_the_uid_decides() {
        let mut shelf = Shelf::default();
        assert_eq!(put(&mut shelf, "b", 1, wishes(&[("x", "1")])), ["+x"]);
        assert_eq!(put(&mut shelf, "a", 1, wishes(&[("x", "2")])), ["+x", "clash b"]);
    }

    #[test]
    fn a_configmap_made_anew_under_its_name_is_as_young_as_it_is() {
        let mut shelf = Shelf::default();
        put(&mut shelf, "one", 1, wishes(&[("a", "1")]));
        put(&mut shelf, "two", 2, wishes(&[("a", "2")]));
        assert_eq!(put(&mut shelf, "one", 3, wishes(&[("a", "1")])), ["?two", "clash one"]);
    }

    #[test]
    fn a_check_that_a_directory_takes_is_left_to_it_and_comes_back() {
        let mut shelf = Shelf::default();
        put(&mut shelf, "one", 1, wishes(&[("a", "1"), ("b", "1")]));
        let plan = shelf.leave(BTreeSet::from([key("a"), key("z")]));
        assert_eq!(done(&mut shelf, &plan), ["clash one"], "and no removal: the directory has set it");
        assert!(put(&mut shelf, "one", 1, wishes(&[("a", "2"), ("b", "1")])).is_empty());
        let plan = shelf.leave(BTreeSet::new());
        assert_eq!(done(&mut shelf, &plan), ["?one"]);
        assert_eq!(put(&mut shelf, "one", 1, wishes(&[("a", "2"), ("b", "1")])), ["+a"]);
    }

    #[test]
    fn trouble_is_told_once_and_its_end_too() {
        let mut shelf = Shelf::default();
        put(&mut shelf, "one", 1, wishes(&[("a", "1")]));
        let mut bad = wishes(&[("a", "1")]);
        bad.get_mut(&key("a")).expect("a wish").trouble = Some(Fault::new(Reason::Manifest, "no"));
        assert_eq!(put(&mut shelf, "one", 1, bad.clone()), ["!a"]);
        assert!(put(&mut shelf, "one", 1, bad).is_empty());
        assert_eq!(put(&mut shelf, "one", 1, wishes(&[("a", "1")])), ["+a"]);
    }
}
