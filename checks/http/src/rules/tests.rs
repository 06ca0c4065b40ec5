//! Tests of rules for JSON.

use aviary_guest::json::{from_value, json};

use super::*;

fn judge(rule: Value) -> Vec<String> {
    let document = json!({
        "empty": [], "items": [{"ready": true, "n": 1, "new": true}, {"ready": false, "n": 2}], "name": "alpha", "load": 4.5,
        "none": null, "status": "UP",
    });
    from_value::<JsonRule>(rule).expect("a rule").judge(&document)
}

#[test]
fn rules_that_hold_say_nothing() {
    for rule in [
        json!({"path": "/name", "equals": "alpha", "matches": "^al", "notMatches": "z", "length": {"atMost": 5}}),
        json!({"path": "/load", "above": 4, "below": 5, "atLeast": 4.50, "atMost": 45e-1}),
        json!({"path": "/items", "length": {"atLeast": 2, "atMost": 2}}),
        json!({"path": "/items/*/n", "atLeast": 1}),
        json!({"path": "/items/*/ready", "any": true, "equals": true}),
        json!({"path": "/none", "equals": null}),
        json!({"path": "/items/*/new", "any": true, "equals": true}),
        json!({"path": "/items/*/new", "any": true, "absent": true}),
        json!({"path": "/old", "absent": true}),
        json!({"path": "/items/*/old", "absent": true}),
        json!({"path": "/status", "oneOf": ["UP", "OK"], "notEquals": "DOWN"}),
        json!({"path": "/load", "matches": "^4"}),
        json!({"path": "/name"}),
    ] {
        assert_eq!(judge(rule.clone()), [""; 0], "{rule}");
    }
}

#[test]
fn a_rule_that_is_broken_says_what_is_there_and_what_should_be() {
    for (rule, problem) in [
        (json!({"path": "/name", "equals": "beta"}), "/name is \"alpha\", not \"beta\""),
        (json!({"path": "/name", "notEquals": "alpha"}), "/name is \"alpha\""),
        (json!({"path": "/status", "oneOf": ["OK", 1]}), "/status is \"UP\", not one of [\"OK\",1]"),
        (json!({"path": "/name", "matches": "^b"}), "/name is \"alpha\", which does not match /^b/"),
        (json!({"path": "/name", "notMatches": "^a"}), "/name is \"alpha\", which matches /^a/"),
        (json!({"path": "/load", "above": 4.5}), "/load is 4.5, not greater than 4.5"),
        (json!({"path": "/load", "below": 4.5}), "/load is 4.5, not less than 4.5"),
        (json!({"path": "/name", "atLeast": 1}), "/name is \"alpha\", not at least 1"),
        (json!({"path": "/items", "length": {"atLeast": 3}}), "the length of /items is 2, not at least 3"),
        (json!({"path": "/load", "length": {"atMost": 3}}), "/load is 4.5, which has no length"),
        (json!({"path": "/items/*/ready", "equals": true}), "/items/1/ready is false, not true"),
        (
            json!({"path": "/items/*/n", "any": true, "above": 2}),
            "no value of /items/*/n fits: /items/0/n is 1, not greater than 2",
        ),
        (json!({"path": "/items/*/new", "equals": true}), "/items/1/new is missing"),
        (
            json!({"path": "/items/*/x", "any": true, "equals": 1}),
            "no value of /items/*/x fits: /items/0/x is missing",
        ),
        (json!({"path": "/empty/*", "equals": 1}), "/empty/* is missing"),
        (json!({"path": "/x/*/y", "equals": 1}), "/x/*/y is missing"),
        (json!({"path": "/none", "absent": true}), "/none is there: null"),
    ] {
        assert_eq!(judge(rule.clone()), [problem], "{rule}");
    }
}

#[test]
fn of_the_problems_of_a_rule_the_first_three_are_told() {
    let rule: JsonRule = from_value(json!({"path": "/*/*", "above": 1})).expect("a rule");
    let problems = rule.judge(&json!({"a": vec![2; 100_000], "b": vec![0; 100_000]}));
    assert_eq!(problems.len(), 3);
    assert_eq!(problems[0], "/b/0 is 0, not greater than 1");
    let long = "k".repeat(300_000);
    let problems = rule.judge(&json!({(long): vec![0; 1_000]}));
    assert!(problems.iter().all(|problem| problem.len() < 510), "a problem that is not cut");
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    for rule in [
        json!({}),
        json!({"path": "name"}),
        json!({"path": "/a", "above": "4"}),
        json!({"path": "/a", "is": 1}),
        json!({"path": "/a", "oneOf": []}),
    ] {
        assert!(from_value::<JsonRule>(rule.clone()).is_err(), "{rule}");
    }
}
