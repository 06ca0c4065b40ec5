//! Rows about the cost of a store, in this process and on one thread.

use super::{Bench, runtime};
use crate::figure::{Figure, median, micros};
use anyhow::{Context, Result, anyhow, ensure};
use aviary::{
    board::{Board, Entry},
    capability::dial::{Network, NetworkOptions},
    manifest::Check,
    outcome::{Fault, Status, Verdict},
    sandbox::{Guest, Instance, Sandbox},
    signature::Keyring,
    value::{Blob, Key, Origin},
};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

const FRESH_TARGET: Duration = Duration::from_micros(40);
const WARM_TARGET: Duration = Duration::from_micros(1);
/// The number of fresh stores, each measured alone.
const STORES: usize = 5_000;
/// The number of warm polls that are measured at a time, as one is too short for the clock.
const POLLS: u32 = 1_000;
const BATCHES: usize = 200;

/// Settings with which the guest says the same in each poll, as did the guest from which the targets come.
const STEADY: &str = r#"{"steady": true}"#;
/// Settings with which the guest formats what it logs and says, as checks do.
const TALKATIVE: &str = "{}";

/// A guest and the check that it runs for. It writes one line to its log in each call, which nobody reads
/// here.
struct Subject {
    sandbox: Sandbox,
    guest: Arc<Guest>,
    check: Arc<Check>,
    entry: Arc<Entry>,
}

/// Measures `fresh-store` and `warm-poll`.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    runtime()?.block_on(async {
        let steady = Subject::load(bench, STEADY).await?;
        let talkative = Subject::load(bench, TALKATIVE).await?;
        let measured = |steady, talkative| {
            format!("{}; {} with texts that are formatted", micros(steady), micros(talkative))
        };
        let fresh = (steady.fresh_stores().await?, talkative.fresh_stores().await?);
        let warm = (steady.warm_polls().await?, talkative.warm_polls().await?);
        Ok(vec![
            Figure::new("fresh-store", measured(fresh.0, fresh.1), "≤ 40 µs", fresh.0 <= FRESH_TARGET),
            Figure::new("warm-poll", measured(warm.0, warm.1), "≤ 1 µs", warm.0 <= WARM_TARGET),
        ])
    })
}

impl Subject {
    async fn load(bench: &Bench, settings: &str) -> Result<Self> {
        let network = Arc::new(Network::new(&NetworkOptions::default())?);
        let sandbox = Sandbox::new(16, bench.compiler(), network, None).map_err(anyhow::Error::from)?;
        let guest = bench.guests.join("counts.wasm");
        let bytes = fs::read(&guest).with_context(|| format!("cannot read {}", guest.display()))?;
        let module = Keyring::default().admit("the guest", Blob::of(bytes), None).await?;
        let guest = sandbox.load("the guest", module).await.map_err(fault)?;
        let mut check = Check::bare(Key::new("bench", "counts")?, "counts.wasm".parse()?);
        Arc::make_mut(&mut check.program).settings = settings.into();
        let check = Arc::new(check);
        let entry = Board::default().enter(&check, &Arc::new(Origin::File("counts.yaml".into())));
        Ok(Self { sandbox, guest, check, entry })
    }

    async fn live(&self) -> Result<Instance> {
        let (program, usage) = (Arc::clone(&self.check.program), Arc::clone(&self.entry.usage));
        let mut instance =
            Instance::new(&self.sandbox, &self.guest, program, usage, false).await.map_err(fault)?;
        instance.init().await.done().map_err(|verdict| describe(&verdict))?;
        Ok(instance)
    }

    async fn fresh_stores(&self) -> Result<Duration> {
        let mut times = Vec::with_capacity(STORES);
        for _ in 0..STORES {
            let start = Instant::now();
            let mut instance = self.live().await?;
            poll(&mut instance, deadline()).await?;
            instance.cleanup().await.done().map_err(|verdict| describe(&verdict))?;
            drop(instance);
            times.push(start.elapsed());
        }
        Ok(median(times))
    }

    async fn warm_polls(&self) -> Result<Duration> {
        let mut instance = self.live().await?;
        let mut times = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            // The scheduler knows the time of a run already, so it is not measured.
            let deadline = deadline();
            let start = Instant::now();
            for _ in 0..POLLS {
                poll(&mut instance, deadline).await?;
            }
            times.push(start.elapsed() / POLLS);
        }
        Ok(median(times))
    }
}

fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(10)
}

async fn poll(instance: &mut Instance, deadline: tokio::time::Instant) -> Result<()> {
    let outcome = instance.poll(deadline).await.done().map_err(|verdict| describe(&verdict))?;
    ensure!(outcome.status == Status::Pass, "the check fails: {}", outcome.message);
    Ok(())
}

fn fault(fault: Fault) -> anyhow::Error {
    anyhow!(fault.message)
}

fn describe(verdict: &Verdict) -> anyhow::Error {
    anyhow!("{verdict:?}")
}
