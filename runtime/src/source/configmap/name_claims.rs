//! Which ConfigMap has which check, and what has been told of it.

#[cfg(test)]
mod tests;

use super::{Age, ConfigMapName, Seen};
use crate::{
    outcome::{Fault, Reason},
    source::{
        Change, Packed, Taken,
        bundle::{Desired, stand_in},
    },
    value::{Digest, Key, Origin},
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

/// How many ConfigMaps of one namespace stand on the board as refused for their number of checks.
const MOST_REFUSED: usize = 10;

/// What all ConfigMaps want. Of two that want one check the older has it; before all others comes
/// another source that has taken it.
#[derive(Default)]
pub(super) struct NameClaims {
    maps: BTreeMap<ConfigMapName, HeldConfigMap>,
    /// Who wants each check: whoever has one first, and then the oldest.
    claims: BTreeMap<Key, BTreeSet<NameClaim>>,
    /// What was told of each check, and whose it is.
    told: BTreeMap<Key, (Arc<Origin>, Desired)>,
    taken: Taken,
    namespaces: BTreeMap<String, NamespaceUse>,
}

/// What the ConfigMaps of one namespace have together.
#[derive(Default)]
struct NamespaceUse {
    checks: usize,
    /// The ConfigMaps that want more checks than the namespace has room for, the oldest first.
    refused: BTreeSet<(Age, ConfigMapName)>,
}

/// A wish for a check. What only stands for a file that makes none never gets the name of a check that there is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NameClaim {
    is_stand_in: bool,
    age: Age,
    place: ConfigMapName,
}

/// One ConfigMap.
struct HeldConfigMap {
    age: Age,
    origin: Arc<Origin>,
    wishes: BTreeMap<Key, Desired>,
    /// How many checks it would have, had the namespace room for them.
    refused: Option<usize>,
    /// The checks that others have, with what was told about that.
    beaten: BTreeMap<Key, String>,
}

/// What is to be done after a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Checks that nobody wants any more, or that are another one's now: nothing of the former owner's goes on.
    pub(super) remove: Vec<Key>,
    /// Checks of the ConfigMap that has just been read, to be told with its content.
    pub(super) tell: Vec<Key>,
    /// ConfigMaps to be read again: they have a check now that another one had.
    pub(super) read: BTreeSet<ConfigMapName>,
    /// ConfigMaps that do not get what they want, and why.
    pub(super) clashes: Vec<(ConfigMapName, String)>,
}

impl NameClaims {
    /// What the ConfigMap wanted when it was last read.
    pub(super) fn wishes(&self, place: &ConfigMapName) -> BTreeMap<Key, Desired> {
        self.maps.get(place).map(|held| held.wishes.clone()).unwrap_or_default()
    }

    /// The ConfigMap has been read and wants this; its namespace may have so many checks.
    pub(super) fn put(&mut self, seen: &Seen, wishes: BTreeMap<Key, Desired>, most: usize) -> Plan {
        let mut clashes = Vec::new();
        let wanted = wishes.len();
        let (wishes, refused) = match self.others(&seen.place).saturating_add(wanted) <= most {
            true => (wishes, None),
            false => (self.refuse(&seen.place, wanted, most, &mut clashes), Some(wanted)),
        };
        let mut touched: BTreeSet<Key> = wishes.keys().cloned().collect();
        let (age, origin) = (seen.age.clone(), Arc::new(seen.origin()));
        let mut held = HeldConfigMap { age, origin, wishes, refused, beaten: BTreeMap::new() };
        if let Some(former) = self.withdraw(&seen.place) {
            touched.extend(former.wishes.into_keys());
            if former.age == held.age {
                held.beaten = former.beaten;
                held.beaten.retain(|key, _| held.wishes.contains_key(key));
            }
        }
        for (key, wish) in &held.wishes {
            self.claims.entry(key.clone()).or_default().insert(held.claim(wish, &seen.place));
        }
        let tally = self.namespaces.entry(seen.place.namespace.clone()).or_default();
        tally.checks += held.checks(&seen.place);
        if refused.is_some() {
            tally.refused.insert((seen.age.clone(), seen.place.clone()));
        }
        self.maps.insert(seen.place.clone(), held);
        let mut plan = self.settle(&touched, Some(&seen.place));
        plan.clashes.extend(clashes);
        plan.read.extend(self.next_refused(&seen.place.namespace, most));
        plan
    }

