//! Puts the rooms together and keeps them running until a signal comes.

use crate::{
    api,
    board::Board,
    capability::dial::{Network, NetworkOptions},
    cli::Run,
    cluster::{Cluster, ClusterError},
    inventory::Inventory,
    sandbox::Sandbox,
    scheduler::Clock,
    source::{
        Change,
        configmap::{ConfigMaps, Namespaces},
        directory::Directories,
    },
};
use anyhow::{Context, Result, anyhow, bail};
use sd_notify::NotifyState;
use std::{collections::BTreeSet, io, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, interval_at},
};
use tokio_util::sync::CancellationToken;

/// Changes that wait to be taken in; each may hold a module.
const PENDING_CHANGES: usize = 16;
/// How often it is looked whether the daemon has become ready.
const READY_CHECK: Duration = Duration::from_millis(50);
/// How long nobody need know what is waited for, and how often it is told then.
const COMPLAIN_AFTER: Duration = Duration::from_secs(5);
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Runs the daemon until SIGTERM or SIGINT; a second one ends it at once.
///
/// Exit code 0 if every check was cleaned up in time, 1 if something had to be killed.
pub async fn run(settings: Run) -> Result<ExitCode> {
    let sources = Sources::find(&settings).await?;
    let network = network(&settings).await?;
    let sandbox = Sandbox::new(settings.max_checks, network)
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}; --listen chooses another address", settings.listen))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listener.local_addr()?, "listening");

    let board = Arc::new(Board::default());
    let stop = CancellationToken::new();
    let (changes, inbox) = mpsc::channel(PENDING_CHANGES);
    let inventory = Inventory::new(Arc::new(sandbox), Arc::clone(&board), Clock::start(), sources.count());
    let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), settings.kill_after));
    let mut sources = sources.watch(&changes, &board, &stop);
    drop(changes);
    let router = api::router(Arc::clone(&board), stop.clone());
    let server = tokio::spawn(api::serve(listener, router, stop.clone(), settings.close_after));
    let ready = tokio::spawn(announce_ready(board, stop.clone()));

    await_signal().await?;
    tracing::info!("stopping: letting runs finish and checks clean up");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    stop.cancel();
    let clean = tokio::select! {
        (clean, _, _) = async { tokio::join!(inventory, server, ready) } => clean.unwrap_or(false),
        again = await_signal() => {
            again?;
            tracing::error!("a second signal: ending at once, without cleaning up");
            false
        }
    };
    // A file system that hangs may hold one for ever, and they have nothing left to lose.
    sources.abort_all();
    tracing::info!("stopped{}", if clean { "" } else { ", but not everything ended clean" });
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where this daemon gets its checks from.
struct Sources {
    directories: Option<Directories>,
    config_maps: Option<ConfigMaps>,
}

impl Sources {
    /// Refuses to go without any, or with directories that cannot be read.
    async fn find(settings: &Run) -> Result<Self> {
        let directories = (!settings.checks.is_empty()).then(|| Directories {
            paths: settings.checks.clone(),
            namespace: settings.namespace.clone(),
            max_module_size: settings.max_module_size.in_memory(),
        });
        directories.as_ref().map_or(Ok(()), Directories::require_readable).map_err(|(path, error)| {
            anyhow!(
                "cannot read {}: {error}; --checks takes directories of manifests and modules",
                path.display()
            )
        })?;
        let cluster = match Cluster::find(settings.kubeconfig.as_deref()).await {
            Err(error @ ClusterError::InCluster(_)) if directories.is_some() => {
                tracing::warn!("not looking for ConfigMaps: {error}");
                None
            }
            found => found?,
        };
        let config_maps = cluster.map(|cluster| ConfigMaps {
            client: cluster.own(),
            namespaces: settings
                .namespaces
                .clone()
                .unwrap_or_else(|| Namespaces::Only([cluster.namespace().to_owned()].into())),
            selector: settings.configmap_selector.clone(),
            max_module_size: settings.max_module_size.in_memory(),
        });
        if directories.is_none() && config_maps.is_none() {
            bail!(
                "there are no checks to run: name a directory of manifests and modules with --checks, or a \
                 cluster whose ConfigMaps hold them with --kubeconfig; in a pod, its service account tells of \
                 the cluster"
            );
        }
        if config_maps.is_none() && settings.namespaces.is_some() {
            bail!("--namespaces needs a cluster: name one with --kubeconfig, or run in a pod");
        }
        Ok(Self { directories, config_maps })
    }

    fn count(&self) -> usize {
        usize::from(self.directories.is_some()) + usize::from(self.config_maps.is_some())
    }

    fn watch(
        self,
        changes: &mpsc::Sender<Change>,
        board: &Arc<Board>,
        stop: &CancellationToken,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (taken, taken_by_directories) = watch::channel(BTreeSet::new());
        if let Some(directories) = self.directories {
            let paths: Vec<_> = directories.paths.iter().map(|path| path.display().to_string()).collect();
            tracing::info!(checks = paths.join(", "), "watching");
            tasks.spawn(directories.watch(changes.clone(), taken, Arc::clone(board), stop.clone()));
        }
        if let Some(config_maps) = self.config_maps {
            let (namespaces, labels) = (config_maps.namespaces.to_string(), &config_maps.selector);
            tracing::info!(namespaces, labels, "watching ConfigMaps");
            let (changes, board) = (changes.clone(), Arc::clone(board));
            tasks.spawn(config_maps.watch(changes, taken_by_directories, board, stop.clone()));
        }
        tasks
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

async fn network(settings: &Run) -> Result<Arc<Network>> {
    let ca = match &settings.ca_file {
        Some(file) => {
            let pem = tokio::fs::read_to_string(file).await;
            Some(pem.with_context(|| format!("cannot read the certificates in {}", file.display()))?)
        }
        None => None,
    };
    let network = Network::new(&NetworkOptions { ca, ..NetworkOptions::default() });
    Ok(Arc::new(network.context("cannot set up the network")?))
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

async fn await_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
