//! Tests of which ConfigMap has which check, through a series of changes.

use super::*;
use crate::{manifest::Check, source::bundle::Stored};
use jiff::Timestamp;
use std::sync::Arc;

/// The most checks that a namespace may have in these tests.
const MOST: usize = 5;

fn place(name: &str) -> ConfigMapName {
    ConfigMapName { namespace: "team-a".to_owned(), name: name.to_owned() }
}

fn key(name: &str) -> Key {
    Key::new("team-a", name).expect("a key")
}

fn seen(name: &str, created: i64) -> Seen {
    let created = Timestamp::from_second(created).expect("a time");
    Seen { place: place(name), age: Age { created, uid: format!("uid-{name}") }, version: String::new() }
}

/// A wish for each pair of a check name and the text of its module.
fn wishes(checks: &[(&str, &str)]) -> BTreeMap<Key, Desired> {
    let wish = |(name, module): &(&str, &str)| {
        let check = Arc::new(Check::bare(key(name), "m.wasm".parse().expect("a module")));
        let module = Some(Stored {
            name: "m.wasm".to_owned(),
            digest: Digest::of(module.as_bytes()),
            signature: None,
        });
        (key(name), Desired { check: Some(check), module, ..Desired::default() })
    };
    checks.iter().map(wish).collect()
}

/// Notes a read of a ConfigMap. Returns the changes as `+name`, `-name` and `!name`, then `?configmap` for each one to
/// read again, then `clash configmap`.
fn put(claims: &mut NameClaims, name: &str, created: i64, wishes: BTreeMap<Key, Desired>) -> Vec<String> {
    let plan = claims.put(&seen(name, created), wishes, MOST);
    done(claims, &plan)
}

fn done(claims: &mut NameClaims, plan: &Plan) -> Vec<String> {
    let mut told: Vec<_> = plan.remove.iter().map(|key| format!("-{}", key.name())).collect();
    for key in &plan.tell {
        told.extend(claims.tell(key, |_, digest| Packed::new(digest, || Ok(vec![]))).iter().map(|change| {
            match change {
                Change::Set(candidate) => format!("+{}", candidate.check.key.name()),
                Change::Reject { key, .. } => format!("!{}", key.name()),
                other => format!("{other:?}"),
            }
        }));
    }
    told.extend(plan.read.iter().map(|place| format!("?{}", place.name)));
    told.extend(plan.clashes.iter().map(|(place, _)| format!("clash {}", place.name)));
    told
}

#[test]
fn what_a_configmap_wants_is_told_once_and_removed_with_it() {
    let mut claims = NameClaims::default();
    assert_eq!(put(&mut claims, "one", 1, wishes(&[("a", "1"), ("b", "1")])), ["+a", "+b"]);
    assert!(put(&mut claims, "one", 1, wishes(&[("a", "1"), ("b", "1")])).is_empty());
    assert_eq!(put(&mut claims, "one", 1, wishes(&[("a", "2")])), ["-b", "+a"]);
    let plan = claims.remove(&place("one"), MOST);
    assert_eq!(done(&mut claims, &plan), ["-a"]);
}

#[test]
fn the_older_configmap_keeps_the_name_and_the_newer_takes_over_when_it_goes() {
    let mut claims = NameClaims::default();
    assert_eq!(put(&mut claims, "old", 1, wishes(&[("a", "1")])), ["+a"]);
    assert_eq!(put(&mut claims, "new", 2, wishes(&[("a", "2")])), ["clash new"]);
    assert!(put(&mut claims, "new", 2, wishes(&[("a", "3")])).is_empty(), "told once");
    let plan = claims.remove(&place("old"), MOST);
    assert_eq!(done(&mut claims, &plan), ["-a", "?new"], "its module is not kept");
    assert_eq!(put(&mut claims, "new", 2, wishes(&[("a", "3")])), ["+a"]);
}

#[test]
fn an_older_configmap_that_comes_to_want_a_name_gets_it() {
    let mut claims = NameClaims::default();
    put(&mut claims, "new", 2, wishes(&[("a", "1")]));
    assert_eq!(put(&mut claims, "old", 1, wishes(&[("a", "2")])), ["-a", "+a", "clash new"]);
    assert_eq!(put(&mut claims, "old", 1, wishes(&[])), ["-a", "?new"]);
}

#[test]
fn of_two_of_one_second_the_uid_decides() {
    let mut claims = NameClaims::default();
    assert_eq!(put(&mut claims, "b", 1, wishes(&[("x", "1")])), ["+x"]);
    assert_eq!(put(&mut claims, "a", 1, wishes(&[("x", "2")])), ["-x", "+x", "clash b"]);
}