    /// The ConfigMap is gone; its namespace may have so many checks.
    pub(super) fn remove(&mut self, place: &ConfigMapName, most: usize) -> Plan {
        let wishes = self.withdraw(place).map(|held| held.wishes).unwrap_or_default();
        let mut plan = self.settle(&wishes.into_keys().collect(), None);
        plan.read.extend(self.next_refused(&place.namespace, most));
        plan
    }

    /// Another source has these checks, and no others.
    pub(super) fn leave(&mut self, taken: Taken) -> Plan {
        let mut touched = taken.differs(&self.taken);
        if taken.hides_some(&self.taken) {
            // It has ended them, whichever they are. What is told again without need changes nothing.
            touched.extend(self.told.keys().cloned());
            self.told.retain(|key, _| taken.contains(key));
        }
        self.taken = taken;
        self.settle(&touched, None)
    }

    /// What is to be told of a check, once; `pack` gives a module of the ConfigMap that has it.
    pub(super) fn tell(&mut self, key: &Key, pack: impl FnOnce(&str, Digest) -> Packed) -> Vec<Change> {
        let owner =
            self.owner(key).and_then(|(place, wish)| Some((Arc::clone(self.origin(place)?), wish.clone())));
        let Some((origin, wish)) = owner else { return Vec::new() };
        let before = self.told.get(key).map(|(_, wish)| wish);
        let changes = wish.changes(key, &origin, before, pack).collect();
        self.told.insert(key.clone(), (origin, wish));
        changes
    }

    /// How many ConfigMaps want more checks than there is room for.
    pub(super) fn refused(&self) -> usize {
        self.namespaces.values().map(|tally| tally.refused.len()).sum()
    }

    /// A ConfigMap that has been read, as the origin of its checks.
    pub(super) fn origin(&self, place: &ConfigMapName) -> Option<&Arc<Origin>> {
        self.maps.get(place).map(|held| &held.origin)
    }

    /// Who has the check: the oldest ConfigMap that makes it.
    pub(super) fn owner(&self, key: &Key) -> Option<(&ConfigMapName, &Desired)> {
        if self.taken.contains(key) {
            return None;
        }
        let NameClaim { place, .. } = self.claims.get(key)?.first()?;
        Some((place, self.maps.get(place)?.wishes.get(key)?))
    }

    /// Takes a ConfigMap and its claims off the claims.
    fn withdraw(&mut self, place: &ConfigMapName) -> Option<HeldConfigMap> {
        let held = self.maps.remove(place)?;
        if let Entry::Occupied(mut tally) = self.namespaces.entry(place.namespace.clone()) {
            tally.get_mut().checks -= held.checks(place);
            tally.get_mut().refused.remove(&(held.age.clone(), place.clone()));
            if tally.get().checks == 0 && tally.get().refused.is_empty() {
                tally.remove();
            }
        }
        for (key, wish) in &held.wishes {
            if let Entry::Occupied(mut claims) = self.claims.entry(key.clone()) {
                claims.get_mut().remove(&held.claim(wish, place));
                if claims.get().is_empty() {
                    claims.remove();
                }
            }
        }
        Some(held)
    }

    /// How many checks the other ConfigMaps of the namespace have.
    fn others(&self, place: &ConfigMapName) -> usize {
        let all = self.namespaces.get(&place.namespace).map_or(0, |tally| tally.checks);
        all - self.maps.get(place).map_or(0, |held| held.checks(place))
    }

    /// What a ConfigMap goes on wanting that wants more than there is room for: what it did before. That it is
    /// refused stands on the board under its own name, as long as these are few.
    fn refuse(
        &self,
        place: &ConfigMapName,
        wanted: usize,
        most: usize,
        clashes: &mut Vec<(ConfigMapName, String)>,
    ) -> BTreeMap<Key, Desired> {
        let ConfigMapName { namespace, name } = place;
        let why = format!(
            "the {wanted} checks of the ConfigMap {name} are more than there is room for in the namespace \
             {namespace}, which may have {most}: remove some, or have the operator's policy allow more `checks`"
        );
        let origin = PathBuf::from(name);
        let mut kept = self.wishes(place);
        kept.retain(|_, wish| wish.origin != origin);
        if self.standing(namespace, Some(place)) < MOST_REFUSED {
            let key = stand_in(&origin, namespace, &kept, &mut BTreeMap::new());
            let trouble = Some(Fault::new(Reason::Manifest, why));
            kept.insert(key, Desired { origin, trouble, ..Desired::default() });
        } else {
            clashes.push((place.clone(), why));
        }
        kept
    }

