mod refused;

use crate::{
    manifest::{SecretSource, Severity, file::*},
    schedule::Schedule,
    value::{Digest, Limit},
};
use std::{num::NonZeroU32, time::Duration};

const HEAD: &str = "apiVersion: aviary.dev/v1alpha1\nkind: Check\n";

/// A manifest with `spec` as its sixth line and the rest.
fn with(spec: &str) -> String {
    format!("{HEAD}metadata: {{ name: dns }}\nspec:\n  module: dns.wasm\n{spec}")
}

fn one(text: &str) -> Check {
    let mut checks = parse(text, "default", &Ceiling::open()).expect(text);
    assert_eq!(checks.len(), 1);
    checks.remove(0)
}

fn refusal(text: &str) -> String {
    parse(text, "default", &Ceiling::open()).expect_err(text).to_string()
}

#[test]
fn the_manifest_of_the_design_means_what_it_says() {
    let check = one(&format!(
        "{HEAD}\
metadata: {{ name: cluster-dns, namespace: platform, labels: {{ a: b }}, annotations: {{ c: d }} }}
spec:
  module: dns.wasm
  digest: {digest}
  interval: 30s
  timeout: 5s
  ttl: 10m
  startupGrace: 10s
  failureThreshold: 2
  successThreshold: 3
  retries: 1
  suspend: true
  severity: warning
  owner: platform-team
  settings: {{ names: [kubernetes.default.svc.cluster.local], deep: {{ yes: no, on: 1.5 }} }}
  secrets: [{{ name: token, file: /run/token }}, {{ name: key, env: API_KEY }}]
  serviceAccount: dns-check
  limits: {{ memory: 32Mi, cpu: 500ms, hostCalls: 7 }}
",
        digest = Digest::of(b"")
    ));
    assert_eq!(check.key.as_str(), "platform/cluster-dns");
    assert_eq!(check.program.module.file_name(), "dns.wasm");
    assert_eq!(check.program.digest, Some(Digest::of(b"")));
    assert_eq!(check.schedule, Schedule::Interval(Duration::from_secs(30)));
    assert_eq!((check.program.timeout, check.ttl), (Duration::from_secs(5), Some(Duration::from_secs(600))));
    assert_eq!((check.startup_grace, check.retries, check.suspend), (Duration::from_secs(10), 1, true));
    assert_eq!(Some(check.failure_threshold), NonZeroU32::new(2));
    assert_eq!(Some(check.success_threshold), NonZeroU32::new(3));
    assert_eq!((check.severity, check.owner.as_deref()), (Severity::Warning, Some("platform-team")));
    assert_eq!(
        &*check.program.settings,
        r#"{"deep":{"on":1.5,"yes":"no"},"names":["kubernetes.default.svc.cluster.local"]}"#
    );
    assert_eq!(check.program.secrets[0].from, SecretSource::File("/run/token".into()));
    let account = check.program.authorization.account().map(ToString::to_string);
    assert_eq!(account.as_deref(), Some("system:serviceaccount:platform:dns-check"));
    assert_eq!(check.program.secrets[1].from, SecretSource::Env("API_KEY".to_owned()));
    let limits = [Limit::Memory, Limit::Cpu, Limit::HostCalls].map(|limit| check.program.limits.get(limit));
    assert_eq!(limits, [32 << 20, 500, 7]);
}

#[test]
fn a_manifest_that_says_nothing_means_the_same_as_none() {
    let check = one(&with(""));
    assert_eq!(check, Check::bare(check.key.clone(), check.program.module.clone()));
    assert_eq!(check.key.as_str(), "default/dns");
}

#[test]
fn json_is_yaml_too() {
    let text = r#"{"apiVersion":"aviary.dev/v1alpha1","kind":"Check","metadata":{"name":"a"},"spec":{"module":"a.wasm"}}"#;
    assert_eq!(one(text).key.as_str(), "default/a");
}

#[test]
fn the_default_timeout_is_ten_seconds_or_the_gap_between_runs() {
    for (schedule, seconds) in [
        ("interval: 1m", 10),
        ("interval: 3s", 3),
        ("schedule: '* * * * *'", 10),
        ("schedule: '*/2 * * * * *'", 2),
    ] {
        assert_eq!(
            one(&with(&format!("  {schedule}"))).program.timeout,
            Duration::from_secs(seconds),
            "{schedule}"
        );
    }
}

