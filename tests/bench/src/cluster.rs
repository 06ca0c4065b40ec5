//! The Kubernetes that the daemon is measured in, and a namespace of the bench's own in it.

use crate::daemon::{Server, free_address};
use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The environment variable with the kubeconfig of the cluster.
const KUBECONFIG: &str = "AVIARY_TEST_KUBECONFIG";

/// A namespace of the bench's own in a cluster.
pub(crate) struct Cluster {
    /// The client of the API server.
    pub(crate) client: Client,
    /// The name of the namespace.
    pub(crate) namespace: String,
    /// The configuration that reaches the cluster, with the namespace as its default.
    pub(crate) config: Config,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Makes a namespace in the cluster of the environment.
    pub(crate) async fn enter(name: &str) -> Result<Self> {
        let kubeconfig = env::var_os(KUBECONFIG).map(PathBuf::from);
        let kubeconfig = kubeconfig
            .with_context(|| format!("no cluster: `cargo xtask cluster up`, and name it in {KUBECONFIG}"))?;
        let file = Kubeconfig::read_from(&kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let namespace = format!("bench-{name}-{}", std::process::id());
        config.default_namespace.clone_from(&namespace);
        let client = Client::try_from(config.clone())?;
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let made = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone())
            .create(&PostParams::default(), &made)
            .await
            .context("cannot make a namespace")?;
        Ok(Self { client, namespace, config, kubeconfig })
    }

    /// Starts the daemon on the ConfigMaps of the namespace.
    pub(crate) async fn daemon(&self, program: &Path) -> Result<Server> {
        let (address, directory) = (free_address()?, TempDir::with_prefix("aviary-bench-")?);
        let mut command = Command::new(program);
        command.arg("run").arg("--listen").arg(address.to_string());
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespaces", &self.namespace]);
        command.env("AVIARY_LOG", "warn").env("AVIARY_CACHE_DIR", directory.path());
        Server::start(&mut command, address, directory).await
    }

    /// Applies a ConfigMap of this name, with a check of this name and module.
    pub(crate) async fn apply(&self, name: &str, module: &[u8], spec: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {name} }}\nspec: {spec}\n"
        );
        let labels = BTreeMap::from([("aviary.dev/checks".to_owned(), "true".to_owned())]);
        let metadata =
            ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        let map = ConfigMap {
            metadata,
            binary_data: Some([("check.wasm".to_owned(), ByteString(module.to_vec()))].into()),
            data: Some([("check.yaml".to_owned(), manifest)].into()),
            ..ConfigMap::default()
        };
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        maps.patch(name, &PatchParams::apply("aviary-bench").force(), &Patch::Apply(map)).await?;
        Ok(())
    }

    /// How many requests about ConfigMaps and Events the API server has answered so far.
    pub(crate) async fn requests(&self) -> Result<u64> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client.request_text(request).await?;
        let lines = text.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && ["resource=\"configmaps\"", "resource=\"events\""].iter().any(|part| line.contains(part))
        });
        let counts: Vec<f64> = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
        ensure!(!counts.is_empty(), "the API server counts no requests");
        Ok(counts.iter().sum::<f64>() as u64)
    }

    /// Deletes the namespace.
    pub(crate) async fn leave(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }
}
