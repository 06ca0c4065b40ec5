//! Servers that are started to be measured, the daemon first of all.

use crate::{
    client::Client,
    manifest,
    process::{self, Memory},
};
use anyhow::{Context, Result, bail};
use hyper::StatusCode;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How often a server is asked whether it is up.
const LOOK: Duration = Duration::from_millis(100);
/// How long a server may take until it is up, and its checks have run.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server in a process of its own, which ends when this value is dropped.
pub(crate) struct Server {
    /// The address at which the server listens.
    pub(crate) address: SocketAddr,
    process: Child,
    directory: TempDir,
}

impl Server {
    /// Starts a program that listens on `address`. Its output goes into a file in `directory`.
    pub(crate) async fn start(
        command: &mut Command,
        address: SocketAddr,
        directory: TempDir,
    ) -> Result<Self> {
        let output = File::create(directory.path().join("output.log"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { address, process, directory };
        match server.up().await {
            Ok(()) => Ok(server),
            Err(error) => Err(error.context(server.output())),
        }
    }

    /// The directory that was given to the server.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The processor time of the server since its start.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.process.id()).with_context(|| self.output())
    }

    /// The memory that the server holds.
    pub(crate) fn memory(&self) -> Result<Memory> {
        process::memory(self.process.id()).with_context(|| self.output())
    }

    /// A new connection to the server.
    pub(crate) async fn client(&self) -> Result<Client> {
        Client::connect(self.address).await
    }

    async fn up(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Client::connect(self.address).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the server ended at once with {status}");
            }
            if Instant::now() > deadline {
                bail!("nothing listens on {} after {PATIENCE:?}", self.address);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn output(&self) -> String {
        let output = fs::read_to_string(self.directory.path().join("output.log")).unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(5).collect();
        format!("{} said, the newest line first: {}", self.address, lines.join(" | "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing fails only if the process has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address of this machine where nothing listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Starts the daemon on an address and on the checks that lie in a directory.
pub(crate) async fn start(program: &Path, address: SocketAddr, checks: TempDir) -> Result<Server> {
    let mut command = Command::new(program);
    command.arg("run").arg("--checks").arg(checks.path()).arg("--listen").arg(address.to_string());
    command.env("AVIARY_LOG", "warn");
    Server::start(&mut command, address, checks).await
}

/// Starts the daemon as [`start`] does, and waits until all checks have run and are well.
pub(crate) async fn run(program: &Path, address: SocketAddr, checks: TempDir) -> Result<Server> {
    let server = start(program, address, checks).await?;
    all_well(&server).await.with_context(|| server.output())?;
    Ok(server)
}

/// Runs the daemon on `count` equal checks of one module, until all have run. Without any it is idle.
pub(crate) async fn run_many(program: &Path, module: &Path, count: usize, spec: &str) -> Result<Server> {
    let directory = TempDir::with_prefix("aviary-bench-")?;
    if count > 0 {
        let copy = directory.path().join(module.file_name().context("a module has a name")?);
        fs::copy(module, copy).with_context(|| format!("cannot copy {}", module.display()))?;
        manifest::write(directory.path(), count, spec)?;
    }
    run(program, free_address()?, directory).await
}

async fn all_well(server: &Server) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut client = server.client().await?;
    loop {
        let ready = client.get("/readyz").await?.status == StatusCode::OK;
        if ready && client.get("/health").await?.status == StatusCode::OK {
            return Ok(());
        }
        if Instant::now() > deadline {
            let answer = client.get("/health").await?;
            let body = String::from_utf8_lossy(&answer.body);
            bail!("not all checks are well after {PATIENCE:?}: {body:.500}");
        }
        sleep(LOOK * 5).await;
    }
}
