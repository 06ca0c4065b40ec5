//! What the daemon is told when it starts, whoever tells it: the command line or a preset.

mod compiler;
mod namespaces;
mod networks;
mod rate;

pub use compiler::{Allowance, CompilerConfig};
pub use namespaces::Namespaces;
pub use networks::{Network, NetworkError, Networks};
pub use rate::{Rate, RateError};

use crate::{signature::Keyring, value::Size};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// What the daemon is told when it starts. `aviary run --help` says what each of them is for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directories of manifests and modules.
    pub checks: Vec<PathBuf>,
    /// How to reach a Kubernetes cluster; in a pod, its service account tells.
    pub kubeconfig: Option<PathBuf>,
    /// Where to look for ConfigMaps; without it, in the daemon's own namespace.
    pub namespaces: Option<Namespaces>,
    /// Labels of the ConfigMaps that hold checks.
    pub configmap_selector: String,
    /// Where HTTP requests are answered.
    pub listen: SocketAddr,
    /// Where the kubelet's probes are answered as well, over plain HTTP; without it, nowhere else.
    pub probe_listen: Option<SocketAddr>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// A file of bearer tokens.
    pub token_file: Option<PathBuf>,
    /// A file of `user:password` lines.
    pub basic_file: Option<PathBuf>,
    /// How many requests one address may make; without it, any number.
    pub rate_limit: Option<Rate>,
    /// What to answer with over TLS; without it, plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The namespace of checks whose manifest names none.
    pub namespace: String,
    /// How many checks can be live at once.
    pub max_checks: u32,
    /// The largest module, once decompressed.
    pub max_module_size: Size,
    /// Whose signatures count.
    pub keyring: Keyring,
    /// How modules are compiled.
    pub compiler: CompilerConfig,
    /// A file of PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The policy file.
    pub policy: Option<PathBuf>,
    /// The domain of the cluster's names.
    pub cluster_domain: String,
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
