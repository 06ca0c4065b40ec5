//! The daemon's settings, whoever gives them: the command line or a preset.

mod compiler;
mod namespaces;
mod networks;
mod rate;

pub use compiler::{Allowance, CompilerConfig};
pub use namespaces::Namespaces;
pub use networks::{Network, NetworkError, Networks};
pub use rate::{Rate, RateError};

use crate::{
    signature::Keyring,
    value::{Proxy, Size},
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The daemon's settings. `aviary run --help` says what each of them is for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directories of manifests and modules.
    pub checks: Vec<PathBuf>,
    /// The kubeconfig file of a Kubernetes cluster. In a pod, the service account is used without it.
    pub kubeconfig: Option<PathBuf>,
    /// The namespaces in which ConfigMaps are looked for; without it, the daemon's own.
    pub namespaces: Option<Namespaces>,
    /// The label selector of the ConfigMaps that hold checks.
    pub configmap_selector: String,
    /// The address at which HTTP requests are answered.
    pub listen: SocketAddr,
    /// The address at which the kubelet's probes are answered as well, over plain HTTP. Without it, only
    /// `listen` answers them.
    pub probe_listen: Option<SocketAddr>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// The path of a file of bearer tokens. A request needs one of them, or a line of `basic_file`.
    pub token_file: Option<PathBuf>,
    /// The path of a file of `user:password` lines. A request needs one of them, or a token of `token_file`.
    pub basic_file: Option<PathBuf>,
    /// How many requests one client address may make; without it, any number.
    pub rate_limit: Option<Rate>,
    /// The certificate and key for TLS; without them, answers go over plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The namespace of checks whose manifest names none.
    pub namespace: String,
    /// How many checks can be live at once.
    pub max_checks: u32,
    /// The most bytes of a module, once decompressed.
    pub max_module_size: Size,
    /// The keys whose signatures on modules count.
    pub keyring: Keyring,
    /// How modules are compiled.
    pub compiler: CompilerConfig,
    /// A file of PEM certificates to trust, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The path of the policy file; without it, the policy has no rules.
    pub policy: Option<PathBuf>,
    /// The domain of the cluster's names, such as `cluster.local`.
    pub cluster_domain: String,
    /// The proxy for HTTP requests of checks to public addresses; without it, they go there directly.
    pub egress_proxy: Option<Proxy>,
    /// How long open HTTP requests may take after SIGTERM.
    pub close_after: Duration,
    /// How long running checks and their cleanups may take after SIGTERM.
    pub kill_after: Duration,
}

/// The files of a TLS server.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM certificates, the daemon's own first.
    pub certificates: PathBuf,
    /// The key of the first certificate, as PEM.
    pub key: PathBuf,
}
