//! `aviary run`: the flags of the daemon.

use super::{Compiling, MODULE_SIZE, module, parse_duration, parse_namespace};
use crate::{
    grant::CLUSTER_DOMAIN,
    settings::{Namespaces, Network, Rate, Settings, TlsFiles},
    text::is_subdomain,
    value::{Proxy, Size},
};
use clap::Args;
use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Keep running the checks of directories and ConfigMaps, and answer for them over HTTP.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// A directory of manifests and modules; may be given several times.
    #[arg(long, value_name = "DIR", env = "AVIARY_CHECKS", value_delimiter = ',')]
    checks: Vec<PathBuf>,
    /// How to reach a Kubernetes cluster whose ConfigMaps hold checks; in a pod, its service account tells.
    #[arg(long, value_name = "FILE", env = "AVIARY_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Namespaces to look for ConfigMaps in, separated by commas, or `*` for all; without it, the daemon's own.
    #[arg(long, value_name = "NAMESPACES", env = "AVIARY_NAMESPACES", value_parser = parse_namespaces)]
    namespaces: Option<Namespaces>,
    /// Labels of the ConfigMaps that hold checks.
    #[arg(
        long,
        value_name = "LABELS",
        env = "AVIARY_CONFIGMAP_SELECTOR",
        default_value = "aviary.dev/checks=true"
    )]
    configmap_selector: String,
    /// Where to answer HTTP requests; `:10002` is every address of this machine.
    #[arg(long, value_name = "ADDRESS", env = "AVIARY_LISTEN", default_value = ":10002", value_parser = parse_listen)]
    listen: SocketAddr,
    /// Where to answer the kubelet's probes as well: `/livez` and `/readyz` only, over plain HTTP.
    ///
    /// There no flood of requests and no certificate stands in their way.
    #[arg(long, value_name = "ADDRESS", env = "AVIARY_PROBE_LISTEN", value_parser = parse_listen)]
    probe_listen: Option<SocketAddr>,
    /// Networks of proxies in front of the daemon, separated by commas: their X-Forwarded-For tells who asks.
    ///
    /// Limits for each client then hold for those behind them.
    #[arg(long, value_name = "CIDR", env = "AVIARY_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<Network>,
    /// A file of bearer tokens, one in each line: only who has one, or a line of --basic-file, is answered.
    ///
    /// It is read again when it changes. /livez and /readyz are open to everybody.
    #[arg(long, value_name = "FILE", env = "AVIARY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// A file of `user:password` lines: only who has one, or a token of --token-file, is answered.
    #[arg(long, value_name = "FILE", env = "AVIARY_BASIC_FILE")]
    basic_file: Option<PathBuf>,
    /// How many requests one address may make in a second, minute, hour or day (S, M, H, D), as in `3600-H`;
    /// without it, any number.
    #[arg(long, value_name = "COUNT-UNIT", env = "AVIARY_RATE_LIMIT")]
    rate_limit: Option<Rate>,
    /// A file of PEM certificates to answer with over TLS, the daemon's own first; read again when it changes.
    #[arg(long, value_name = "FILE", env = "AVIARY_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, as PEM.
    #[arg(long, value_name = "FILE", env = "AVIARY_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Namespace of checks whose manifest names none.
    #[arg(long, env = "AVIARY_NAMESPACE", default_value = "default", value_parser = parse_namespace)]
    namespace: String,
    /// How many checks can be live at once; each takes 4 GiB of address space, though not of memory.
    #[arg(long, value_name = "COUNT", env = "AVIARY_MAX_CHECKS", default_value = "10000",
          value_parser = clap::value_parser!(u32).range(1..=16_000))]
    max_checks: u32,
    /// The largest module, once decompressed.
    #[arg(long, value_name = "SIZE", env = "AVIARY_MAX_MODULE_SIZE", default_value_t = MODULE_SIZE)]
    max_module_size: Size,
    /// Whose signatures count.
    #[command(flatten)]
    signatures: module::Signatures,
    /// What compiling a module may take, and where the code is kept.
    #[command(flatten)]
    compiling: Compiling,
    /// A file of PEM certificates to trust beside the system's.
    #[arg(long, value_name = "FILE", env = "AVIARY_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// A file that says whom to trust, and the most that the checks of other namespaces may reach.
    #[arg(long, value_name = "FILE", env = "AVIARY_POLICY")]
    policy: Option<PathBuf>,
    /// The domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN", env = "AVIARY_CLUSTER_DOMAIN", default_value = CLUSTER_DOMAIN, value_parser = parse_domain)]
    cluster_domain: String,
    /// The proxy for HTTP requests to public addresses, http://host:port. Proxies in the environment are not used.
    #[arg(long, value_name = "URL", env = "AVIARY_EGRESS_PROXY", hide_env_values = true)]
    egress_proxy: Option<Proxy>,
    /// How long open HTTP requests may take after SIGTERM.
    #[arg(long, value_name = "DURATION", env = "AVIARY_CLOSE_AFTER", default_value = "5s", value_parser = parse_duration)]
    close_after: Duration,
    /// How long running checks and their cleanups may take after SIGTERM.
    #[arg(long, value_name = "DURATION", env = "AVIARY_KILL_AFTER", default_value = "25s", value_parser = parse_duration)]
    kill_after: Duration,
}

