//! The daemon: puts the rooms together, and keeps them running until a signal comes.

mod front;
mod parts;
mod probes;
mod signals;
mod sources;

use crate::{
    api,
    board::Board,
    capability::{
        dial::{Network, NetworkOptions},
        sockets::allow_as_many_as_possible,
    },
    cluster::{Cluster, ClusterError},
    file,
    inventory::Inventory,
    ledger::Ledger,
    manifest::MAX_FILE,
    notify::Notifier,
    policy::Policy,
    sandbox::Sandbox,
    scheduler::Clock,
    settings::Settings,
};
use anyhow::{Context, Result};
use front::Front;
use futures_util::FutureExt;
use parts::Parts;
use sd_notify::NotifyState;
use signals::Signals;
use sources::Sources;
use std::{io, net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, interval_at},
};
use tokio_util::sync::CancellationToken;

/// The most changes of a source that wait for the inventory.
const PENDING_CHANGES: usize = 16;
/// The most bytes of certificates that are read. Those of a whole system are a tenth of it.
const MOST_CERTIFICATES: usize = 4 * 1024 * 1024;
/// How often the daemon checks whether it has become ready.
const READY_CHECK: Duration = Duration::from_millis(50);
/// How long after the start the log first says what the daemon waits for, and how often after that.
const COMPLAIN_AFTER: Duration = Duration::from_secs(5);
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Runs the daemon until SIGTERM, SIGINT, SIGHUP or SIGQUIT. A second signal ends it at once.
///
/// Exit code 0 if every check was cleaned up in time, 1 if something had to be killed.
///
/// # Errors
/// When the daemon cannot start, or a part of it breaks down. The other parts end first, as they do after a
/// signal.
pub async fn run(settings: Settings) -> Result<ExitCode> {
    // Before anything that takes time, so that a signal during the start ends the daemon clean as well.
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = start(settings) => running?,
        () = signals.asked_to_end() => {
            tracing::info!("stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    running.run(&mut signals).await
}

/// Makes all parts of the daemon and starts them. No part runs before all of them could be made.
async fn start(settings: Settings) -> Result<Running> {
    allow_as_many_as_possible();
    let cluster = cluster(&settings).await?.map(Arc::new);
    let policy = policy(&settings, cluster.as_deref()).await?;
    let sources = Sources::find(&settings, policy, cluster.as_deref())?;
    let front = Front::find(&settings)?;
    let network = network(&settings).await?;
    let board = Arc::new(Board::default());
    let notifier = cluster.as_deref().map(|cluster| Notifier::new(cluster.own(), &board));
    let ledger = cluster
        .map(|cluster| Ledger::lasting(cluster, Arc::clone(&board.leftovers), Arc::clone(&board.logs)));
    let (listener, probed) = listeners(&settings)?;
    let keyring = settings.keyring;
    if !keyring.is_empty() {
        tracing::info!(keys = %keyring, "modules have to be signed");
    }
    let sandbox = Sandbox::new(settings.max_checks, settings.compiler, network, ledger.clone())
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")?;

    let (stop, mut parts) = (CancellationToken::new(), Parts::default());
    let (changes, inbox) = mpsc::channel(PENDING_CHANGES);
    let inventory =
        Inventory::new(Arc::new(sandbox), keyring, Arc::clone(&board), Clock::start(), sources.count());
    parts.start("the inventory", inventory.run(inbox, stop.clone(), settings.kill_after));
    if let Some(ledger) = ledger.clone() {
        parts.start("the ledger", ledger.keep(stop.clone()).map(|()| true));
    }
    if let Some(notifier) = notifier {
        parts.start("the writer of Events", notifier.run(stop.clone()).map(|()| true));
    }
    sources.watch(changes, &board, &stop, &mut parts);
    let serving = front.serve(listener, Arc::clone(&board), stop.clone(), settings.close_after);
    parts.start("the HTTP server", serving.map(|()| true));
    if let Some(listener) = probed {
        let serving = probes::serve(listener, Arc::clone(&board), stop.clone(), settings.close_after)?;
        parts.start("the server for the kubelet", serving);
    }
    parts.start("the announcement that it is ready", announce_ready(board, stop.clone()).map(|()| true));
    Ok(Running { parts, ledger, stop, kill_after: settings.kill_after })
}

/// Opens the main listener and, if the settings name one, the listener for probes.
fn listeners(settings: &Settings) -> Result<(TcpListener, Option<TcpListener>)> {
    let listener = listen(settings.listen, "--listen")?;
    let probed = settings.probe_listen.map(|address| listen_for_probes(address, &listener)).transpose()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listener.local_addr()?, "listening");
    if let Some(listener) = &probed {
        tracing::info!(address = %listener.local_addr()?, "listening for probes");
    }
    if settings.trusted_proxies.contain_all() {
        tracing::warn!(
            "--trusted-proxies trusts everybody: each client can choose the address that its limits are for"
        );
    }
    Ok((listener, probed))
}

fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    api::listen(address)
        .with_context(|| format!("cannot listen on {address}; {flag} chooses another address"))
}

fn listen_for_probes(address: SocketAddr, main: &TcpListener) -> Result<TcpListener> {
    listen(address, "--probe-listen").map_err(|error| match main.local_addr() {
        Ok(taken) if taken.port() == address.port() => {
            error.context("--probe-listen and --listen have the same port: they need one each")
        }
        _ => error,
    })
}

