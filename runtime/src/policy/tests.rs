//! Tests of policies: from the file to what the checks of a namespace can be.

use super::*;
use crate::{grant::Access, manifest::Check};
use std::time::Duration;

const HEAD: &str = "apiVersion: aviary.dev/v1alpha1\nkind: Policy\n";

/// The policy of a daemon in the namespace `aviary`, with `rules` as its fourth line and the rest.
fn policy(rules: &str) -> Result<Policy, Error> {
    Policy::parse(&format!("{HEAD}rules:\n{rules}"), Some("aviary"), "cluster.local")
}

/// The check, or the refusal, of a manifest in an object of this namespace.
fn check(policy: &Policy, namespace: &str, metadata: &str, spec: &str) -> Result<Check, String> {
    let text = format!(
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: a{metadata} }}\nspec: {{ module: a.wasm{spec} }}\n"
    );
    let checks = manifest::parse(&text, namespace, &policy.ceiling_for(namespace));
    checks.map(|mut checks| checks.remove(0)).map_err(|error| error.to_string())
}

fn none() -> Policy {
    Policy::new(Some("aviary"), "cluster.local")
}

#[test]
fn what_guests_of_a_tenant_hand_over_is_a_mebibyte_unless_the_policy_says_otherwise() {
    let more = ", limits: { hostCallBytes: 2Mi }";
    let rule = |limits: &str| {
        policy(&format!("  - {{ namespaces: [a], limits: {{ {limits} }} }}\n")).expect("valid")
    };
    for policy in [none(), rule("memory: 16Mi")] {
        let refusal = check(&policy, "a", "", more).expect_err("too much").to_string();
        assert!(refusal.contains("limits.hostCallBytes of 2Mi"), "{refusal}");
    }
    let check = check(&rule("hostCallBytes: 4Mi"), "a", "", more).expect("within");
    assert_eq!(check.program.limits.get(Limit::HostCallBytes), 2 << 20);
}

#[test]
fn without_rules_only_the_daemons_own_namespace_is_trusted() {
    assert_eq!(none().ceiling_for("aviary"), Ceiling::trusted("aviary"));
    let tenant = |namespace| Ceiling::tenant(namespace, "cluster.local", Arc::default());
    for namespace in ["team-a", "default", "aviary2"] {
        assert_eq!(none().ceiling_for(namespace), tenant(namespace));
    }
    let homeless = Policy::new(None, "cluster.local");
    assert_eq!(homeless.ceiling_for("aviary"), tenant("aviary"));
}

#[test]
fn a_tenants_manifest_cannot_claim_another_namespace() {
    assert!(check(&none(), "team-a", "", "").is_ok_and(|check| check.key.namespace() == "team-a"));
    assert!(check(&none(), "team-a", ", namespace: team-a", "").is_ok());
    for namespace in ["aviary", "team-b"] {
        let refusal =
            check(&none(), "team-a", &format!(", namespace: {namespace}"), "").expect_err(namespace);
        assert_eq!(
            refusal,
            "line 3, column 33: a check that lies in namespace team-a cannot be in another: remove `namespace`"
        );
        assert!(check(&none(), "aviary", ", namespace: team-a", "").is_err());
    }
}

#[test]
fn a_tenants_manifest_with_the_daemons_secrets_is_refused_where_they_stand() {
    for (source, kind) in [("file: /run/secrets/token", "file"), ("env: TOKEN", "env")] {
        let spec = format!(", secrets: [{{ name: t, {source} }}]");
        assert_eq!(
            check(&none(), "team-a", "", &spec).expect_err("the daemon's"),
            format!(
                "line 4, column 35: the policy for namespace team-a does not allow secrets from `{kind}`; the operator's \
                 --policy would have to, with `secrets: [{kind}]`"
            )
        );
        check(&none(), "aviary", "", &spec).expect("trusted");
    }
    check(&none(), "team-a", "", ", secrets: [{ name: t, secretKeyRef: { name: s, key: k } }]")
        .expect("its own");
}

#[test]
fn a_tenants_manifest_with_another_account_is_refused_where_it_stands() {
    let permitted = |check: Check| check.program.authorization.account().map(ToString::to_string);
    assert_eq!(
        check(&none(), "team-a", "", "").map(permitted),
        Ok(Some("system:serviceaccount:team-a:aviary-check".to_owned()))
    );
    assert_eq!(check(&none(), "aviary", "", "").map(permitted), Ok(None));
    let refusal = check(&none(), "team-a", "", ", serviceAccount: default").expect_err("another");
    assert!(
        refusal.starts_with(
            "line 4, column 41: the policy for namespace team-a does not allow the service account default;"
        ),
        "{refusal}"
    );
    for name in ["Default", "a:b", "other:aviary-check", "a/b", "''"] {
        for namespace in ["team-a", "aviary"] {
            let spec = format!(", serviceAccount: {name}");
            let refusal = check(&none(), namespace, "", &spec).expect_err(name);
            assert!(refusal.contains("is not valid: use lower-case letters"), "{refusal}");
        }
    }
}

