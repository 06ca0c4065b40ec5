//! Rows about a gallery of hostile guests: what it does to the daemon and to its honest checks.

use super::{Bench, runtime};
use crate::{
    client::Client,
    daemon::{Server, free_address, start},
    figure::{Figure, millis},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{fmt::Write as _, fs, path::Path, time::Duration};
use tempfile::TempDir;
use test_guests::{Crime, End, GALLERY};
use tokio::time::{Instant, sleep};

const HOSTILE: usize = 200;
pub(super) const HONEST: usize = 100;
/// How long it takes until every crime has been committed and its guest is in quarantine.
const WARM_UP: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

const LATENESS_TARGET: Duration = Duration::from_millis(50);
const HEALTH_TARGET: Duration = Duration::from_millis(100);
/// The most megabytes of resident memory.
const MEMORY_TARGET: f64 = 400.0;
const GROWTH_TARGET: f64 = 16.0;

/// Measures all rows of the soak on one daemon.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let checks = TempDir::with_prefix("aviary-bench-")?;
        write_honest(checks.path(), &bench.checks)?;
        write_hostile(checks.path())?;
        let daemon = start(&bench.daemon, free_address()?, checks).await?;
        eprintln!("  {HOSTILE} hostile and {HONEST} honest checks: warming up …");
        sleep(WARM_UP).await;
        let before = megabytes(&daemon)?;
        eprintln!("  watching for {WATCHED:?} …");
        let mut answers = health(&daemon).await?;
        let after = megabytes(&daemon)?;
        let mut late = lateness(&daemon).await?;
        let wrong = unblamed(&daemon).await?;
        let (late, answer) = (p99(&mut late), p99(&mut answers));
        let is_flat = after <= MEMORY_TARGET && after - before <= GROWTH_TARGET;
        let blamed = if wrong.is_empty() { "all".to_owned() } else { format!("not {}", wrong.join(", ")) };
        Ok(vec![
            Figure::new(
                "soak-lateness",
                format!("p99 {}", millis(late)),
                "p99 ≤ 50 ms",
                late <= LATENESS_TARGET,
            ),
            Figure::new(
                "soak-health",
                format!("p99 {}", millis(answer)),
                "p99 ≤ 100 ms",
                answer <= HEALTH_TARGET,
            ),
            Figure::new(
                "soak-memory",
                format!("{after:.0} MB, {:+.1} MB in {WATCHED:?}", after - before),
                format!("≤ {MEMORY_TARGET} MB, ≤ +{GROWTH_TARGET} MB"),
                is_flat,
            ),
            Figure::new("soak-blame", blamed, "all", wrong.is_empty()),
        ])
    })
}

pub(super) fn write_honest(directory: &Path, checks: &Path) -> Result<()> {
    fs::copy(checks.join("compute.wasm"), directory.join("compute.wasm"))
        .context("cannot copy compute.wasm")?;
    let spec = "module: compute.wasm, interval: 1s, settings: { number: 1 }";
    let documents: String = (0..HONEST)
        .map(|number| document(&format!("honest-{number}"), &format!("spec: {{ {spec} }}\n")))
        .collect();
    fs::write(directory.join("honest.yaml"), documents).context("cannot write the honest checks")
}

fn write_hostile(directory: &Path) -> Result<()> {
    for crime in GALLERY {
        let copied = fs::copy(crime.path, directory.join(module(crime)));
        copied.with_context(|| format!("cannot copy {}", crime.path))?;
    }
    let documents: Result<String> = crimes()
        .map(|(name, crime)| {
            let mut spec = format!("spec:\n  module: {}\n  interval: 5s\n  ttl: 10s\n", module(crime));
            for line in crime.spec {
                writeln!(spec, "  {line}")?;
            }
            Ok(document(&name, &spec))
        })
        .collect();
    fs::write(directory.join("hostile.yaml"), documents?).context("cannot write the hostile checks")
}

/// The names and crimes of the hostile checks, which repeat the gallery without an end.
fn crimes() -> impl Iterator<Item = (String, &'static Crime)> {
    let crimes = GALLERY.iter().cycle().take(HOSTILE).enumerate();
    crimes.map(|(number, crime)| (format!("hostile-{number}"), crime))
}

fn module(crime: &Crime) -> String {
    format!("{}.wasm", crime.name.to_lowercase())
}

fn document(name: &str, spec: &str) -> String {
    format!("---\napiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {name} }}\n{spec}")
}

fn megabytes(daemon: &Server) -> Result<f64> {
    Ok(daemon.memory()?.resident as f64 / 1e6)
}

/// The times that `/health` takes, asked again and again.
async fn health(daemon: &Server) -> Result<Vec<Duration>> {
    let (end, mut times) = (Instant::now() + WATCHED, Vec::new());
    let mut client = daemon.client().await?;
    while Instant::now() < end {
        let begun = Instant::now();
        client.get("/health").await?;
        times.push(begun.elapsed());
        sleep(LOOK).await;
    }
    Ok(times)
}

/// How much later than due each run of each honest check began.
pub(super) async fn lateness(daemon: &Server) -> Result<Vec<Duration>> {
    let (mut client, mut late) = (daemon.client().await?, Vec::new());
    for number in 0..HONEST {
        let facts = detail(&mut client, &format!("honest-{number}")).await?;
        let due = second(&facts["nextRun"]).context("a check is due at some time")?;
        let history = facts["history"].as_array().context("a check has a history")?;
        // The first run after a load does not begin at a fixed time of the interval.
        for run in &history[..history.len().saturating_sub(1)] {
            let begun = second(&run["started"]).context("a run says when it began")?;
            late.push(Duration::from_secs_f64((begun - due).rem_euclid(1.0)));
        }
    }
    Ok(late)
}

/// The seconds since the start of the minute, in a time such as `2026-11-21T12:00:07.25Z`.
fn second(time: &Value) -> Option<f64> {
    time.as_str()?.strip_suffix('Z')?.rsplit(':').next()?.parse().ok()
}

/// The names of checks that show their crime neither in their error nor in their history.
async fn unblamed(daemon: &Server) -> Result<Vec<String>> {
    let (mut client, mut wrong) = (daemon.client().await?, Vec::new());
    for (name, crime) in crimes() {
        let facts = detail(&mut client, &name).await?;
        let mut words = Vec::new();
        collect(&facts, &mut words);
        let is_told = match crime.end {
            End::Outcome { says } => words.iter().any(|word| word.contains(says)),
            End::Fault { reason, says } => {
                words.contains(&reason)
                    && words.contains(&"guest")
                    && words.iter().any(|word| word.contains(says))
            }
        };
        if !is_told && !wrong.iter().any(|known| known == crime.name) {
            wrong.push(crime.name.to_owned());
        }
    }
    Ok(wrong)
}

fn collect<'a>(value: &'a Value, words: &mut Vec<&'a str>) {
    match value {
        Value::String(word) => words.push(word),
        Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, words)),
        _ => {}
    }
}

pub(super) async fn detail(client: &mut Client, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&client.text(&format!("/api/v1/checks/default/{name}")).await?)?)
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_in_a_minute_is_read_from_a_time() {
        assert_eq!(second(&Value::from("2026-11-21T12:00:07.25Z")), Some(7.25));
        assert_eq!(second(&Value::Null), None);
    }

    #[test]
    fn words_are_found_however_deep_they_stand() {
        let facts = serde_json::json!({ "a": [{ "b": "x" }, "y"], "c": 1 });
        let mut words = Vec::new();
        collect(&facts, &mut words);
        assert_eq!(words, ["x", "y"]);
    }
}
