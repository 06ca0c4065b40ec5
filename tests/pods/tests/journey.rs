//! What an operator and an author live through, in the order in which they do.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    env,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};
use test_cluster::Cluster;
use test_pods::{Daemon, Kubectl, until};

// Only two guests are needed here; the others expand to nothing.
macro_rules! guest {
    (CHECK_COMPUTE $path:literal) => {
        const CHECK_COMPUTE: &str = $path;
    };
    (CHECK_RC_SCHEDULER $path:literal) => {
        const CHECK_RC_SCHEDULER: &str = $path;
    };
    ($name:ident $path:literal) => {};
}
test_guests::for_each!(guest);

/// How soon things have to happen. The daemon here is unoptimised, beside a whole cluster on two cores; the
/// bench measures the real one.
const SOON: Duration = Duration::from_secs(10);
/// How long what is deleted may still be seen.
const AT_ONCE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

fn config_map(name: &str, module: &[u8], manifest: &str) -> String {
    let bundle = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "aviary", "labels": { "aviary.dev/checks": "true" } },
        "data": { "check.yaml": manifest },
        "binaryData": { "check.wasm": BASE64_STANDARD.encode(module) },
    });
    bundle.to_string()
}

/// The module with a custom section that makes it another one.
fn another(module: &[u8]) -> Vec<u8> {
    [module, &[0, 3, 1, b'n', b'x']].concat()
}

const FIBONACCI: &str = "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: { name: fibonacci }\n\
    spec: { module: check.wasm, interval: 1s, settings: { number: 5 } }\n";
const SCHEDULING: &str = "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: { name: scheduling }\nspec:\n  \
    module: check.wasm\n  interval: 1s\n  startupGrace: 30s\n  \
    settings: { namespace: aviary, count: 2, image: \"localhost/pause:1\" }\n  grants:\n    kubernetes:\n    \
    - { apiGroups: [\"\"], resources: [replicationcontrollers], verbs: [create, get, delete] }\n    \
    - { apiGroups: [\"\"], resources: [pods], verbs: [list] }\n";