#[test]
fn a_configmap_made_anew_under_its_name_is_as_young_as_it_is() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, wishes(&[("a", "1")]));
    put(&mut claims, "two", 2, wishes(&[("a", "2")]));
    assert_eq!(put(&mut claims, "one", 3, wishes(&[("a", "1")])), ["-a", "?two", "clash one"]);
}

#[test]
fn a_configmap_that_took_the_place_of_another_unseen_begins_its_checks_anew() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, wishes(&[("a", "1")]));
    let mut anew = seen("one", 2);
    anew.age.uid = "another".to_owned();
    let plan = claims.put(&anew, wishes(&[("a", "1")]), MOST);
    assert_eq!(done(&mut claims, &plan), ["-a", "+a"]);
}

#[test]
fn a_check_that_a_directory_takes_is_left_to_it_and_comes_back() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, wishes(&[("a", "1"), ("b", "1")]));
    let mut taken = Taken::default();
    taken.take([key("a"), key("z")].iter());
    let plan = claims.leave(taken.clone());
    assert_eq!(done(&mut claims, &plan), ["clash one"], "and no removal: the directory has set it");
    assert!(put(&mut claims, "one", 1, wishes(&[("a", "2"), ("b", "1")])).is_empty());
    taken.keep(|_| false);
    let plan = claims.leave(taken);
    assert_eq!(done(&mut claims, &plan), ["?one"]);
    assert_eq!(put(&mut claims, "one", 1, wishes(&[("a", "2"), ("b", "1")])), ["+a"]);
}

#[test]
fn a_check_that_a_directory_takes_and_gives_back_unseen_is_told_again() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, wishes(&[("a", "1")]));
    put(&mut claims, "two", 2, wishes(&[("b", "1")]));
    let mut taken = Taken::default();
    taken.take([key("b")].iter());
    let plan = claims.leave(taken.clone());
    assert_eq!(done(&mut claims, &plan), ["clash two"]);
    taken.take([key("a")].iter());
    taken.keep(|_| false);
    let plan = claims.leave(taken.clone());
    assert_eq!(done(&mut claims, &plan), ["?one", "?two"]);
    assert_eq!(put(&mut claims, "one", 1, wishes(&[("a", "1")])), ["+a"]);
    let plan = claims.leave(taken);
    assert!(done(&mut claims, &plan).is_empty(), "seen");
}

#[test]
fn trouble_is_told_once_and_its_end_too() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, wishes(&[("a", "1")]));
    let mut bad = wishes(&[("a", "1")]);
    bad.get_mut(&key("a")).expect("a wish").trouble = Some(Fault::new(Reason::Manifest, "no"));
    assert_eq!(put(&mut claims, "one", 1, bad.clone()), ["!a"]);
    assert!(put(&mut claims, "one", 1, bad).is_empty());
    assert_eq!(put(&mut claims, "one", 1, wishes(&[("a", "1")])), ["+a"]);
}

#[test]
fn a_manifest_that_changes_while_its_module_is_missing_is_told() {
    let mut claims = NameClaims::default();
    let missing = |suspend| {
        let check = Check { suspend, ..Check::bare(key("a"), "m.wasm".parse().expect("a module")) };
        let trouble = Some(Fault::new(Reason::Module, "missing"));
        BTreeMap::from([(key("a"), Desired { check: Some(Arc::new(check)), trouble, ..Desired::default() })])
    };
    assert_eq!(put(&mut claims, "one", 1, missing(false)), ["!a"]);
    assert!(put(&mut claims, "one", 1, missing(false)).is_empty());
    assert_eq!(put(&mut claims, "one", 1, missing(true)), ["!a"]);
}

/// The wishes of a ConfigMap with one broken manifest, which is refused because of `why`.
fn broken(name: &str, why: &str) -> BTreeMap<Key, Desired> {
    let trouble = Some(Fault::new(Reason::Manifest, why));
    BTreeMap::from([(key(name), Desired { trouble, ..Desired::default() })])
}

#[test]
fn a_broken_manifest_of_an_older_configmap_takes_no_check_from_a_newer_one() {
    let mut claims = NameClaims::default();
    assert_eq!(put(&mut claims, "new", 2, wishes(&[("x", "1")])), ["+x"]);
    let plan = claims.put(&seen("old", 1), broken("x", "line 1: no"), MOST);
    assert_eq!(plan.clashes, [(place("old"), "line 1: no".to_owned())], "it hears of its own trouble");
    assert_eq!(done(&mut claims, &plan), ["clash old"]);
    assert_eq!(put(&mut claims, "new", 2, wishes(&[("x", "2")])), ["+x"], "and the other goes on");
}

#[test]
fn the_check_of_a_deleted_configmap_ends_whoever_inherits_its_name() {
    let mut claims = NameClaims::default();
    put(&mut claims, "new", 2, wishes(&[("x", "1")]));
    put(&mut claims, "old", 1, broken("x", "no"));
    let plan = claims.remove(&place("new"), MOST);
    assert_eq!(done(&mut claims, &plan), ["-x", "?old"]);
    assert_eq!(put(&mut claims, "old", 1, broken("x", "no")), ["!x"]);
}

