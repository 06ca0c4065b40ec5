//! Puts the rooms together and keeps them running until a signal comes.

mod front;
mod signals;
mod sources;

use crate::{
    board::Board,
    capability::{
        dial::{Network, NetworkOptions},
        sockets::allow_as_many_as_possible,
    },
    cli::Run,
    cluster::{Cluster, ClusterError},
    file,
    inventory::Inventory,
    ledger::Ledger,
    policy::Policy,
    sandbox::Sandbox,
    scheduler::Clock,
    spec::MAX_FILE,
};
use anyhow::{Context, Result};
use front::Front;
use sd_notify::NotifyState;
use signals::asked_to_end;
use sources::Sources;
use std::{io, path::Path, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, interval_at},
};
use tokio_util::sync::CancellationToken;

/// Changes that wait to be taken in.
const PENDING_CHANGES: usize = 16;
/// As many bytes of certificates are read; those of a whole system are a tenth of it.
const MOST_CERTIFICATES: usize = 4 * 1024 * 1024;
/// How often it is looked whether the daemon has become ready.
const READY_CHECK: Duration = Duration::from_millis(50);
/// How long nobody need know what is waited for, and how often it is told then.
const COMPLAIN_AFTER: Duration = Duration::from_secs(5);
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Runs the daemon until SIGTERM, SIGINT, SIGHUP or SIGQUIT; a second one ends it at once.
///
/// Exit code 0 if every check was cleaned up in time, 1 if something had to be killed.
pub async fn run(settings: Run) -> Result<ExitCode> {
    allow_as_many_as_possible();
    let cluster = cluster(&settings).await?.map(Arc::new);
    let policy = policy(&settings, cluster.as_deref()).await?;
    let sources = Sources::find(&settings, policy, cluster.as_deref())?;
    let front = Front::find(&settings)?;
    let network = network(&settings).await?;
    let board = Arc::new(Board::default());
    let ledger = cluster.map(|cluster| Ledger::lasting(cluster, Arc::clone(&board)));
    let keyring = settings.signatures.keyring();
    if !keyring.is_empty() {
        tracing::info!(keys = %keyring, "modules have to be signed");
    }
    let sandbox = Sandbox::new(settings.max_checks, settings.compiling.workshop(), network, ledger.clone())
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}; --listen chooses another address", settings.listen))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listener.local_addr()?, "listening");

    let stop = CancellationToken::new();
    let (changes, inbox) = mpsc::channel(PENDING_CHANGES);
    let inventory =
        Inventory::new(Arc::new(sandbox), keyring, Arc::clone(&board), Clock::start(), sources.count());
    let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), settings.kill_after));
    let ledger = ledger.map(|ledger| (Arc::clone(&ledger), tokio::spawn(ledger.keep(stop.clone()))));
    let mut sources = sources.watch(&changes, &board, &stop);
    drop(changes);
    let server = tokio::spawn(front.serve(listener, Arc::clone(&board), stop.clone(), settings.close_after));
    let ready = tokio::spawn(announce_ready(board, stop.clone()));

    let clean = Running { inventory, server, ready, ledger }.run(&stop, settings.kill_after).await?;
    // A file system that hangs may hold one for ever, and they have nothing left to lose.
    sources.abort_all();
    tracing::info!("stopped{}", if clean { "" } else { ", but not everything ended clean" });
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What ends when it is told to stop.
struct Running {
    inventory: JoinHandle<bool>,
    server: JoinHandle<()>,
    ready: JoinHandle<()>,
    ledger: Option<(Arc<Ledger>, JoinHandle<()>)>,
}

impl Running {
    /// Goes on until a signal comes, and then lets everything end; true if it ended clean.
    async fn run(self, stop: &CancellationToken, kill_after: Duration) -> Result<bool> {
        asked_to_end().await?;
        tracing::info!("stopping: letting runs finish and checks clean up");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        stop.cancel();
        tokio::select! {
            clean = self.end(Instant::now() + kill_after) => Ok(clean),
            again = asked_to_end() => {
                again?;
                tracing::error!("a second signal: ending at once, without cleaning up");
                Ok(false)
            }
        }
    }

    async fn end(self, deadline: Instant) -> bool {
        let (clean, _, _) = tokio::join!(self.inventory, self.server, self.ready);
        let swept = match self.ledger {
            Some((ledger, keeping)) => {
                // It only stops early; how is on the board.
                let _ = keeping.await;
                ledger.settle(deadline).await
            }
            None => true,
        };
        clean.unwrap_or(false) && swept
    }
}

/// The async runtime that guests share with everything else.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    // A guest that spins gives way every 10 ms; timers and sockets must have their turn each time,
    // not only every 61 turns as is the default.
    Builder::new_multi_thread().event_interval(1).enable_all().build()
}

/// The cluster to look for checks in and to let them use. A pod without an account may still have directories.
async fn cluster(settings: &Run) -> Result<Option<Cluster>> {
    match Cluster::find(settings.kubeconfig.as_deref()).await {
        Err(error @ ClusterError::InCluster(_)) if !settings.checks.is_empty() => {
            tracing::warn!("going on without the cluster: {error}");
            Ok(None)
        }
        found => Ok(found?),
    }
}

async fn policy(settings: &Run, cluster: Option<&Cluster>) -> Result<Policy> {
    let own = cluster.map(Cluster::namespace);
    let Some(file) = &settings.policy else { return Ok(Policy::new(own, &settings.cluster_domain)) };
    let text = read_text(file, MAX_FILE).await;
    let text = text.with_context(|| format!("cannot read the policy {}", file.display()))?;
    Policy::parse(&text, own, &settings.cluster_domain).with_context(|| file.display().to_string())
}

async fn network(settings: &Run) -> Result<Arc<Network>> {
    let ca = match &settings.ca_file {
        Some(file) => {
            let pem = read_text(file, MOST_CERTIFICATES).await;
            Some(pem.with_context(|| format!("cannot read the certificates in {}", file.display()))?)
        }
        None => None,
    };
    let cluster_domain = Some(settings.cluster_domain.clone());
    let network = Network::new(&NetworkOptions { ca, cluster_domain, ..NetworkOptions::default() });
    Ok(Arc::new(network.context("cannot set up the network")?))
}

async fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let path = path.to_path_buf();
    spawn_blocking(move || file::read_text(&path, most)).await?
}

/// Tells systemd when all sources have been read, and the log what is waited for. Outside of systemd nobody
/// listens.
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
}