    /// How many ConfigMaps of a namespace, besides this one, stand on the board as refused.
    fn standing(&self, namespace: &str, besides: Option<&ConfigMapName>) -> usize {
        let refused = self.namespaces.get(namespace).into_iter().flat_map(|tally| &tally.refused);
        let others = refused.map(|(_, place)| place).filter(|place| Some(*place) != besides);
        others.filter(|place| self.stands(place)).count()
    }

    fn stands(&self, place: &ConfigMapName) -> bool {
        let refusal = self.maps.get(place).and_then(|held| held.refusal(place));
        refusal.and_then(|key| self.owner(key)).is_some_and(|(owner, _)| owner == place)
    }

    /// The oldest ConfigMap that was refused and for whose checks there is room now, or else that could now stand on
    /// the board.
    fn next_refused(&self, namespace: &str, most: usize) -> Option<ConfigMapName> {
        let refused = || self.namespaces.get(namespace).into_iter().flat_map(|tally| &tally.refused);
        let held = |place: &ConfigMapName| self.maps.get(place);
        let fits = |place: &&ConfigMapName| {
            let wanted = held(place).and_then(|held| held.refused);
            wanted.is_some_and(|wanted| self.others(place).saturating_add(wanted) <= most)
        };
        let is_unheard =
            |place: &&ConfigMapName| held(place).is_some_and(|held| held.refusal(place).is_none());
        let fitting = refused().map(|(_, place)| place).find(fits);
        let unheard = || {
            let mut unheard = refused().map(|(_, place)| place).filter(is_unheard);
            unheard.next().filter(|_| self.standing(namespace, None) < MOST_REFUSED)
        };
        fitting.or_else(unheard).cloned()
    }

    fn settle(&mut self, touched: &BTreeSet<Key>, at_hand: Option<&ConfigMapName>) -> Plan {
        let mut plan = Plan::default();
        for key in touched {
            self.find_clashes(key, &mut plan.clashes);
            match self.owner(key) {
                None => {
                    if self.told.remove(key).is_some() && !self.taken.contains(key) {
                        plan.remove.push(key.clone());
                    }
                }
                Some((place, wish)) => {
                    let (place, told) = (place.clone(), self.told.get(key));
                    let is_anothers = told.is_some_and(|(former, _)| Some(former) != self.origin(&place));
                    if !is_anothers && !wish.is_news(told.map(|(_, wish)| wish)) {
                        continue;
                    }
                    if is_anothers {
                        self.told.remove(key);
                        plan.remove.push(key.clone());
                    }
                    if at_hand == Some(&place) {
                        plan.tell.push(key.clone());
                    } else {
                        plan.read.insert(place);
                    }
                }
            }
        }
        plan
    }

    /// Finds who wants the check and does not get it, and has not been told so.
    fn find_clashes(&mut self, key: &Key, clashes: &mut Vec<(ConfigMapName, String)>) {
        let winner = self.owner(key).map(|(place, _)| place.clone());
        for NameClaim { place, is_stand_in, .. } in self.claims.get(key).into_iter().flatten() {
            let Some(held) = self.maps.get_mut(place) else { continue };
            let trouble =
                held.wishes.get(key).and_then(|wish| wish.trouble.as_ref()).filter(|_| *is_stand_in);
            let why = match (&winner, trouble) {
                (Some(winner), _) if winner == place => {
                    held.beaten.remove(key);
                    continue;
                }
                // Another one's check has the name, so that the board does not tell.
                (_, Some(fault)) => fault.message.clone(),
                (Some(winner), None) => format!(
                    "{key} is wanted by the ConfigMap {winner} too, which is older and so has it: rename one"
                ),
                (None, None) => {
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

impl HeldConfigMap {
    /// The name under which it stands for itself, if it is refused.
    fn refusal(&self, place: &ConfigMapName) -> Option<&Key> {
        let own = |(_, wish): &(&Key, &Desired)| wish.origin == Path::new(&place.name);
        self.refused.and_then(|_| self.wishes.iter().find(own)).map(|(key, _)| key)
    }

    /// How many checks it has. That it is refused is none.
    fn checks(&self, place: &ConfigMapName) -> usize {
        self.wishes.len() - usize::from(self.refusal(place).is_some())
    }

    fn claim(&self, wish: &Desired, place: &ConfigMapName) -> NameClaim {
        NameClaim { is_stand_in: wish.check.is_none(), age: self.age.clone(), place: place.clone() }
    }
}