#[test]
fn the_first_rule_that_names_a_namespace_counts() {
    let policy = policy(
        "  - { namespaces: [platform, \"*-ops\"], trusted: true }
  - { namespaces: [team-a], secrets: [env] }
  - { namespaces: [\"team-*\"], serviceAccounts: [probe], grants: { kubernetes: [{ apiGroups: [\"\"], resources: [pods], verbs: [get] }] } }
  - { namespaces: [\"*\"], grants: { http: [] } }
",
    )
    .expect("valid");
    let ceiling = |namespace| policy.ceiling_for(namespace);
    assert_eq!(ceiling("platform"), Ceiling::trusted("platform"));
    assert_eq!(ceiling("team-ops"), Ceiling::trusted("team-ops"));
    assert!(ceiling("team-a").secret(SecretKind::Env).is_ok());
    assert!(ceiling("team-a").account("team-a", Some("probe")).is_err());
    assert!(ceiling("team-b").account("team-b", Some("probe")).is_ok());
    assert!(
        ceiling("aviary").secret(SecretKind::File).is_err(),
        "a rule names the daemon's own namespace too"
    );
    let grants =
        ", grants: { kubernetes: [{ apiGroups: [\"\"], resources: [pods, secrets], verbs: [get] }] }";
    let authorization = check(&policy, "team-b", "", grants).expect("valid").program.authorization.clone();
    let access =
        |resource| Access { verb: "get", group: "", resource, namespace: Some("team-b"), name: None };
    assert_eq!(authorization.kubernetes(&access("pods")), Ok(()));
    assert!(authorization.kubernetes(&access("secrets")).is_err());
}

const LEAN: &str =
    "  - { namespaces: [a], timeout: 5s, limits: { memory: 16Mi, cpu: 100ms, hostCalls: 5 } }\n";

#[test]
fn a_manifest_may_ask_for_as_much_as_the_policy_says() {
    let policy = policy(LEAN).expect("valid");
    let check =
        check(&policy, "a", "", ", timeout: 5s, limits: { memory: 16Mi, series: 1000 }").expect("within");
    assert_eq!(
        (check.program.limits.get(Limit::Memory), check.program.limits.get(Limit::Series)),
        (16 << 20, 1000)
    );
}

#[test]
fn more_than_the_policy_says_is_refused_where_it_stands() {
    let policy = policy(LEAN).expect("valid");
    for (spec, column, asked, line) in [
        ("limits: { memory: 17Mi }", 43, "limits.memory of 17Mi", "limits: { memory: 17Mi }"),
        ("limits: { cpu: 1s }", 40, "limits.cpu of 1s", "limits: { cpu: 1s }"),
        ("limits: { hostCalls: 6 }", 46, "limits.hostCalls of 6", "limits: { hostCalls: 6 }"),
        ("timeout: 6s", 34, "timeout of 6s", "timeout: 6s"),
    ] {
        let refusal = check(&policy, "a", "", &format!(", {spec}")).expect_err(spec);
        assert_eq!(
            refusal,
            format!(
                "line 4, column {column}: the policy for namespace a does not allow {asked}; the operator's \
                 --policy would have to, with `{line}`"
            )
        );
        check(&none(), "a", "", &format!(", {spec}")).expect("no rule speaks of limits");
    }
}

#[test]
fn a_default_above_the_policy_is_lowered_to_it() {
    let policy = policy(LEAN).expect("valid");
    let check = check(&policy, "a", "", "").expect("valid");
    let lowered = [Limit::Memory, Limit::Cpu, Limit::HostCalls].map(|limit| check.program.limits.get(limit));
    assert_eq!((lowered, check.program.timeout), ([16 << 20, 100, 5], Duration::from_secs(5)));
    assert_eq!(check.program.limits.get(Limit::Handles), Limit::Handles.default());
}

#[test]
fn a_star_stands_for_any_characters_of_a_namespace() {
    for (pattern, named, others) in [
        ("team-*", vec!["team-a", "team-", "team-a-b"], vec!["team", "xteam-a"]),
        ("*-prod", vec!["a-prod"], vec!["prod", "a-prod2"]),
        ("a*a", vec!["aa", "aba"], vec!["a", "ab"]),
        ("*", vec!["a"], vec![]),
        ("team-a", vec!["team-a"], vec!["team-ab", "team"]),
    ] {
        let pattern: NamespacePattern = pattern.parse().expect("a pattern");
        assert!(named.iter().all(|namespace| pattern.matches(namespace)), "{pattern:?}");
        assert!(!others.iter().any(|namespace| pattern.matches(namespace)), "{pattern:?}");
    }
}

#[test]
fn each_mistake_is_refused_where_it_stands() {
    for (rule, column, message) in [
        ("{ namespace: [a] }", 7, "unknown key `namespace`; did you mean `namespaces`?"),
        ("{ trusted: true }", 7, "the key `namespaces` is missing"),
        (
            "{ namespaces: [] }",
            5,
            "the rule names no namespace: write for example `namespaces: [\"team-*\"]`",
        ),
        ("{ namespaces: [\"a*b*\"] }", 20, "`a*b*` is no namespace: write `team-a`, `team-*` or `*`"),
        ("{ namespaces: [A] }", 20, "`A` is no namespace: write `team-a`, `team-*` or `*`"),
        (
            "{ namespaces: [a], trusted: true, grants: {} }",
            5,
            "who is trusted has no bounds: remove `trusted`, or all of the rule but `namespaces`",
        ),
        (
            "{ namespaces: [a], trusted: true, limits: {} }",
            5,
            "who is trusted has no bounds: remove `trusted`, or all of the rule but `namespaces`",
        ),
        (
            "{ namespaces: [a], limits: { memory: 1Mi } }",
            42,
            "limits.memory is 1Mi: choose between 2Mi and 1Gi",
        ),
        ("{ namespaces: [a], timeout: 2h }", 33, "timeout is 2h: choose between 1ms and 1h"),
        ("{ namespaces: [a], limits: { cpus: 1s } }", 34, "unknown key `cpus`; did you mean `cpu`?"),
        ("{ namespaces: [a], trusted: yes }", 33, "`true` or `false` belongs here"),
        ("{ namespaces: [a], grants: { htp: [] } }", 34, "unknown key `htp`; did you mean `http`?"),
        (
            "{ namespaces: [a], secrets: [vault] }",
            34,
            "`vault` is not possible here: write `file` or `env` or `secretKeyRef`",
        ),
        (
            "{ namespaces: [a], serviceAccounts: [\"a:b\"] }",
            42,
            "`a:b` is no service account: write its name",
        ),
    ] {
        let error = policy(&format!("  - {rule}\n")).expect_err(rule).to_string();
        assert_eq!(error, format!("line 4, column {column}: {message}"), "{rule}");
    }
}

#[test]
fn a_key_without_a_value_never_means_the_default() {
    let keys = ["http", "tcp", "dns", "kubernetes"].map(|key| format!("grants: {{ {key}: }}"));
    for key in
        keys.into_iter().chain(["serviceAccounts:", "secrets:", "timeout:", "limits:"].map(str::to_owned))
    {
        if let Ok(policy) = policy(&format!("  - {{ namespaces: [a], {key} }}\n")) {
            let without = Ceiling::tenant("a", "cluster.local", Arc::default());
            assert_ne!(policy.ceiling_for("a"), without, "{key}");
        }
    }
}

#[test]
fn a_file_that_is_not_one_policy_is_refused() {
    let one = format!("{HEAD}rules: []\n");
    assert!(Policy::parse(&one, None, "cluster.local").is_ok());
    for text in [String::new(), format!("{one}---\n{one}"), one.replace("Policy", "Check"), HEAD.to_owned()] {
        assert!(Policy::parse(&text, None, "cluster.local").is_err(), "{text}");
    }
}

#[test]
fn a_tenants_namespace_has_so_many_checks_and_who_is_trusted_any_number() {
    let rules = "  - { namespaces: [team-a], checks: 3 }\n  - { namespaces: [team-b], secrets: [] }\n  - { namespaces: [ops], trusted: true }\n";
    let policy = policy(rules).expect("valid");
    let most = ["team-a", "team-b", "team-c", "ops", "aviary"].map(|namespace| policy.most_checks(namespace));
    assert_eq!(most, [3, MOST_CHECKS, MOST_CHECKS, usize::MAX, usize::MAX]);
    assert!(self::policy("  - { namespaces: [ops], trusted: true, checks: 3 }\n").is_err());
}

#[test]
fn guests_of_a_tenants_namespace_share_so_much_memory_and_those_of_who_is_trusted_any_amount() {
    let rules = "  - { namespaces: [team-a], memory: 3Mi }\n  - { namespaces: [ops], trusted: true }\n";
    let policy = policy(rules).expect("valid");
    let most = ["team-a", "team-b", "ops", "aviary"].map(|namespace| policy.ceiling_for(namespace).memory());
    assert_eq!(most, [Some(Size::mebibytes(3)), Some(Size::mebibytes(768)), None, None]);
    for rule in ["{ namespaces: [ops], trusted: true, memory: 3Mi }", "{ namespaces: [ops], memory: 3 MB }"] {
        assert!(self::policy(&format!("  - {rule}\n")).is_err(), "{rule}");
    }
}

#[test]
fn a_tenants_module_without_a_manifest_has_no_more_than_one_with_it() {
    let policy =
        policy("  - { namespaces: [team-a], timeout: 2s, limits: { memory: 16Mi } }\n").expect("valid");
    let ceiling = policy.ceiling_for("team-a");
    let key = "team-a/web".parse().expect("a key");
    let check = manifest::alone(key, "web.wasm".parse().expect("a module"), &ceiling).expect("a check");
    assert_eq!(
        (check.program.limits.get(Limit::Memory), check.program.timeout),
        (16 << 20, Duration::from_secs(2))
    );
    assert_eq!(check.program.authorization.memory(), ceiling.memory());
    assert!(check.program.authorization.account().is_some(), "not the daemon's own identity");
}
