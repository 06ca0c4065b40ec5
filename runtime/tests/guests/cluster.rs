//! Guests in a real Kubernetes.

use crate::{
    given::{Given, PATIENCE},
    support::{Subject, check_in, compiler},
};
use aviary::{
    board::Board,
    capability::dial::{Network, NetworkOptions},
    cluster::Cluster,
    grant::Ceiling,
    ledger::Ledger,
    manifest::Check,
    outcome::{Outcome, Verdict},
    sandbox::{Instance, Sandbox},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::ListParams};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// A namespace of a test's own, with a daemon whose home it is.
pub(crate) struct Stage {
    pub(crate) namespace: String,
    pub(crate) board: Arc<Board>,
    pub(crate) ledger: Arc<Ledger>,
    given: Given,
}

impl Stage {
    /// Makes a namespace for a test; none if there is no cluster and no need for one.
    pub(crate) async fn set(name: &str) -> Option<Self> {
        let given = Given::find().await?;
        let namespace = given.namespace(name).await;
        let board = Arc::new(Board::default());
        let ledger = daemon(&given, &namespace, &board);
        Some(Self { namespace, board, ledger, given })
    }

    /// The ledger of the daemon after it was killed and started again.
    pub(crate) fn reborn(&self) -> Arc<Ledger> {
        daemon(&self.given, &self.namespace, &self.board)
    }

    /// Loads the guest that follows a script, granted everything unless `grants` says otherwise.
    pub(crate) async fn subject(&self, grants: Option<&str>, script: &Value) -> Subject {
        let all = "[{ apiGroups: ['*'], resources: ['*'], verbs: ['*'], namespaces: ['*'] }]";
        self.load(crate::CALLS_KUBERNETES, grants.unwrap_or(all), script).await
    }

    /// Loads a guest with grants for Kubernetes.
    pub(crate) async fn load(&self, path: &str, grants: &str, settings: &Value) -> Subject {
        let spec = format!("  timeout: 5s\n  grants: {{ kubernetes: {grants} }}\n  settings: {settings}");
        self.load_under(&Ceiling::open(), path, &spec).await
    }

    /// Loads a guest with these lines under `spec`, which reaches no further than a ceiling.
    pub(crate) async fn load_under(&self, ceiling: &Arc<Ceiling>, path: &str, spec: &str) -> Subject {
        let check: Arc<Check> = check_in(&self.namespace, spec, ceiling);
        let network = Network::new(&NetworkOptions::default()).expect("a network");
        let sandbox = Sandbox::new(8, compiler(), Arc::new(network), Some(Arc::clone(&self.ledger)))
            .expect("a sandbox");
        Subject::load_in(sandbox, check, path).await.expect("loaded")
    }

    /// Begins a round with a script and polls once.
    pub(crate) async fn play(&self, grants: Option<&str>, script: &Value) -> (Instance, Verdict) {
        let subject = self.subject(grants, script).await;
        let mut instance = subject.live().await;
        instance.init().await.done().expect("a round");
        let verdict = subject.poll(&mut instance).await;
        (instance, verdict)
    }

    /// Runs a script of one step, and returns its outcome.
    pub(crate) async fn step(&self, step: Value) -> Outcome {
        self.play(None, &json!({ "poll": [step] })).await.1.expect("an outcome")
    }

    /// The names of the ConfigMaps in the namespace, but for Kubernetes' and the daemon's own.
    pub(crate) async fn config_maps(&self) -> Vec<String> {
        let all = self.api::<ConfigMap>().list(&ListParams::default()).await.expect("a list");
        let names = all.items.into_iter().filter_map(|map| map.metadata.name);
        names.filter(|name| name != "kube-root-ca.crt" && name != "aviary-ledger").collect()
    }

    /// Waits until the ConfigMaps are these.
    pub(crate) async fn until_config_maps_are(&self, wanted: &[&str]) {
        let look = async {
            while self.config_maps().await != wanted {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            panic!("the ConfigMaps never are {wanted:?}, but {:?}", self.config_maps().await);
        }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.given.client.clone(), &self.namespace)
    }

    /// The client of the cluster's administrator.
    pub(crate) fn client(&self) -> Client {
        self.given.client.clone()
    }

    /// A deadline until which tests wait.
    pub(crate) fn deadline() -> Instant {
        Instant::now() + PATIENCE
    }

    /// Makes one more namespace.
    pub(crate) async fn another_namespace(&self, name: &str) -> String {
        self.given.namespace(name).await
    }

    /// Asks for the deletion of a namespace, without waiting for it.
    pub(crate) async fn delete(&self, namespace: &str) {
        self.given.clear(&[namespace]).await;
    }

    /// Deletes the namespace.
    pub(crate) async fn strike(self) {
        self.given.clear(&[&self.namespace]).await;
    }
}

/// The ledger of a daemon whose home is this namespace.
fn daemon(given: &Given, namespace: &str, board: &Arc<Board>) -> Arc<Ledger> {
    let mut config = given.config.clone();
    namespace.clone_into(&mut config.default_namespace);
    let cluster = Arc::new(Cluster::new(config).expect("a cluster"));
    Ledger::lasting(cluster, Arc::clone(&board.leftovers), Arc::clone(&board.logs))
}

/// A ConfigMap of that name.
pub(crate) fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } })
}
