//! What a Store costs, in this process and on one thread.

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
/// Fresh Stores, each measured alone.
const STORES: usize = 5_000;
/// Warm polls are too short for the clock: measured by so many at a time.
const POLLS: u32 = 1_000;
const BATCHES: usize = 200;

/// The guest says the same in each poll, as that of the spike did that the targets come from.
const STEADY: &str = r#"{"steady": true}"#;
/// It formats what it logs and says, as checks do.
const TALKATIVE: &str = "{}";

/// A guest and the check it stands for. It writes one line to its log in each call, to which
/// nobody listens here.
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
        let check = Check::bare(Key::new("bench", "counts")?, "counts.wasm".parse()?);
        let check = Arc::new(Check { settings: settings.into(), ..check });
        let entry = Board::default().enter(&check, &Arc::new(Origin::File("counts.yaml".into())));
        Ok(Self { sandbox, guest, check, entry })
    }

    async fn live(&self) -> Result<Instance> {
        let (check, usage) = (Arc::clone(&self.check), Arc::clone(&self.entry.usage));
        let mut instance =
            Instance::new(&self.sandbox, &self.guest, check, usage, false).await.map_err(fault)?;
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
            // The scheduler has the time of a run at hand already.
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
