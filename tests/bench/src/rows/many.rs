//! Rows about thousands of checks: what they cost the daemon.

use super::{Bench, runtime};
use crate::{
    daemon::{Server, run_many},
    figure::{Figure, median, millis},
    lag::Lag,
    process::Memory,
};
use anyhow::Result;
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep};

const MEMORY_TARGET: f64 = 45.0;
const LATENESS_TARGET: Duration = Duration::from_millis(10);
/// The share of one core that is the target.
const CPU_TARGET: f64 = 0.35;
const ANSWER_TARGET: Duration = Duration::from_millis(50);

/// The manifest of checks that run so fast that the history of 100 runs is soon full.
const FAST: &str = "{ module: compute.wasm, interval: 100ms, settings: { number: 1 } }";
const FILLING: Duration = Duration::from_secs(12);
const SLOW: &str = "{ module: compute.wasm, interval: 10s, settings: { number: 1 } }";
/// How long the daemon is measured; each check runs three times in it.
const WATCHED: Duration = Duration::from_secs(30);
const ANSWERS: usize = 10;
const BETWEEN_ANSWERS: Duration = Duration::from_millis(100);

/// Measures `memory-1000`, with full histories.
pub(super) fn measure_thousand(bench: &Bench) -> Result<Vec<Figure>> {
    const COUNT: usize = 1_000;
    runtime()?.block_on(async {
        let one = start(bench, 1, FAST).await?.memory()?;
        let daemon = start(bench, COUNT, FAST).await?;
        let young = Each::of(daemon.memory()?, one, COUNT);
        sleep(FILLING).await;
        let old = Each::of(daemon.memory()?, one, COUNT);
        let measured = format!("{old} with 100 different outcomes; {young} after the first");
        Ok(vec![Figure::new("memory-1000", measured, "≤ 45 KB", old.kilobytes <= MEMORY_TARGET)])
    })
}

/// Measures all rows about 10,000 checks on one daemon.
pub(super) fn measure_ten_thousand(bench: &Bench) -> Result<Vec<Figure>> {
    const COUNT: usize = 10_000;
    runtime()?.block_on(async {
        let one = start(bench, 1, SLOW).await?.memory()?;
        let daemon = start(bench, COUNT, SLOW).await?;
        let mut figures = on_time(&daemon).await?;
        let each = Each::of(daemon.memory()?, one, COUNT);
        let measured = format!("{each} after a few outcomes");
        let good = each.kilobytes <= MEMORY_TARGET;
        figures.insert(0, Figure::new("memory-10000", measured, "≤ 45 KB", good));
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
    // Within one interval each check finds its time in it.
    sleep(Duration::from_secs(10)).await;
    let before = lag(daemon).await?;
    let (start, cpu) = (Instant::now(), daemon.cpu()?);
    sleep(WATCHED).await;
    let cpu = (daemon.cpu()? - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    let lag = lag(daemon).await?.since(&before);
    let late = lag.quantile(0.99);
    let measured = format!("p99 {}, p50 {}, {} runs", millis(late), millis(lag.quantile(0.5)), lag.count());
    Ok(vec![
        Figure::new("lateness", measured, "p99 ≤ 10 ms", late <= LATENESS_TARGET),
        Figure::new("lateness-cpu", format!("{:.0} % of one core", cpu * 100.0), "≤ 35 %", cpu <= CPU_TARGET),
    ])
}

async fn lag(daemon: &Server) -> Result<Lag> {
    Lag::read(&daemon.client().await?.text("/metrics").await?)
}

async fn answer(daemon: &Server, row: &str) -> Result<Figure> {
    let path = format!("/{row}");
    let mut client = daemon.client().await?;
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..ANSWERS {
        let start = Instant::now();
        size = client.size(&path).await?;
        times.push(start.elapsed());
        sleep(BETWEEN_ANSWERS).await;
    }
    let longest = times.iter().max().copied().unwrap_or_default();
    let time = median(times);
    let megabytes = size as f64 / 1e6;
    let measured = format!("{} (at most {}), {megabytes:.1} MB", millis(time), millis(longest));
    Ok(Figure::new(row, measured, "≤ 50 ms", time <= ANSWER_TARGET))
}

/// The memory for each check but the first, which brought the module and all that checks share.
struct Each {
    /// The kilobytes of memory, where pages that guests of one module share count once.
    kilobytes: f64,
    /// The kilobytes of memory, where pages that guests share count for each of them.
    resident: f64,
}

impl Each {
    fn of(many: Memory, one: Memory, count: usize) -> Self {
        let each = |many: u64, one: u64| many.saturating_sub(one) as f64 / (count - 1) as f64 / 1e3;
        Self {
            kilobytes: each(many.proportional, one.proportional),
            resident: each(many.resident, one.resident),
        }
    }
}

impl fmt::Display for Each {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} KB (RSS {:.1} KB)", self.kilobytes, self.resident)
    }
}
