//! Rows about a small module that costs much to compile: what it does to the daemon and to its honest checks.

use super::{Bench, runtime, soak};
use crate::{
    daemon::{Server, free_address, run},
    figure::{Figure, millis},
};
use anyhow::{Result, bail};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;
use test_guests::bombs;
use tokio::time::{Instant, sleep};

/// How long the bomb may take to be refused. The history of 100 runs covers that time.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

const GROWTH_TARGET: u64 = 20_000_000;
const LATENESS_TARGET: Duration = Duration::from_millis(50);

/// Measures `bomb-memory` and `bomb-lateness`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let checks = TempDir::with_prefix("aviary-bench-")?;
        soak::write_honest(checks.path(), &bench.checks)?;
        let daemon = run(&bench.daemon, free_address()?, checks).await?;
        // After this time, each check runs at the fixed times of its interval.
        sleep(Duration::from_secs(5)).await;
        let before = daemon.memory()?.resident;
        let bomb = bombs::loops(4_000, 500);
        let begun = Instant::now();
        drop_in(daemon.directory(), &bomb)?;
        let most = most_until_refused(&daemon).await?;
        let (took, grown) = (begun.elapsed(), most.saturating_sub(before));
        let longest = soak::lateness(&daemon).await?.into_iter().max().unwrap_or_default();
        let size = bomb.len() / 1000;
        let memory = format!("+{:.1} MB, {size} KB refused after {}", grown as f64 / 1e6, millis(took));
        let late = format!("at most {}", millis(longest));
        Ok(vec![
            Figure::new("bomb-memory", memory, "≤ +20 MB", grown <= GROWTH_TARGET),
            Figure::new("bomb-lateness", late, "≤ 50 ms", longest <= LATENESS_TARGET),
        ])
    })
}

/// Puts the bomb into the directory at once, as an editor would.
fn drop_in(directory: &Path, bomb: &[u8]) -> Result<()> {
    let elsewhere = TempDir::with_prefix("aviary-bench-")?;
    let ready = elsewhere.path().join("bomb.wasm");
    fs::write(&ready, bomb)?;
    Ok(fs::rename(&ready, directory.join("bomb.wasm"))?)
}

/// The most resident memory of the daemon in bytes, until the bomb has been refused.
async fn most_until_refused(daemon: &Server) -> Result<u64> {
    let (begun, mut most) = (Instant::now(), 0);
    let mut client = daemon.client().await?;
    loop {
        most = most.max(daemon.memory()?.resident);
        // At first the check does not exist yet.
        let bomb = soak::detail(&mut client, "bomb").await;
        let is_refused = |bomb: &Value| bomb["error"].as_str().is_some_and(|it| it.contains("--compile-"));
        if bomb.as_ref().is_ok_and(is_refused) {
            return Ok(most);
        }
        if begun.elapsed() > PATIENCE {
            bail!("the bomb was not refused within {PATIENCE:?}: {bomb:?}");
        }
        sleep(LOOK).await;
    }
}