#[test]
fn a_schedule_is_read_with_its_time_zone() {
    let check = one(&with("  schedule: '*/5 * * * *'\n  timeZone: Europe/Berlin"));
    assert_eq!(check.schedule.to_string(), "*/5 * * * * Europe/Berlin");
}

#[test]
fn a_file_may_hold_several_documents_and_empty_ones() {
    let text =
        format!("# checks\n---\n{}\n---\n---\n{}...\n", with(""), with("").replace("name: dns", "name: web"));
    let checks = parse(&text, "team-a", &Ceiling::open()).expect("valid");
    assert_eq!(
        checks.iter().map(|check| check.key.as_str()).collect::<Vec<_>>(),
        ["team-a/dns", "team-a/web"]
    );
}

#[test]
fn no_cut_of_a_manifest_makes_it_panic() {
    let whole = with("  settings: { a: [\"ü\", 'b'], c: |\n    text\n }\n  schedule: '*/5 * * * *'\n");
    for (end, _) in whole.char_indices() {
        let _ = parse(&whole[..end], "default", &Ceiling::open());
        let _ = parse(&whole[end..], "default", &Ceiling::open());
    }
}

/// What the refused documents of a file name.
fn refused(text: &str, ceiling: &Arc<Ceiling>) -> Vec<Named> {
    documents(text, "default", ceiling)
        .into_iter()
        .filter_map(Result::err)
        .map(|refused| refused.named)
        .collect()
}

#[test]
fn a_refused_document_still_tells_which_check_and_module_it_is_about() {
    let text = format!("{}  intervall: 5s\n---\n{HEAD}metadata: {{ name: b, namespace: shop }}\n", with(""));
    let named = |ceiling| -> Vec<_> {
        refused(&text, &ceiling).into_iter().map(|named| named.key.map(|key| key.to_string())).collect()
    };
    let (dns, shop) = (Some("default/dns".to_owned()), Some("shop/b".to_owned()));
    assert_eq!(named(Ceiling::open()), [dns.clone(), shop]);
    assert_eq!(named(Ceiling::trusted("default")), [dns, None], "no claim to other namespaces");
    assert_eq!(refused(&text, &Ceiling::open())[0].module, "dns.wasm".parse().ok());
    for unreadable in ["kind: [", "", "metadata: { name: A }", "metadata: 5", "- a"] {
        assert_eq!(refused(unreadable, &Ceiling::open()), [Named::default()], "{unreadable:?}");
    }
}

#[test]
fn each_document_is_judged_by_itself_whatever_stands_around_it() {
    let good = |name: &str| with("").replace("name: dns", &format!("name: {name}"));
    let says = |text: &str| -> Vec<String> {
        let told = |document: Document| match document {
            Ok(check) => check.key.name().to_owned(),
            Err(refused) => refused.error.to_string(),
        };
        documents(text, "default", &Ceiling::open()).into_iter().map(told).collect()
    };
    for (broken, place) in [
        ("kind: [\n", "line 7, column 7: "),
        ("kind: [\n...\n", "line 7, column 7: "),
        ("kind: [\r\n...\r\n# and so on\r\n%YAML 1.2\r\n", "line 7, column 7: "),
        ("kind: \"a\n", "line 8, column 1: "),
        ("hello\n", "line 7, column 1: "),
    ] {
        let told = says(&format!("{}---\n{broken}--- # next\n{}", good("a"), good("b")));
        assert_eq!(told.len(), 3, "{broken:?}: {told:?}");
        assert_eq!((told[0].as_str(), told[2].as_str()), ("a", "b"));
        assert!(told[1].starts_with(place), "{told:?}");
    }
    let directive = format!("%YAML 1.2\n# a comment\n---\n{}...\n%YAML 1.2\n---\n{}", good("a"), good("b"));
    assert_eq!(says(&directive), ["a", "b"]);
    assert_eq!(says(&format!("{}---\n{}", good("a"), good("a")))[0], "a", "of two the first counts");
}
