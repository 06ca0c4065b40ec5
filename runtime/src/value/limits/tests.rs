//! Tests of the table of limits, and of what is written of it.

use crate::{
    grant::Ceiling,
    manifest::{self, Check},
    value::limits::*,
};
use std::collections::HashSet;

#[test]
fn every_default_is_in_its_range() {
    for limit in Limit::ALL {
        assert_eq!(limit.parse(limit.default()), Ok(limit.default()), "{limit:?}");
    }
}

#[test]
fn no_two_limits_share_a_key_and_each_finds_its_own_row() {
    let keys: HashSet<_> = Limit::ALL.map(Limit::key).into();
    assert_eq!(keys.len(), Limit::ALL.len());
    for limit in Limit::ALL {
        assert_eq!(format!("{limit:?}").to_lowercase(), limit.key().to_lowercase());
    }
}

#[test]
fn amounts_out_of_range_are_refused_with_the_range() {
    for (limit, amount, message) in [
        (Limit::Memory, 0, "limits.memory is 0: choose between 2Mi and 1Gi"),
        (Limit::Memory, 2048 * MI, "limits.memory is 2Gi: choose between 2Mi and 1Gi"),
        (Limit::Cpu, 0, "limits.cpu is 0s: choose between 10ms and 1m"),
        (Limit::Cpu, 61 * SECOND, "limits.cpu is 1m1s: choose between 10ms and 1m"),
        (Limit::HostCalls, 0, "limits.hostCalls is 0: choose between 1 and 10000"),
        (Limit::Timeout, 0, "timeout is 0s: choose between 1ms and 1h"),
    ] {
        let error = Limits::default().set(limit, amount).expect_err("out of range");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn amounts_are_told_in_their_own_units() {
    let mut limits = Limits::default();
    limits.set(Limit::Cpu, 250).expect("in range");
    assert_eq!(limits.time(Limit::Cpu), Duration::from_millis(250));
    assert_eq!((limits.count(Limit::Memory), limits.count(Limit::HostCalls)), (64 << 20, 50));
    assert_eq!(Limit::Cpu.line(250), "limits: { cpu: 250ms }");
    assert_eq!(Limit::Timeout.line(2500), "timeout: 2s500ms");
}

#[test]
fn checks_with_the_defaults_share_them() {
    assert!(Arc::ptr_eq(&Limits::shared(), &Limits::shared()));
    assert_eq!(*Limits::shared(), Limits::default());
}

/// The check of a manifest with these `limits` in its sixth line, or why it is refused.
fn check(limits: &str) -> Result<Check, String> {
    let text = format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: dns }}\nspec:\n  module: dns.wasm\n  limits: {{ {limits} }}\n"
    );
    let checks = manifest::parse(&text, "default", &Ceiling::open());
    checks.map(|mut checks| checks.remove(0)).map_err(|error| error.to_string())
}

#[test]
fn a_limit_that_is_not_there_is_refused_with_those_that_are() {
    for key in ["x", "timeout"] {
        let refusal = check(&format!("{key}: 1")).expect_err(key);
        assert!(refusal.starts_with(&format!("line 6, column 13: unknown key `{key}`")), "{refusal}");
    }
    let refusal = check("x: 1").expect_err("no such limit");
    let keys = Limit::ALL.into_iter().filter(|limit| limit.is_under_limits()).map(Limit::key);
    let quoted: Vec<_> = keys.map(|key| format!("`{key}`")).collect();
    assert!(refusal.ends_with(&format!("possible here are {}", quoted.join(", "))), "{refusal}");
}

#[test]
fn init_gets_no_less_processor_time_than_a_poll_unless_the_manifest_says_so() {
    for (limits, init) in [("cpu: 250ms", 5), ("cpu: 30s", 30), ("cpu: 30s, initCpu: 1s", 1)] {
        let check = check(limits).expect(limits);
        assert_eq!(check.program.limits.time(Limit::InitCpu), Duration::from_secs(init), "{limits}");
    }
}
