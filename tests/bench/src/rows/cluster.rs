//! Rows about checks in ConfigMaps: what they cost, and how soon they run.

use super::{Bench, reload::marked, runtime};
use crate::{
    client::Client,
    cluster::Cluster,
    figure::{Figure, median, millis},
};
use anyhow::{Result, bail};
use hyper::StatusCode;
use serde_json::Value;
use std::{fs, time::Duration};
use tokio::time::{Instant, sleep};

const APPLIES: u8 = 50;
const FIRST_OUTCOME_TARGET: Duration = Duration::from_millis(500);
const WATCHED: usize = 500;
const FEW: usize = 20;
const SETTLING: Duration = Duration::from_secs(30);
const WATCHING: Duration = Duration::from_secs(60);
const REQUESTS_TARGET: u64 = 10;
const LOOK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(120);
const RUNNING: &str = "{ module: check.wasm, interval: 10m, settings: { number: 1 } }";
const RESTING: &str = "{ module: check.wasm, interval: 10m, suspend: true, settings: { number: 1 } }";

/// Measures `configmap-apply`.
pub(super) fn measure_apply(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let cluster = Cluster::enter("apply").await?;
        let daemon = cluster.daemon(&bench.daemon).await?;
        let mut client = daemon.client().await?;
        let module = fs::read(bench.checks.join("compute.wasm"))?;
        let mut times = Vec::with_capacity(APPLIES.into());
        for number in 0..APPLIES {
            let name = format!("check-{number}");
            // The module has another digest each time, so that it is compiled each time.
            let module = marked(&module, number);
            let start = Instant::now();
            cluster.apply(&name, &module, RUNNING).await?;
            first_outcome(&mut client, &cluster.namespace, &name).await?;
            times.push(start.elapsed());
        }
        cluster.leave().await?;
        let p50 = median(times.clone());
        times.sort_unstable();
        let longest = times.last().copied().unwrap_or_default();
        let measured = format!("p50 {}, longest of {APPLIES} {}", millis(p50), millis(longest));
        Ok(vec![Figure::new("configmap-apply", measured, "p99 ≤ 500 ms", longest <= FIRST_OUTCOME_TARGET)])
    })
}

/// Measures `configmap-memory`, with many ConfigMaps whose checks are suspended.
pub(super) fn measure_watch(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let cluster = Cluster::enter("watch").await?;
        let module = fs::read(bench.checks.join("compute.wasm"))?;
        // The first one brings the module, and the memory that compiling it leaves.
        cluster.apply("check-0", &module, RESTING).await?;
        let one = cluster.daemon(&bench.daemon).await?;
        ready(&mut one.client().await?).await?;
        let before = one.memory()?.proportional;
        drop(one);
        for number in 1..WATCHED {
            cluster.apply(&format!("check-{number}"), &module, RESTING).await?;
        }
        let daemon = cluster.daemon(&bench.daemon).await?;
        ready(&mut daemon.client().await?).await?;
        let each = daemon.memory()?.proportional.saturating_sub(before) as f64 / WATCHED as f64 / 1e3;
        let kilobytes = module.len() / 1000;
        let memory = format!("{each:.1} KB for each of {WATCHED} ConfigMaps of {kilobytes} KB, at rest");
        cluster.leave().await?;
        Ok(vec![Figure::new("configmap-memory", memory, "to be stated", true)])
    })
}

/// Measures `idle-requests`, once the Events about the first loads have been written.
pub(super) fn measure_idle(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let cluster = Cluster::enter("idle").await?;
        let module = fs::read(bench.checks.join("compute.wasm"))?;
        for number in 0..FEW {
            cluster.apply(&format!("check-{number}"), &module, RUNNING).await?;
        }
        let daemon = cluster.daemon(&bench.daemon).await?;
        ready(&mut daemon.client().await?).await?;
        sleep(SETTLING).await;
        let asked = cluster.requests().await?;
        sleep(WATCHING).await;
        let asked = cluster.requests().await? - asked;
        cluster.leave().await?;
        let requests = format!("{asked} in a minute, with {FEW} ConfigMaps");
        Ok(vec![Figure::new("idle-requests", requests, "≤ 10 / min", asked <= REQUESTS_TARGET)])
    })
}

async fn first_outcome(client: &mut Client, namespace: &str, name: &str) -> Result<()> {
    let path = format!("/api/v1/checks/{namespace}/{name}");
    until(&path, async || {
        let answer = client.get(&path).await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(answer.status == StatusCode::OK && body["lastRun"].is_string())
    })
    .await
}

async fn ready(client: &mut Client) -> Result<()> {
    until("readyz", async || Ok(client.get("/readyz").await?.status == StatusCode::OK)).await
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await? {
        if Instant::now() > deadline {
            bail!("{what} is not there after {PATIENCE:?}");
        }
        sleep(LOOK).await;
    }
    Ok(())
}
