//! Rows about the processor time of one HTTP check, beside that of prometheus-blackbox-exporter.
//!
//! Both ask the same nginx for the same page as often and at the same time, each on a fresh connection. The
//! exporter is driven as Prometheus drives it, over one connection that stays open. Answering that is part of
//! its work, as keeping the time is part of the daemon's.

use super::{Bench, runtime};
use crate::{
    daemon::{Server, free_address, run_many},
    figure::{Figure, micros},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The share of the exporter's processor time that is the target.
const TARGET: f64 = 0.25;
/// The number of checks, each of which runs once a second.
const CHECKS: u32 = 200;
const SECONDS: u32 = 15;
const IDLE: Duration = Duration::from_secs(3);
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Measures `http-cpu`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let nginx = find("nginx", "nginx-light")?;
    let exporter = find("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")?;
    runtime()?.block_on(async {
        let web = start_nginx(&nginx).await?;
        let exporter = start_exporter(&exporter).await?;
        let idle_daemon = start_daemon(bench, 0, web.address).await?;
        sleep(IDLE).await;
        let before = (idle_daemon.cpu()?, exporter.cpu()?);
        sleep(IDLE).await;
        let idle = ((idle_daemon.cpu()? - before.0) / 3, (exporter.cpu()? - before.1) / 3);
        drop(idle_daemon);
        let daemon = start_daemon(bench, CHECKS as usize, web.address).await?;
        let (ours, theirs) = race(&daemon, &exporter, web.address, idle).await?;
        let share = ours.as_secs_f64() / theirs.as_secs_f64();
        let measured = format!("{share:.2} of it: {} a run, {} a probe", micros(ours), micros(theirs));
        Ok(vec![Figure::new("http-cpu", measured, "≤ 1/4 of blackbox_exporter", share <= TARGET)])
    })
}

/// Finds a program of a Debian package. The error names the package.
fn find(program: &str, package: &str) -> Result<PathBuf> {
    let found = PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file());
    found.with_context(|| {
        format!("{program} is not installed: `apt-get install --no-install-recommends {package}`")
    })
}

async fn start_nginx(program: &Path) -> Result<Server> {
    let (directory, address) = (TempDir::with_prefix("aviary-bench-")?, free_address()?);
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; server {{ listen {address}; location / {{ return 200 \"well\\n\"; }} }} }}\n"
    );
    fs::write(directory.path().join("nginx.conf"), configuration)?;
    let mut command = Command::new(program);
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(directory.path());
    Server::start(&mut command, address, directory).await
}

async fn start_exporter(program: &Path) -> Result<Server> {
    let (directory, address) = (TempDir::with_prefix("aviary-bench-")?, free_address()?);
    let configuration = directory.path().join("blackbox.yml");
    fs::write(&configuration, "modules: { page: { prober: http, http: { preferred_ip_protocol: ip4 } } }\n")?;
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address={address}"));
    command.arg(format!("--config.file={}", configuration.display()));
    Server::start(&mut command, address, directory).await
}

async fn start_daemon(bench: &Bench, checks: usize, web: SocketAddr) -> Result<Server> {
    let spec = format!(
        "{{ module: http.wasm, interval: 1s, settings: {{ urls: [\"http://{web}/\"] }}, \
         grants: {{ http: [{{ hosts: [\"http://{web}\"] }}] }} }}"
    );
    run_many(&bench.daemon, &bench.checks.join("http.wasm"), checks, &spec).await
}

/// The processor time of one run of the daemon, and of one probe of the exporter. What each takes in an idle
/// second is left out.
async fn race(
    daemon: &Server,
    exporter: &Server,
    web: SocketAddr,
    idle: (Duration, Duration),
) -> Result<(Duration, Duration)> {
    let mut client = exporter.client().await?;
    let path = format!("/probe?module=page&target=http://{web}/");
    let answer = client.text(&path).await?;
    ensure!(answer.contains("\nprobe_success 1"), "the exporter cannot probe nginx: {answer}");
    let before = (daemon.cpu()?, exporter.cpu()?);
    let runs = finished_runs(daemon).await?;
    let mut turn = interval(Duration::from_secs(1) / CHECKS);
    turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..CHECKS * SECONDS {
        turn.tick().await;
        client.text(&path).await?;
    }
    let runs = finished_runs(daemon).await? - runs;
    let spent = (daemon.cpu()? - before.0, exporter.cpu()? - before.1);
    ensure!(runs > 0, "the daemon ran nothing");
    let ours = spent.0.saturating_sub(idle.0 * SECONDS) / runs;
    let theirs = spent.1.saturating_sub(idle.1 * SECONDS) / (CHECKS * SECONDS);
    Ok((ours, theirs))
}

/// How many runs of the daemon have passed so far.
async fn finished_runs(daemon: &Server) -> Result<u32> {
    let metrics = daemon.client().await?.text("/metrics").await?;
    let passed = metrics
        .lines()
        .filter(|line| line.starts_with("aviary_check_runs_total{") && line.contains("outcome=\"pass\""));
    let counts = passed.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u32>().ok());
    Ok(counts.sum())
}