fn many(names: std::ops::Range<usize>) -> BTreeMap<Key, Desired> {
    let names: Vec<_> = names.map(|number| format!("c{number}")).collect();
    wishes(&names.iter().map(|name| (name.as_str(), "1")).collect::<Vec<_>>())
}

#[test]
fn a_configmap_with_more_checks_than_its_namespace_may_have_is_refused_and_keeps_what_it_had() {
    let mut claims = NameClaims::default();
    assert_eq!(put(&mut claims, "big", 1, many(0..3)), ["+c0", "+c1", "+c2"]);
    assert_eq!(put(&mut claims, "big", 1, many(1..7)), ["!big"], "and nothing else changes");
    let (_, wish) = claims.owner(&key("big")).expect("it stands on the board");
    let why = wish.trouble.as_ref().map(|fault| fault.message.as_str()).unwrap_or_default();
    assert!(why.contains("the 6 checks of the ConfigMap big") && why.contains("may have 5"), "{why}");
    assert_eq!(put(&mut claims, "big", 1, many(1..4)), ["-big", "-c0", "+c3"]);
}

#[test]
fn who_was_refused_gets_in_as_soon_as_there_is_room() {
    let mut claims = NameClaims::default();
    put(&mut claims, "one", 1, many(0..4));
    assert_eq!(put(&mut claims, "two", 2, many(4..6)), ["!two"]);
    assert!(put(&mut claims, "one", 1, many(0..4)).is_empty());
    assert_eq!(put(&mut claims, "one", 1, many(0..3)), ["-c3", "?two"]);
    assert_eq!(put(&mut claims, "two", 2, many(4..6)), ["-two", "+c4", "+c5"]);
    let plan = claims.remove(&place("one"), MOST);
    assert_eq!(done(&mut claims, &plan), ["-c0", "-c1", "-c2"]);
}

#[test]
fn however_many_configmaps_are_refused_few_of_them_stand_on_the_board() {
    let mut claims = NameClaims::default();
    put(&mut claims, "full", 1, many(0..5));
    for number in 0..MOST_REFUSED {
        let name = format!("more-{number}");
        assert_eq!(put(&mut claims, &name, 2, many(5..6)), [format!("!{name}")]);
    }
    assert_eq!(put(&mut claims, "last", 2, many(5..6)), ["clash last"], "an Event only");
}

/// The number of checks that were told without trouble, and of those with trouble.
fn on_the_board(claims: &NameClaims) -> (usize, usize) {
    let troubles = claims.told.values().filter(|(_, wish)| wish.trouble.is_some()).count();
    (claims.told.len() - troubles, troubles)
}

#[test]
fn refused_configmaps_that_are_applied_again_stay_on_the_board_and_are_counted() {
    for reversed in [false, true] {
        let mut claims = NameClaims::default();
        let mut apply = |content: &str| {
            let mut numbers: Vec<_> = (0..16).collect();
            if reversed && content != "1" {
                numbers.reverse();
            }
            for number in numbers {
                let (name, check) = (format!("m{number}"), format!("c{number}"));
                let plan = claims.put(&seen(&name, number), wishes(&[(&check, content)]), 2);
                done(&mut claims, &plan);
            }
            (on_the_board(&claims), claims.refused())
        };
        assert_eq!(apply("1"), ((2, MOST_REFUSED), 14));
        assert_eq!(apply("2"), ((2, MOST_REFUSED), 14));
    }
}

#[test]
fn refusals_on_the_board_take_no_room_from_checks() {
    let mut claims = NameClaims::default();
    put(&mut claims, "full", 1, many(0..5));
    for number in 0..6 {
        let name = format!("more-{number}");
        assert_eq!(put(&mut claims, &name, 2 + number, many(5..6)), [format!("!{name}")]);
    }
    let plan = claims.remove(&place("full"), MOST);
    assert!(plan.read.contains(&place("more-0")), "{plan:?}");
}

#[test]
fn a_refused_configmap_takes_the_place_of_one_that_leaves_the_board() {
    let mut claims = NameClaims::default();
    put(&mut claims, "full", 1, many(0..5));
    for number in 0..=MOST_REFUSED {
        put(&mut claims, &format!("more-{number}"), 2, many(5..6));
    }
    let last = format!("more-{MOST_REFUSED}");
    let plan = claims.remove(&place("more-0"), MOST);
    assert_eq!(done(&mut claims, &plan), ["-more-0".to_owned(), format!("?{last}")]);
    assert_eq!(put(&mut claims, &last, 2, many(5..6)), [format!("!{last}")]);
}
