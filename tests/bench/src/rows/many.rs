//! What thousands of checks cost the daemon.

use super::{Bench, runtime};
use crate::{
    daemon::{Server, run_many},
    figure::{Figure, median, millis},
    lag::Lag,
};
use anyhow::Result;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

const MEMORY_TARGET: f64 = 45.0;
const LATENESS_TARGET: Duration = Duration::from_millis(10);
/// Of one core.
const CPU_TARGET: f64 = 0.35;
const ANSWER_TARGET: Duration = Duration::from_millis(50);

/// So fast that the history of 100 runs is soon full.
const FAST: &str = "{ module: compute.wasm, interval: 100ms, settings: { number: 1 } }";
const FILLING: Duration = Duration::from_secs(12);
const SLOW: &str = "{ module: compute.wasm, interval: 10s, settings: { number: 1 } }";
/// Each check runs three times meanwhile.
const WATCHED: Duration = Duration::from_secs(30);
const ANSWERS: usize = 10;

/// Measures `memory-1000`, with full histories.
pub(super) fn measure_thousand(bench: &Bench) -> Result<Vec<Figure>> {
    const COUNT: usize = 1_000;
    runtime()?.block_on(async {
        let one = start(bench, 1, FAST).await?.resident()?;
        let daemon = start(bench, COUNT, FAST).await?;
        let young = per_check(daemon.resident()?, one, COUNT);
        sleep(FILLING).await;
        let old = per_check(daemon.resident()?, one, COUNT);
        let measured = format!("{old:.1} KB with 100 runs of history, {young:.1} KB after the first runs");
        Ok(vec![Figure::new("memory-1000", measured, "≤ 45 KB", old <= MEMORY_TARGET)])
    })
}

/// Measures all rows about 10,000 checks on one daemon.
pub(super) fn measure_ten_thousand(bench: &Bench) -> Result<Vec<Figure>> {
    const COUNT: usize = 10_000;
    runtime()?.block_on(async {
        let one = start(bench, 1, SLOW).await?.resident()?;
        let daemon = start(bench, COUNT, SLOW).await?;
        let mut figures = on_time(&daemon).await?;
        let each = per_check(daemon.resident()?, one, COUNT);
        let measured = format!("{each:.1} KB after a few runs");
        figures.insert(0, Figure::new("memory-10000", measured, "≤ 45 KB", each <= MEMORY_TARGET));
        figures.push(answer(&daemon, "metrics").await?);
        figures.push(answer(&daemon, "health").await?);
        Ok(figures)
    })
}

async fn start(bench: &Bench, count: usize, spec: &str) -> Result<Server> {
    eprintln!("  {count} checks: starting …");
    run_many(&bench.daemon, &bench.checks.join("compute.wasm"), count, spec).await
}

async fn on_time(daemon: &Server) -> Result<Vec<Figure>> {
    eprintln!("  watching for {WATCHED:?} when they start …");
    let mut client = daemon.client().await?;
    // By now each check has found its place in the interval.
    sleep(Duration::from_secs(10)).await;
    let before = Lag::read(&client.text("/metrics").await?)?;
    let (start, cpu) = (Instant::now(), daemon.cpu()?);
    sleep(WATCHED).await;
    let cpu = (daemon.cpu()? - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    let lag = Lag::read(&client.text("/metrics").await?)?.since(&before);
    let late = lag.quantile(0.99);
    let measured = format!("p99 {}, p50 {}, {} runs", millis(late), millis(lag.quantile(0.5)), lag.count());
    Ok(vec![
        Figure::new("lateness", measured, "p99 ≤ 10 ms", late <= LATENESS_TARGET),
        Figure::new("lateness-cpu", format!("{:.0} % of one core", cpu * 100.0), "≤ 35 %", cpu <= CPU_TARGET),
    ])
}

async fn answer(daemon: &Server, row: &str) -> Result<Figure> {
    let path = format!("/{row}");
    let mut client = daemon.client().await?;
    let mut times = Vec::new();
    let mut sizes = BTreeSet::new();
    for _ in 0..ANSWERS {
        let start = Instant::now();
        sizes.insert(client.text(&path).await?.len());
        times.push(start.elapsed());
        // A garbage of other answers is no part of this one.
        sleep(Duration::from_millis(100)).await;
    }
    let longest = times.iter().max().copied().unwrap_or_default();
    let time = median(times);
    let megabytes = sizes.last().copied().unwrap_or_default() as f64 / 1e6;
    let measured = format!("{} (at most {}), {megabytes:.1} MB", millis(time), millis(longest));
    Ok(Figure::new(row, measured, "≤ 50 ms", time <= ANSWER_TARGET))
}

/// Kilobytes for each check but the first, which brought the module and all that checks share.
fn per_check(resident: u64, one: u64, count: usize) -> f64 {
    resident.saturating_sub(one) as f64 / (count - 1) as f64 / 1e3
}
