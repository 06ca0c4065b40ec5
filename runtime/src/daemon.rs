//! Puts the rooms together and keeps them running until a signal comes.

use crate::{
    api,
    board::Board,
    capability::dial::{Network, NetworkOptions},
    cli::Run,
    inventory::Inventory,
    policy::{Origin, Policy},
    sandbox::Sandbox,
    scheduler::Clock,
    source::directory::Directories,
};
use anyhow::{Context, Result, anyhow};
use sd_notify::NotifyState;
use std::{io, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// Changes that wait to be taken in; each may hold a module.
const PENDING_CHANGES: usize = 16;
/// How often it is looked whether the daemon has become ready.
const READY_CHECK: Duration = Duration::from_millis(50);

/// Runs the daemon until SIGTERM or SIGINT; a second one ends it at once.
///
/// Exit code 0 if every check was cleaned up in time, 1 if something had to be killed.
pub async fn run(settings: Run) -> Result<ExitCode> {
    let policy = policy(&settings).await?;
    let directories = Directories {
        paths: settings.checks.clone(),
        namespace: settings.namespace.clone(),
        ceiling: policy.ceiling_for(Origin::Directory),
        max_module_size: settings.max_module_size.in_memory(),
    };
    directories.require_readable().map_err(|(path, error)| {
        anyhow!(
            "cannot read {}: {error}; --checks takes directories of manifests and modules",
            path.display()
        )
    })?;
    let network = network(&settings).await?;
    let sandbox = Sandbox::new(settings.max_checks, network, None)
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}; --listen chooses another address", settings.listen))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listener.local_addr()?, "listening");

    let watched: Vec<_> = directories.paths.iter().map(|path| path.display().to_string()).collect();
    tracing::info!(checks = watched.join(", "), "watching");

    let board = Arc::new(Board::default());
    let stop = CancellationToken::new();
    let (changes, inbox) = mpsc::channel(PENDING_CHANGES);
    let inventory = Inventory::new(Arc::new(sandbox), Arc::clone(&board), Clock::start(), 1);
    let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), settings.kill_after));
    let source = tokio::spawn(directories.watch(changes, stop.clone()));
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
    // A file system that hangs may hold it for ever, and it has nothing left to lose.
    source.abort();
    tracing::info!("stopped{}", if clean { "" } else { ", but not everything ended clean" });
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

async fn policy(settings: &Run) -> Result<Policy> {
    let Some(file) = &settings.policy else { return Ok(Policy::new(None, &settings.cluster_domain)) };
    let text = tokio::fs::read_to_string(file).await;
    let text = text.with_context(|| format!("cannot read the policy {}", file.display()))?;
    Policy::parse(&text, None, &settings.cluster_domain).with_context(|| file.display().to_string())
}

async fn network(settings: &Run) -> Result<Arc<Network>> {
    let ca = match &settings.ca_file {
        Some(file) => {
            let pem = tokio::fs::read_to_string(file).await;
            Some(pem.with_context(|| format!("cannot read the certificates in {}", file.display()))?)
        }
        None => None,
    };
    let cluster_domain = Some(settings.cluster_domain.clone());
    let network = Network::new(&NetworkOptions { ca, cluster_domain, ..NetworkOptions::default() });
    Ok(Arc::new(network.context("cannot set up the network")?))
}

/// Tells systemd when all sources have been read. Outside of systemd nobody listens.
async fn announce_ready(board: Arc<Board>, stop: CancellationToken) {
    while !board.is_ready() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(READY_CHECK) => {}
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
