//! The Kubernetes cluster that the daemon is in, or was pointed at: who asks, and what there is to ask for.

mod failure;
mod lasting;
mod pause;
#[cfg(test)]
mod tests;
mod values;

pub use failure::{causes, code, in_words, is_too_large, within};
pub use lasting::{lasting, random};
pub use pause::asked_pause;
pub(crate) use values::{MOST_VALUES, Values};

use crate::{
    fair_semaphore::{FairPermit, FairSemaphore},
    grant::Account,
};
use hyper::{Response, Uri, header::CONTENT_TYPE};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    client::{ClientBuilder, DynBody},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::{ApiResource, GroupVersionKind},
    discovery::{self, ApiCapabilities, Scope, pinned_kind},
    error::DiscoveryError,
};
use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tower::util::{AndThenLayer, MapResponseLayer};
use values::Bounded;

/// The largest answer that a guest's call may bring, in bytes.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Answers to guests that are on their way at once, and those to guests of one namespace.
const MOST_ANSWERS: usize = 8;
const MOST_ANSWERS_OF_EACH: usize = 4;
/// How long it is known which kinds of objects there are.
const KINDS_KNOWN_FOR: Duration = Duration::from_secs(600);
/// How many kinds are known at once.
const MOST_KINDS: usize = 1_000;
/// How many accounts have a client at once.
const MOST_CLIENTS: usize = 1_000;
/// Set in every pod.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// A Kubernetes API server, and the daemon's own place in the cluster.
pub struct Cluster {
    config: Config,
    own: Client,
    /// Clients of accounts, and under none those with the daemon's own identity, by the most values of an answer.
    guests: Mutex<HashMap<(Option<Account>, usize), Client>>,
    kinds: Mutex<HashMap<GroupVersionKind, (Instant, Kind)>>,
    answers: FairSemaphore,
}

/// A kind of objects that the API server has.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Where its objects are.
    pub resource: ApiResource,
    /// Whether they are in namespaces.
    pub is_namespaced: bool,
    /// What can be done with them at all.
    pub verbs: Vec<String>,
}

