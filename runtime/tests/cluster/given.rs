//! The real Kubernetes of the tests: `cargo xtask test` starts one, `cargo xtask cluster up` one that stays.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{
    env, process,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

/// The kubeconfig of a cluster that tests may change.
const KUBECONFIG: &str = "AVIARY_TEST_KUBECONFIG";
/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that tests may change, reached as its administrator.
pub(crate) struct Given {
    pub(crate) config: Config,
    pub(crate) client: Client,
}

impl Given {
    /// The cluster of the environment; none if there is none and no need for one.
    pub(crate) async fn find() -> Option<Self> {
        let Some(path) = env::var_os(KUBECONFIG).filter(|path| !path.is_empty()) else {
            assert!(
                env::var_os("CI").is_none(),
                "{KUBECONFIG} names no cluster, and on CI there must be one"
            );
            eprintln!("SKIPPED: {KUBECONFIG} names no cluster; `cargo xtask cluster up` starts one");
            return None;
        };
        let file = Kubeconfig::read_from(path).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let config = config.expect("a configuration");
        let client = Client::try_from(config.clone()).expect("a client");
        Some(Self { config, client })
    }

    /// A new namespace, for what is tested under this name.
    pub(crate) async fn namespace(&self, test: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
        let name = format!("{test}-{}-{since}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &namespace).await.expect("a namespace");
        name
    }

    /// Deletes namespaces, without waiting for it.
    pub(crate) async fn clear(&self, namespaces: &[&str]) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        for namespace in namespaces {
            api.delete(namespace, &DeleteParams::background()).await.expect("deleted");
        }
    }
}
