//! What `deploy/` would put into a cluster.

use aviary::{cli::Arguments, settings::Allowance, value::Size};
use clap::Parser;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The directories below `deploy/` that people apply. The example needs a module that is built first.
const KUSTOMIZATIONS: [&str; 6] = [
    "base",
    "overlays/all-namespaces",
    "overlays/nodeport",
    "overlays/prometheus-operator",
    "overlays/tls",
    "tenant",
];

#[test]
fn no_role_has_a_wildcard_a_secret_or_a_blank_cheque_to_impersonate() {
    for (whence, object) in objects() {
        for rule in object["rules"].as_array().into_iter().flatten() {
            let text = rule.to_string();
            assert!(!text.contains("\"*\"") && !text.contains("secrets"), "{whence}: {text}");
            if text.contains("impersonate") {
                assert_eq!(rule["resourceNames"], serde_json::json!(["aviary-check"]), "{whence}: {text}");
            }
        }
    }
}

#[test]
fn the_daemon_may_do_what_it_does_wherever_it_follows_configmaps_and_nothing_else() {
    for (whence, object) in objects() {
        let rules = object["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_about = |rule: &&Value, word: &str| rule.to_string().contains(word);
        if rules.iter().any(|rule| is_about(&rule, "watch") && is_about(&rule, "configmaps")) {
            assert!(rules.iter().any(|rule| is_about(&rule, "impersonate")), "{whence}: {rules:?}");
            assert!(!rules.iter().any(|rule| is_about(&rule, "events.k8s.io")), "{whence}: {rules:?}");
        }
    }
}

#[test]
fn the_daemon_may_see_which_namespaces_there_are_where_it_follows_all_of_them_and_nothing_else_of_the_cluster()
 {
    for (whence, objects) in
        objects().chunk_by(|(one, _), (other, _)| one == other).map(|all| (all[0].0, all))
    {
        let rules = objects.iter().filter(|(_, object)| object["kind"] == "ClusterRole");
        let rules = rules.flat_map(|(_, object)| object["rules"].as_array().into_iter().flatten());
        let about = |rule: &&Value| rule["resources"] == serde_json::json!(["namespaces"]);
        let verbs: Vec<_> = rules.filter(about).map(|rule| rule["verbs"].clone()).collect();
        let expected =
            if whence == "overlays/all-namespaces" { vec![serde_json::json!(["get"])] } else { vec![] };
        assert_eq!(verbs, expected, "{whence}");
    }
}

#[test]
fn whoever_may_ask_the_daemon_is_named() {
    for (whence, policy) in objects().into_iter().filter(|(_, object)| object["kind"] == "NetworkPolicy") {
        for rule in policy["spec"]["ingress"].as_array().expect("rules") {
            assert_eq!(rule["from"].is_array(), whence != "overlays/nodeport", "{whence}: {rule}");
        }
    }
}

#[test]
fn the_daemon_understands_its_arguments() {
    for (whence, container) in containers() {
        let arguments = container["args"].as_array().expect("arguments");
        let arguments = arguments.iter().filter_map(Value::as_str);
        if let Err(error) = Arguments::try_parse_from(["aviary"].into_iter().chain(arguments)) {
            panic!("{whence}: {error}");
        }
    }
}

#[test]
fn the_kubelet_asks_where_nobody_else_is_answered() {
    for (whence, container) in containers() {
        let named = |list: &str, name: &str| {
            let all = container[list].as_array().expect("a list");
            all.iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
        };
        let port = named("ports", "probes")["containerPort"].clone();
        assert_eq!(named("env", "AVIARY_PROBE_LISTEN")["value"], format!(":{port}"), "{whence}");
        for probe in ["livenessProbe", "readinessProbe"] {
            let asked = &container[probe]["httpGet"];
            assert!(asked["port"] == "probes" && asked["scheme"].is_null(), "{whence}: {asked}");
        }
    }
}

#[test]
fn the_daemon_runs_with_the_least_that_it_needs() {
    for (whence, container) in containers() {
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{whence}");
        assert_eq!(security["allowPrivilegeEscalation"], false, "{whence}");
        assert_eq!(security["capabilities"]["drop"][0], "ALL", "{whence}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{whence}");
    }
}

#[test]
fn there_is_memory_for_the_compiler_and_a_place_for_what_it_makes() {
    for (whence, container) in containers() {
        let limit: Size =
            container["resources"]["limits"]["memory"].as_str().expect("a limit").parse().expect("a size");
        let compiler = Allowance::default().memory;
        assert!(limit >= Size::bytes(2 * compiler.get()), "{whence}: {limit} is little beside {compiler}");
        let variables = container["env"].as_array().expect("variables");
        let cache =
            variables.iter().find(|variable| variable["name"] == "AVIARY_CACHE_DIR").expect("a cache");
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts.iter().find(|mount| mount["mountPath"] == cache["value"]).expect("a mount");
        assert_ne!(mount["readOnly"], true, "{whence}");
    }
}

#[test]
fn every_object_has_a_namespace_of_its_own_or_needs_none() {
    for (whence, object) in objects() {
        let kind = object["kind"].as_str().expect("a kind");
        let is_of_the_cluster = kind == "Namespace" || kind.starts_with("Cluster");
        let namespace = &object["metadata"]["namespace"];
        // The kustomization of a tenant leaves it to the tenant which namespace is meant.
        let expected = if is_of_the_cluster || whence == "tenant" { Value::Null } else { "aviary".into() };
        assert_eq!(*namespace, expected, "{whence}: {kind} {}", object["metadata"]["name"]);
    }
}

#[test]
fn each_alert_is_raised_at_the_first_fault_and_with_the_severity_of_its_check() {
    if is_missing("promtool", "which tests the alerts") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::write(at("rules.yaml"), rules()["spec"].to_string()).expect("the rules can be written");
    let tests = deploy("overlays/prometheus-operator/rules.test.yaml");
    fs::copy(tests, at("rules.test.yaml")).expect("the tests can be copied");
    run("promtool", &["check", "rules", &at("rules.yaml")]);
    run("promtool", &["test", "rules", &at("rules.test.yaml")]);
}

#[test]
fn the_alerts_of_the_documentation_are_those_that_are_shipped() {
    let rules = rules();
    let rules = rules["spec"]["groups"][0]["rules"].as_array().expect("rules");
    let shipped: BTreeSet<_> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    let text = fs::read_to_string(deploy("../docs/operating/reference.md")).expect("the documentation");
    let documented = text.lines().filter_map(|line| line.strip_prefix("| `Aviary")?.split_once('`'));
    let documented: BTreeSet<_> = documented.map(|(name, _)| format!("Aviary{name}")).collect();
    assert_eq!(shipped, documented.iter().map(String::as_str).collect());
}

#[test]
fn the_description_of_the_api_is_valid() {
    if !is_missing("openapi-spec-validator", "which judges the description of the API") {
        run("openapi-spec-validator", &[&deploy("openapi.json").display().to_string()]);
    }
}

fn rules() -> Value {
    let text = fs::read_to_string(deploy("overlays/prometheus-operator/rules.yaml")).expect("rules");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// Whether a program is not installed, which CI does not accept.
fn is_missing(program: &str, purpose: &str) -> bool {
    let is_missing = !Command::new(program).arg("--help").output().is_ok_and(|help| help.status.success());
    if is_missing {
        assert!(env::var_os("CI").is_none(), "{program} is not installed, {purpose}");
        eprintln!("SKIPPED: {program} is not installed, {purpose}");
    }
    is_missing
}

/// Runs a program that has to succeed, and returns what it prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{err}");
    out.into_owned()
}

fn containers() -> Vec<(&'static str, Value)> {
    let deployments = objects().into_iter().filter(|(_, object)| object["kind"] == "Deployment");
    let containers = deployments.map(|(whence, object)| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().cloned();
        (whence, containers.and_then(|containers| containers.into_iter().next()).expect("a container"))
    });
    containers.collect()
}

/// All objects, each with the kustomization that has it. None where kubectl is not installed, which CI does
/// not accept.
fn objects() -> Vec<(&'static str, Value)> {
    if is_missing("kubectl", "which builds the kustomizations") {
        return Vec::new();
    }
    KUSTOMIZATIONS
        .into_iter()
        .flat_map(|name| build(name).into_iter().map(move |object| (name, object)))
        .collect()
}

fn build(kustomization: &str) -> Vec<Value> {
    let text = run("kubectl", &["kustomize", &deploy(kustomization).display().to_string()]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    assert!(objects.len() >= 5, "{kustomization} holds only {objects:?}");
    objects
}