/// A daemon whose parts run.
struct Running {
    parts: Parts,
    ledger: Option<Arc<Ledger>>,
    /// The token that tells all parts to stop.
    stop: CancellationToken,
    kill_after: Duration,
}

impl Running {
    /// Waits until a signal comes or a part breaks down, and then lets all parts end.
    async fn run(mut self, signals: &mut Signals) -> Result<ExitCode> {
        let broken = tokio::select! {
            () = signals.asked_to_end() => None,
            broken = self.parts.broken() => Some(broken),
        };
        if let Some(broken) = &broken {
            tracing::error!("{broken}");
        }
        tracing::info!("stopping: letting runs finish and checks clean up");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        self.stop.cancel();
        let clean = tokio::select! {
            clean = self.end() => clean,
            () = signals.asked_to_end() => {
                tracing::error!("a second signal: ending at once, without cleaning up");
                false
            }
        };
        tracing::info!("stopped{}", if clean { "" } else { ", but not everything ended clean" });
        match broken {
            Some(broken) => Err(broken.into()),
            None if clean => Ok(ExitCode::SUCCESS),
            None => Ok(ExitCode::FAILURE),
        }
    }

    /// Ends all parts; true if every check was cleaned up in time.
    async fn end(&mut self) -> bool {
        let deadline = Instant::now() + self.kill_after;
        let clean = self.parts.end().await;
        let swept = match &self.ledger {
            Some(ledger) => ledger.settle(deadline).await,
            None => true,
        };
        clean && swept
    }
}

/// The async runtime that guests share with everything else.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    // A guest that spins gives way every 10 ms. Timers and sockets must be served each time, and not only
    // every 61 polls as by default.
    Builder::new_multi_thread().event_interval(1).enable_all().build()
}

/// The cluster in which checks are looked for, and which they may use. A pod without an account may still
/// have directories.
async fn cluster(settings: &Settings) -> Result<Option<Cluster>> {
    match Cluster::find(settings.kubeconfig.as_deref()).await {
        Err(error @ ClusterError::InCluster(_)) if !settings.checks.is_empty() => {
            tracing::warn!("going on without the cluster: {error}");
            Ok(None)
        }
        found => Ok(found?),
    }
}

async fn policy(settings: &Settings, cluster: Option<&Cluster>) -> Result<Policy> {
    let own = cluster.map(Cluster::namespace);
    let Some(file) = &settings.policy else { return Ok(Policy::new(own, &settings.cluster_domain)) };
    let text = read_text(file, MAX_FILE).await;
    let text = text.with_context(|| format!("cannot read the policy {}", file.display()))?;
    Policy::parse(&text, own, &settings.cluster_domain).with_context(|| file.display().to_string())
}

async fn network(settings: &Settings) -> Result<Arc<Network>> {
    let ca = match &settings.ca_file {
        Some(file) => {
            let pem = read_text(file, MOST_CERTIFICATES).await;
            Some(pem.with_context(|| format!("cannot read the certificates in {}", file.display()))?)
        }
        None => None,
    };
    let cluster_domain = Some(settings.cluster_domain.clone());
    let egress_proxy = settings.egress_proxy.clone();
    let options = NetworkOptions { ca, cluster_domain, egress_proxy, ..NetworkOptions::default() };
    let network = Network::new(&options);
    Ok(Arc::new(network.context("cannot set up the network")?))
}

async fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let path = path.to_path_buf();
    spawn_blocking(move || file::read_text(&path, most)).await?
}

/// Tells systemd when all sources have been read, tells the log what is waited for, and waits for `stop`.
/// Outside of systemd nobody listens.
async fn announce_ready(board: Arc<Board>, stop: CancellationToken) {
    let mut complaint = interval_at(Instant::now() + COMPLAIN_AFTER, COMPLAIN_EVERY);
    while !board.is_ready() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(READY_CHECK) => {}
            _ = complaint.tick() => for source in board.sources().iter().filter(|source| !source.connected) {
                tracing::warn!("not ready, for the source {} is waited for: {}", source.name, source.error);
            },
        }
    }
    tracing::info!(checks = board.entries().len(), "ready");
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    stop.cancelled().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    #[tokio::test(start_paused = true)]
    async fn a_part_that_breaks_down_ends_the_daemon_with_an_error_once_the_others_have_ended() {
        let (stop, ended) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let mut parts = Parts::default();
        let (told, ending) = (stop.clone(), Arc::clone(&ended));
        parts.start("the inventory", async move {
            told.cancelled().await;
            ending.store(true, SeqCst);
            true
        });
        parts.start("the HTTP server", async { panic!("no way on") });
        let running = Running { parts, ledger: None, stop, kill_after: Duration::from_secs(25) };
        let mut signals = Signals::listen().expect("signals");
        let error = running.run(&mut signals).await.expect_err("broken down").to_string();
        assert!(error.starts_with("the HTTP server broke down (") && error.contains("no way on"), "{error}");
        assert!(ended.load(SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_by_itself_is_missed_as_well() {
        let mut parts = Parts::default();
        parts.start("the ledger", async { true });
        let error = parts.broken().await.to_string();
        assert!(error.starts_with("the ledger broke down (it ended by itself)"), "{error}");
    }
}
