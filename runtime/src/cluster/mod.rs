//! The Kubernetes cluster of the daemon: clients for its API server, by account, and the kinds of objects
//! that it has.

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

/// The most bytes of an answer to a guest's call.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// The most answers to guests that are on their way at once, from all namespaces.
const MOST_ANSWERS: usize = 8;
/// The most answers to guests of one namespace that are on their way at once.
const MOST_ANSWERS_OF_EACH: usize = 4;
/// How long the kinds of objects are remembered before the API server is asked again.
const KINDS_KNOWN_FOR: Duration = Duration::from_secs(600);
/// The most kinds of objects that are remembered at once.
const MOST_KINDS: usize = 1_000;
/// The most accounts that have a client at once.
const MOST_CLIENTS: usize = 1_000;
/// The environment variable that is set in every pod.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// A Kubernetes API server, and the daemon's own place in the cluster.
pub struct Cluster {
    config: Config,
    own: Client,
    /// The clients for guests, by account and by the most values of an answer. No account means the daemon's
    /// own identity.
    guests: Mutex<HashMap<(Option<Account>, usize), Client>>,
    kinds: Mutex<HashMap<GroupVersionKind, (Instant, Kind)>>,
    answers: FairSemaphore,
}

/// A kind of objects that the API server has.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The resource of the kind: its group, version and plural.
    pub resource: ApiResource,
    /// Whether the objects of the kind are in namespaces.
    pub is_namespaced: bool,
    /// The verbs that the API server has for the kind.
    pub verbs: Vec<String>,
}

/// Why there is no cluster to talk to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig {0}: {1}")]
    Kubeconfig(PathBuf, KubeconfigError),
    /// The daemon is in a pod without the token or certificate of a service account.
    #[error(
        "cannot use the pod's service account: {0}; set `automountServiceAccountToken: true`, or name a --kubeconfig"
    )]
    InCluster(kube::config::InClusterError),
    /// No client can be made from the configuration.
    #[error("cannot set up the client of the API server: {}", in_words(.0))]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// Finds the cluster of the kubeconfig, else the one of the daemon's own pod, else none. It asks no
    /// server.
    pub async fn find(kubeconfig: Option<&Path>) -> Result<Option<Self>, ClusterError> {
        let config = match kubeconfig {
            Some(path) => {
                let wrong = |error| ClusterError::Kubeconfig(path.to_owned(), error);
                let file = Kubeconfig::read_from(path).map_err(wrong)?;
                let proxies = proxies(&file);
                let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
                let mut config = config.map_err(wrong)?;
                // Proxies of the environment are not used, only those that the kubeconfig itself names.
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

    /// A cluster that is reached with this configuration. Its default namespace is the daemon's own.
    ///
    /// # Errors
    /// When the certificates or keys of the configuration cannot be used.
    pub fn new(mut config: Config) -> Result<Self, kube::Error> {
        // The client must not repeat calls, as calls repeat themselves within their own deadlines.
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

    /// The client with the daemon's own identity, whose answers are not limited.
    pub fn own(&self) -> Client {
        self.own.clone()
    }

    /// A client for guests, with the rights of an account, or else the daemon's. Its answers are limited in
    /// bytes and in values.
    pub fn guest(&self, account: Option<&Account>) -> Result<Client, kube::Error> {
        self.client(account, MOST_VALUES)
    }

    /// A client that deletes leftovers of guests. Its answers are limited in bytes alone, so it is not for
    /// generic objects.
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
            // Commas in a log are text and count as no values.
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

    /// The configuration for calls with the rights of an account. Whom the kubeconfig impersonates is left
    /// out, as its groups would come on top.
    fn config_as(&self, account: &Account) -> Config {
        let mut config = self.config.clone();
        let auth = &mut config.auth_info;
        auth.impersonate = Some(account.to_string());
        auth.impersonate_uid = None;
        auth.impersonate_groups = None;
        auth.impersonate_user_extra = None;
        config
    }

    /// Waits until a guest of this namespace may have an answer, and holds its permit.
    pub(crate) async fn turn(&self, namespace: &str) -> FairPermit {
        self.answers.take(namespace).await
    }

    /// The uid of a namespace, asked for by the daemon itself; none if there is no such namespace.
    pub(crate) async fn uid_of(&self, namespace: &str) -> Result<Option<String>, kube::Error> {
        let api: Api<Namespace> = Api::all(self.own());
        match api.get_metadata(namespace).await {
            // Only the API server's own refusal counts, as a proxy in between may answer 404 too.
            Err(kube::Error::Api(status)) if status.reason == "NotFound" => Ok(None),
            found => Ok(Some(found?.metadata.uid.unwrap_or_default())),
        }
    }

    /// The kind of objects with this API version and kind, for example `apps/v1` and `Deployment`.
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

    /// The kind of objects in whatever version the API server has of it; none if it has none. It asks the
    /// server each time.
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
    /// Whether the API server has this verb for the kind.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether a created object is only answered and not stored, such as a review.
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