/// Why there is no cluster to talk to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The file cannot be used.
    #[error("cannot use the kubeconfig {0}: {1}")]
    Kubeconfig(PathBuf, KubeconfigError),
    /// In a pod, but without what a service account has.
    #[error(
        "cannot use the pod's service account: {0}; set `automountServiceAccountToken: true`, or name a --kubeconfig"
    )]
    InCluster(kube::config::InClusterError),
    /// No client can be made.
    #[error("cannot set up the client of the API server: {}", in_words(.0))]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// The cluster of the kubeconfig, else the one whose pod this is, else none. Asks nobody yet.
    pub async fn find(kubeconfig: Option<&Path>) -> Result<Option<Self>, ClusterError> {
        let config = match kubeconfig {
            Some(path) => {
                let wrong = |error| ClusterError::Kubeconfig(path.to_owned(), error);
                let file = Kubeconfig::read_from(path).map_err(wrong)?;
                let proxies = proxies(&file);
                let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
                let mut config = config.map_err(wrong)?;
                // The environment's are not used.
                config.proxy_url = config.proxy_url.filter(|proxy| proxies.contains(proxy));
                config
            }
            None if env::var_os(IN_CLUSTER).is_some() => {
                Config::incluster().map_err(ClusterError::InCluster)?
            }
            None => return Ok(None),
        };
        Ok(Some(Self::new(config)?))
    }

    /// A cluster to be reached like this; the daemon is at home in its default namespace.
    ///
    /// # Errors
    /// When its certificates or keys cannot be used.
    pub fn new(mut config: Config) -> Result<Self, kube::Error> {
        // Calls have deadlines of their own, within which they are repeated.
        config.default_retry = false;
        let own =
            ClientBuilder::try_from(config.clone())?.with_layer(&AndThenLayer::new(pause::keep)).build();
        let answers = FairSemaphore::new(MOST_ANSWERS, MOST_ANSWERS_OF_EACH);
        Ok(Self { config, own, guests: Mutex::default(), kinds: Mutex::default(), answers })
    }

    /// The namespace that the daemon is in.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// The client of the daemon itself.
    pub fn own(&self) -> Client {
        self.own.clone()
    }

    /// A client for guests, whose answers are limited: with the rights of an account, or the daemon's.
    pub fn guest(&self, account: Option<&Account>) -> Result<Client, kube::Error> {
        self.client(account, MOST_VALUES)
    }

    /// A client for what guests left behind, whose answers are limited in bytes alone: not for generic objects.
    pub(crate) fn sweeper(&self, account: Option<&Account>) -> Result<Client, kube::Error> {
        self.client(account, usize::MAX)
    }

    fn client(&self, account: Option<&Account>, most_values: usize) -> Result<Client, kube::Error> {
        let name = (account.cloned(), most_values);
        if let Some(client) = lock(&self.guests).get(&name) {
            return Ok(client.clone());
        }
        let config = match account {
            Some(account) => self.config_as(account),
            None => self.config.clone(),
        };
        let limit = MapResponseLayer::new(move |answer: Response<Box<DynBody>>| {
            // A log has commas of its own.
            let is_text =
                answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
            let most_values = if is_text { usize::MAX } else { most_values };
            answer.map(|body| Bounded::new(body, LARGEST_ANSWER, most_values))
        });
        let client = ClientBuilder::try_from(config)?.with_layer(&AndThenLayer::new(pause::keep));
        let client = client.with_layer(&limit).build::<Bounded<_>>();
        let mut clients = lock(&self.guests);
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        Ok(clients.entry(name).or_insert(client).clone())
    }

    /// The way to the API server with the rights of an account, and nothing of whom the kubeconfig impersonates: its
    /// groups would come on top.
    fn config_as(&self, account: &Account) -> Config {
        let mut config = self.config.clone();
        let auth = &mut config.auth_info;
        auth.impersonate = Some(account.to_string());
        auth.impersonate_uid = None;
        auth.impersonate_groups = None;
        auth.impersonate_user_extra = None;
        config
    }

    /// Waits until a guest of a namespace may have an answer, and keeps room for it.
    pub(crate) async fn turn(&self, namespace: &str) -> FairPermit {
        self.answers.take(namespace).await
    }

    /// The uid of a namespace, asked for by the daemon itself; none if there is no such namespace.
    pub(crate) async fn uid_of(&self, namespace: &str) -> Result<Option<String>, kube::Error> {
        let api: Api<Namespace> = Api::all(self.own());
        match api.get_metadata(namespace).await {
            // Not for any 404: what stands between may answer that too.
            Err(kube::Error::Api(status)) if status.reason == "NotFound" => Ok(None),
            found => Ok(Some(found?.metadata.uid.unwrap_or_default())),
        }
    }

    /// The kind of an object, for example of `apps/v1` and `Deployment`.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, kube::Error> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersionKind::gvk(group, version, kind);
        if let Some((since, known)) = lock(&self.kinds).get(&wanted)
            && since.elapsed() < KINDS_KNOWN_FOR
        {
            return Ok(known.clone());
        }
        let found = Kind::from(pinned_kind(&self.own, &wanted).await?);
        let mut kinds = lock(&self.kinds);
        if kinds.len() >= MOST_KINDS {
            kinds.clear();
        }
        kinds.insert(wanted, (Instant::now(), found.clone()));
        Ok(found)
    }

    /// The same kind in whatever version the API server has of it; none if it has none. Asks each time.
    pub async fn any_version(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, kube::Error> {
        let (group, _) = api_version.split_once('/').unwrap_or_default();
        let group = match discovery::group(&self.own, group).await {
            Err(kube::Error::Discovery(DiscoveryError::MissingApiGroup(_))) => return Ok(None),
            found => found?,
        };
        let mut kinds = group.resources_by_stability().into_iter();
        Ok(kinds.find(|(resource, _)| resource.kind == kind).map(Kind::from))
    }
}

impl Kind {
    /// Whether the API server can do this with its objects.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether what is created is answered and forgotten, such as a review.
    pub fn leaves_nothing(&self) -> bool {
        ["get", "list", "delete"].into_iter().all(|verb| !self.can(verb))
    }
}

impl From<(ApiResource, ApiCapabilities)> for Kind {
    fn from((resource, capabilities): (ApiResource, ApiCapabilities)) -> Self {
        let is_namespaced = capabilities.scope == Scope::Namespaced;
        Self { resource, is_namespaced, verbs: capabilities.operations }
    }
}

/// The proxies that the kubeconfig itself names.
fn proxies(file: &Kubeconfig) -> Vec<Uri> {
    let named = file.clusters.iter().filter_map(|cluster| cluster.cluster.as_ref()?.proxy_url.as_deref());
    named.filter_map(|proxy| proxy.parse().ok()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
