//! Which ConfigMap has which check, and what was told of each check.

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

/// The most ConfigMaps of one namespace that stand on the board as refused for their number of checks.
const MOST_REFUSED: usize = 10;

/// The checks that all ConfigMaps ask for. Of two ConfigMaps that ask for one check, the older one gets it. A
/// check that another source has taken goes to none.
#[derive(Default)]
pub(super) struct NameClaims {
    maps: BTreeMap<ConfigMapName, HeldConfigMap>,
    /// The claims for each check: first those for a real check, and of these the oldest first.
    claims: BTreeMap<Key, BTreeSet<NameClaim>>,
    /// What was told last of each check, and the ConfigMap that has it.
    told: BTreeMap<Key, (Arc<Origin>, Desired)>,
    taken: Taken,
    namespaces: BTreeMap<String, NamespaceUse>,
}

/// The checks and refusals of the ConfigMaps of one namespace.
#[derive(Default)]
struct NamespaceUse {
    checks: usize,
    /// The ConfigMaps that want more checks than the namespace has room for, the oldest first.
    refused: BTreeSet<(Age, ConfigMapName)>,
}

/// A claim for the name of a check. An entry that only stands for a broken file never gets the name of a real
/// check.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NameClaim {
    is_stand_in: bool,
    age: Age,
    place: ConfigMapName,
}

/// A ConfigMap that was read, with the checks that it asks for and the state of its claims.
struct HeldConfigMap {
    age: Age,
    origin: Arc<Origin>,
    wishes: BTreeMap<Key, Desired>,
    /// The number of checks that the ConfigMap asks for, if its namespace has no room for so many; none otherwise.
    refused: Option<usize>,
    /// The checks that other ConfigMaps have, and the clash that was told for each.
    beaten: BTreeMap<Key, String>,
}

/// The actions to take after a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The checks that no ConfigMap asks for any more, or that another ConfigMap has now. What the former
    /// owner ran ends.
    pub(super) remove: Vec<Key>,
    /// The checks of the ConfigMap that was just read. They are told with its content.
    pub(super) tell: Vec<Key>,
    /// The ConfigMaps to read again. Their checks have to be told, or they were refused and may now have room.
    pub(super) read: BTreeSet<ConfigMapName>,
    /// The ConfigMaps that are refused a check, and why.
    pub(super) clashes: Vec<(ConfigMapName, String)>,
}

impl NameClaims {
    /// The checks that the ConfigMap asked for when it was last read.
    pub(super) fn wishes(&self, place: &ConfigMapName) -> BTreeMap<Key, Desired> {
        self.maps.get(place).map(|held| held.wishes.clone()).unwrap_or_default()
    }

    /// Notes the checks that a ConfigMap asks for, which was just read. Its namespace may have `most` checks.
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

    /// Notes that a ConfigMap is gone. Its namespace may have `most` checks.
    pub(super) fn remove(&mut self, place: &ConfigMapName, most: usize) -> Plan {
        let wishes = self.withdraw(place).map(|held| held.wishes).unwrap_or_default();
        let mut plan = self.settle(&wishes.into_keys().collect(), None);
        plan.read.extend(self.next_refused(&place.namespace, most));
        plan
    }

    /// Notes that another source has these checks, and no others.
    pub(super) fn leave(&mut self, taken: Taken) -> Plan {
        let mut touched = taken.differs(&self.taken);
        if taken.hides_some(&self.taken) {
            // Which checks the other source has ended is unknown. To tell a check again without need changes nothing.
            touched.extend(self.told.keys().cloned());
            self.told.retain(|key, _| taken.contains(key));
        }
        self.taken = taken;
        self.settle(&touched, None)
    }

    /// The changes to tell of a check since the last call. `pack` makes a module of the ConfigMap that has
    /// the check.
    pub(super) fn tell(&mut self, key: &Key, pack: impl FnOnce(&str, Digest) -> Packed) -> Vec<Change> {
        let owner =
            self.owner(key).and_then(|(place, wish)| Some((Arc::clone(self.origin(place)?), wish.clone())));
        let Some((origin, wish)) = owner else { return Vec::new() };
        let before = self.told.get(key).map(|(_, wish)| wish);
        let changes = wish.changes(key, &origin, before, pack).collect();
        self.told.insert(key.clone(), (origin, wish));
        changes
    }

    /// The number of ConfigMaps that are refused, as their namespaces may not have so many checks.
    pub(super) fn refused(&self) -> usize {
        self.namespaces.values().map(|tally| tally.refused.len()).sum()
    }

    /// The origin of the checks of a ConfigMap; none if it was not read.
    pub(super) fn origin(&self, place: &ConfigMapName) -> Option<&Arc<Origin>> {
        self.maps.get(place).map(|held| &held.origin)
    }

    /// The ConfigMap that has a check, and what it asks for: the oldest with a real check, else the oldest. None if no
    /// ConfigMap asks for the check, or if another source has taken it.
    pub(super) fn owner(&self, key: &Key) -> Option<(&ConfigMapName, &Desired)> {
        if self.taken.contains(key) {
            return None;
        }
        let NameClaim { place, .. } = self.claims.get(key)?.first()?;
        Some((place, self.maps.get(place)?.wishes.get(key)?))
    }

    /// Removes a ConfigMap and its claims.
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

    /// The checks of a ConfigMap that asks for more than its namespace may have: those that it had before.
    /// The refusal stands on the board under the name of the ConfigMap, unless the namespace has too many
    /// refusals.
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

    /// The oldest refused ConfigMap whose checks the namespace may have now. Without one, the oldest that may
    /// now stand on the board as refused.
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

    /// The ConfigMaps that are refused a check and were not told so yet.
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
                // The check of another ConfigMap or source has the name, so that the board does not show this fault.
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
    /// The name under which the ConfigMap stands on the board if it is refused.
    fn refusal(&self, place: &ConfigMapName) -> Option<&Key> {
        let own = |(_, wish): &(&Key, &Desired)| wish.origin == Path::new(&place.name);
        self.refused.and_then(|_| self.wishes.iter().find(own)).map(|(key, _)| key)
    }

    /// The number of checks of the ConfigMap. An entry for its refusal does not count.
    fn checks(&self, place: &ConfigMapName) -> usize {
        self.wishes.len() - usize::from(self.refusal(place).is_some())
    }

    fn claim(&self, wish: &Desired, place: &ConfigMapName) -> NameClaim {
        NameClaim { is_stand_in: wish.check.is_none(), age: self.age.clone(), place: place.clone() }
    }
}