const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: scheduling, namespace: aviary }\nrules:\n\
    - { apiGroups: [\"\"], resources: [replicationcontrollers], verbs: [create, get, list, delete] }\n\
    - { apiGroups: [\"\"], resources: [pods], verbs: [list, delete] }\n---\n\
    apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: { name: scheduling, namespace: aviary }\n\
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: scheduling }\n\
    subjects: [{ kind: ServiceAccount, name: aviary, namespace: aviary }]\n";

struct Journey {
    cluster: Cluster,
    kubectl: Kubectl,
    daemon: Daemon,
}

impl Journey {
    fn passing(&self, key: &str) -> Option<Value> {
        Some(self.daemon.check(key)).filter(|check| check["status"] == "pass")
    }

    fn events(&self, reason: &str) -> Vec<String> {
        let events = self.kubectl.json(&["--namespace", "aviary", "get", "events"]).unwrap_or_default();
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let of = |event: &Value| event["involvedObject"]["kind"] == "ConfigMap" && event["reason"] == reason;
        events.iter().filter(|event| of(event)).map(|event| event["message"].to_string()).collect()
    }

    fn pods_of_the_check(&self) -> usize {
        let of = ["--namespace", "aviary", "get", "pods", "--selector", "aviary.dev/check=scheduling"];
        self.kubectl
            .json(&of)
            .ok()
            .and_then(|pods| pods["items"].as_array().map(Vec::len))
            .unwrap_or(usize::MAX)
    }

    fn a_config_map_runs_is_replaced_and_outlives_rubbish(&self) {
        let compute = std::fs::read(CHECK_COMPUTE).expect("a module");
        self.kubectl.apply(&config_map("numbers", &compute, FIBONACCI)).expect("applied");
        let (first, took) =
            until("the first outcome", SOON, || self.passing("aviary/fibonacci")).expect("an outcome");
        eprintln!("first outcome {took:?} after apply");
        let broken = AtomicBool::new(false);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    let healthy = self.daemon.get("/health").is_ok_and(|(status, _)| status == 200);
                    broken.fetch_or(!healthy, Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            });
            self.kubectl.apply(&config_map("numbers", &another(&compute), FIBONACCI)).expect("applied");
            let replaced = || {
                let check = self.passing("aviary/fibonacci")?;
                (check["module"]["digest"] != first["module"]["digest"]).then_some(())
            };
            let replaced = until("the new digest", SOON, replaced);
            done.store(true, Relaxed);
            eprintln!("new digest {:?} after apply", replaced.expect("replaced").1);
        });
        assert!(!broken.load(Relaxed), "/health had a gap");
        self.kubectl.apply(&config_map("numbers", b"rubbish", FIBONACCI)).expect("applied");
        let told = || self.events("ModuleRejected").pop();
        let (message, _) = until("an event on the ConfigMap", SOON, told).expect("an event");
        assert!(message.contains("check.wasm"), "{message}");
        assert!(self.passing("aviary/fibonacci").is_some(), "the last good one goes on");
        assert!(!self.events("ModuleLoaded").is_empty());
    }

    fn an_api_server_that_restarts_loses_nothing(&self) {
        self.cluster.restart_api().expect("restarted");
        let check = self.passing("aviary/fibonacci").expect("still there, and not stale");
        let runs = check["lastRun"].clone();
        let ran = || self.passing("aviary/fibonacci").filter(|check| check["lastRun"] != runs).map(drop);
        until("it runs on", SOON, ran).expect("it runs on");
        let compute = std::fs::read(CHECK_COMPUTE).expect("a module");
        self.kubectl.apply(&config_map("numbers", &compute, FIBONACCI)).expect("applied");
        let heard = || self.passing("aviary/fibonacci").filter(|check| check["rejected"].is_null()).map(drop);
        until("changes are heard of again", PATIENCE, heard).expect("the watch is back");
    }

    fn pods_of_a_daemon_that_was_killed_go(&mut self) {
        self.kubectl.apply(ROLE).expect("applied");
        let module = std::fs::read(CHECK_RC_SCHEDULER).expect("a module");
        self.kubectl.apply(&config_map("pods", &module, SCHEDULING)).expect("applied");
        until("pods run", PATIENCE, || self.passing("aviary/scheduling")).expect("two pods run");
        assert_eq!(self.pods_of_the_check(), 2);
        // The controller goes first, so that pods that are there afterwards belong to a new round.
        self.kubectl
            .run(&["--namespace", "aviary", "delete", "configmap", "pods", "--wait=false"])
            .expect("asked");
        self.daemon.kill().expect("killed");
        self.daemon = Daemon::ready(&self.kubectl).expect("up again");
        let gone = || (self.pods_of_the_check() == 0).then_some(());
        until("no pod is left", PATIENCE, gone).expect("no pod is left over");
    }

    fn a_right_that_is_taken_away_is_named(&self) {
        let module = std::fs::read(CHECK_RC_SCHEDULER).expect("a module");
        self.kubectl.apply(&config_map("pods", &module, SCHEDULING)).expect("applied");
        until("pods run", PATIENCE, || self.passing("aviary/scheduling")).expect("two pods run");
        self.kubectl.run(&["--namespace", "aviary", "delete", "rolebinding", "scheduling"]).expect("deleted");
        let error = || {
            let check = self.daemon.check("aviary/scheduling");
            check["error"].as_str().filter(|error| error.contains("pods")).map(str::to_owned)
        };
        let (error, _) = until("the missing rule", PATIENCE, error).expect("an error");
        assert!(error.contains("cannot list resource") && error.contains("aviary"), "{error}");
        self.kubectl.apply(ROLE).expect("applied");
        until("pods run", PATIENCE, || self.passing("aviary/scheduling")).expect("two pods run");
    }

    fn what_is_deleted_leaves_nothing(&self) {
        for name in ["pods", "numbers"] {
            self.kubectl.run(&["--namespace", "aviary", "delete", "configmap", name]).expect("deleted");
        }
        let unseen = || {
            let (_, metrics) = self.daemon.get("/metrics").ok()?;
            // Leftover objects are shown until they are gone.
            let mut own = metrics.lines().filter(|line| !line.starts_with("aviary_leftover_objects{"));
            let is_left = own.any(|line| line.contains("\"fibonacci\"") || line.contains("\"scheduling\""));
            (!is_left).then_some(())
        };
        let ((), series) = until("series are gone", AT_ONCE, unseen).expect("no series is left");
        let gone = || (self.pods_of_the_check() == 0).then_some(());
        let ((), pods) = until("pods are gone", PATIENCE, gone).expect("no pod is left");
        eprintln!("series gone {series:?} after delete, pods {pods:?} later");
    }
}

#[test]
fn a_daemon_in_a_pod_runs_what_config_maps_hold_and_leaves_nothing_behind() {
    let variables = ["AVIARY_TEST_KUBECONFIG", "AVIARY_TEST_IMAGE"].map(env::var);
    let [Ok(kubeconfig), Ok(image)] = variables else {
        assert!(env::var_os("CI").is_none(), "no cluster, or no image: {variables:?}");
        eprintln!("skipped, as there is no cluster that runs pods; `cargo xtask test` starts one");
        return;
    };
    if !Kubectl::is_there() {
        assert!(env::var_os("CI").is_none(), "kubectl is not installed, which puts deploy/ into the cluster");
        eprintln!("SKIPPED: kubectl is not installed, which puts deploy/ into the cluster");
        return;
    }
    let kubectl = Kubectl::new(Path::new(&kubeconfig));
    let cluster = Cluster::at(Path::new(&kubeconfig)).expect("a cluster");
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/base");
    let daemon = Daemon::deploy(&kubectl, base, &image).expect("the daemon is ready");
    let mut journey = Journey { cluster, kubectl, daemon };
    journey.a_config_map_runs_is_replaced_and_outlives_rubbish();
    journey.an_api_server_that_restarts_loses_nothing();
    journey.pods_of_a_daemon_that_was_killed_go();
    journey.a_right_that_is_taken_away_is_named();
    journey.what_is_deleted_leaves_nothing();
}
