//! Rows about reloading: how soon a replaced module has its first outcome.

use super::{Bench, runtime};
use crate::{
    client::Client,
    daemon::run_many,
    figure::{Figure, median, millis},
};
use anyhow::{Context, Result, bail};
use aviary::value::Digest;
use jiff::Timestamp;
use serde_json::Value;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const TARGET: Duration = Duration::from_millis(400);
const REPLACEMENTS: u8 = 10;
const SPEC: &str = "{ module: compute.wasm, interval: 10s, settings: { number: 1 } }";
const CHECK: &str = "/api/v1/checks/default/bench-0";
/// How often the check is asked whether the new module has run.
const LOOK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures `reload`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let module = bench.checks.join("compute.wasm");
        let code = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let daemon = run_many(&bench.daemon, &module, 1, SPEC).await?;
        let mut client = daemon.client().await?;
        let mut times = Vec::new();
        for number in 0..REPLACEMENTS {
            // The pause differs each time, so that it is not in step with anything that the daemon does by
            // the clock.
            sleep(Duration::from_millis(300 + 37 * u64::from(number))).await;
            let version = marked(&code, number);
            times.push(replace(daemon.directory(), &version, &mut client).await?);
        }
        let longest = times.iter().max().copied().unwrap_or_default();
        let kilobytes = code.len() / 1000;
        let time = median(times);
        let measured = format!("{} (at most {}), {kilobytes} KB", millis(time), millis(longest));
        Ok(vec![Figure::new("reload", measured, "≤ 400 ms", time <= TARGET)])
    })
}

/// The time from the rename of this version until its first outcome can be read.
async fn replace(directory: &Path, version: &[u8], client: &mut Client) -> Result<Duration> {
    let digest = Digest::of(version).to_string();
    let elsewhere = TempDir::with_prefix("aviary-bench-")?;
    let ready = elsewhere.path().join("compute.wasm");
    fs::write(&ready, version)?;
    let start = Instant::now();
    fs::rename(&ready, directory.join("compute.wasm"))?;
    while !has_run(&client.text(CHECK).await?, &digest)? {
        if start.elapsed() > PATIENCE {
            bail!("{digest} has not run {PATIENCE:?} after it was put there");
        }
        sleep(LOOK).await;
    }
    Ok(start.elapsed())
}

/// Whether the latest run of the check is one of the module with this digest.
fn has_run(check: &str, digest: &str) -> Result<bool> {
    let check: Value = serde_json::from_str(check)?;
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (loaded, started) = (time(&check["module"]["loaded"]), time(&check["history"][0]["started"]));
    Ok(check["module"]["digest"] == digest && started > loaded)
}

/// The module with a custom section that gives it another digest.
pub(super) fn marked(module: &[u8], mark: u8) -> Vec<u8> {
    let section = [0, 3, 1, b'n', mark];
    [module, &section].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_after_loading_counts() {
        let check = |loaded: &str, started: &str| {
            let text = serde_json::json!({
                "module": {"digest": "sha256:a", "loaded": loaded}, "history": [{"started": started}],
            });
            has_run(&text.to_string(), "sha256:a").expect("JSON")
        };
        let (early, late) = ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12Z");
        assert!(check(early, late));
        assert!(!check(late, early));
    }
}