impl Run {
    /// The settings of the daemon that these flags mean.
    pub(super) fn settings(self) -> Settings {
        Settings {
            checks: self.checks,
            kubeconfig: self.kubeconfig,
            namespaces: self.namespaces,
            configmap_selector: self.configmap_selector,
            listen: self.listen,
            probe_listen: self.probe_listen,
            trusted_proxies: self.trusted_proxies.into_iter().collect(),
            token_file: self.token_file,
            basic_file: self.basic_file,
            rate_limit: self.rate_limit,
            // Clap lets neither be given without the other.
            tls: self.tls_cert.zip(self.tls_key).map(|(certificates, key)| TlsFiles { certificates, key }),
            namespace: self.namespace,
            max_checks: self.max_checks,
            max_module_size: self.max_module_size,
            keyring: self.signatures.keyring(),
            compiler: self.compiling.config(),
            ca_file: self.ca_file,
            policy: self.policy,
            cluster_domain: self.cluster_domain,
            egress_proxy: self.egress_proxy,
            close_after: self.close_after,
            kill_after: self.kill_after,
        }
    }
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix(':') {
        Some(port) => port.parse().map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).ok(),
        None => text.parse().ok(),
    };
    address
        .ok_or_else(|| "expected an address such as `:10002`, `127.0.0.1:10002` or `[::1]:10002`".to_owned())
}

fn parse_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_suffix('.').unwrap_or(text);
    let wrong = || "expected a domain in lower case such as `cluster.local`".to_owned();
    is_subdomain(domain).then(|| domain.to_owned()).ok_or_else(wrong)
}

fn parse_namespaces(text: &str) -> Result<Namespaces, String> {
    if text == "*" {
        return Ok(Namespaces::All);
    }
    let names: Result<_, _> = text.split(',').map(|name| parse_namespace(name.trim())).collect();
    names.map(Namespaces::Only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_listens_on_every_address() {
        assert_eq!(parse_listen(":80"), Ok("[::]:80".parse().expect("an address")));
        assert_eq!(parse_listen("127.0.0.1:1"), Ok("127.0.0.1:1".parse().expect("an address")));
        assert!(parse_listen("localhost").is_err() && parse_listen(":99999").is_err());
    }

    #[test]
    fn namespaces_are_all_or_some() {
        assert_eq!(parse_namespaces("*"), Ok(Namespaces::All));
        let some = ["team-a", "team-b"].map(str::to_owned).into();
        assert_eq!(parse_namespaces("team-b, team-a"), Ok(Namespaces::Only(some)));
        assert!(parse_namespaces("team-a,*").is_err() && parse_namespaces("").is_err());
    }
}
