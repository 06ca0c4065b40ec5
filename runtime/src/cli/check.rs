//! `aviary check`: one full round, here and now.

use super::{
    Compiling,
    module::{Found, LARGEST_MODULE, Signatures, Subject, read, sandbox},
    print::print,
};
use crate::{
    capability::calls::Call,
    cluster::Cluster,
    ledger::Ledger,
    manifest::Check as Manifest,
    outcome::{Fault, Outcome, Status, Verdict},
    sandbox::{Guest, Instance, Lost, Sandbox},
    usage::{Leftovers, Usage},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value};
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Run one full round of a check here and now: init, poll, cleanup.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// A manifest with its module beside it, or a module alone.
    file: PathBuf,
    /// Settings as JSON, instead of the manifest's.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Of a manifest with several checks, the one to run, as `name` or `namespace/name`.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The cluster for checks that use one; in a pod, its own cluster unless this names another.
    #[arg(long, value_name = "FILE", env = "AVIARY_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    signatures: Signatures,
    #[command(flatten)]
    compiling: Compiling,
}

/// How long it may take to delete what the check left behind in the cluster.
const SWEEPING: Duration = Duration::from_secs(30);

/// A round in progress: its guest and how long each step took.
struct Round<'a> {
    sandbox: &'a Sandbox,
    guest: Arc<Guest>,
    check: Arc<Manifest>,
    usage: Arc<Usage>,
    calls: Vec<Call>,
}

impl Check {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let found = read(&self.file, LARGEST_MODULE).and_then(|found| self.choose(found));
        let mut subject = found.with_context(|| self.file.display().to_string())?;
        if let Some(settings) = &self.settings {
            let settings: Map<String, Value> =
                serde_json::from_str(settings).context("--settings takes a JSON object")?;
            subject.check.settings = Value::from(settings).to_string().into();
        }
        let leftovers = Arc::<Leftovers>::default();
        let cluster = Cluster::find(self.kubeconfig.as_deref()).await?;
        let ledger = cluster.map(|cluster| Ledger::fleeting(Arc::new(cluster), Arc::clone(&leftovers)));
        let sandbox = sandbox(&self.compiling, ledger.clone())?;
        let begun = Instant::now();
        let (check, guest) = subject.load(&self.signatures.keyring(), &sandbox).await?;
        print(format_args!("check    {} ({} {})", check.key, check.module, guest.digest.short()));
        step("compile", begun.elapsed(), "done");
        let usage = Arc::new(Usage::new(check.key.clone(), &check.limits));
        let mut round = Round { sandbox: &sandbox, guest, check: Arc::new(check), usage, calls: Vec::new() };
        let verdict = round.run().await;
        for call in &round.calls {
            print(format_args!(
                "call     {:>9}  {} {}: {}",
                took(call.duration),
                call.capability.name(),
                call.target,
                call.result.label()
            ));
        }
        for (limit, hits) in round.usage.hits.all() {
            print(format_args!("limit    {hits:>9}  times {}", limit.path()));
        }
        let code = report(&verdict);
        match ledger {
            Some(ledger) => sweep(&ledger, &leftovers).await.map(|()| code),
            None => Ok(code),
        }
    }

    /// The only check, or the one that is wanted; what is wrong with the others does not matter.
    fn choose(&self, found: Vec<Found>) -> Result<Subject> {
        let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
        let wanted = |name: &str| match &self.only {
            Some(only) => name == only || name.split_once('/').is_some_and(|(_, name)| name == only),
            None => true,
        };
        let mut chosen: Vec<_> = found.into_iter().filter(|(name, _)| wanted(name)).collect();
        match (chosen.pop(), chosen.len()) {
            (Some((_, subject)), 0) => subject,
            (None, _) => bail!("it holds no such check, but {}", names.join(", ")),
            (Some(_), _) => bail!("choose one with --only: {}", names.join(", ")),
        }
    }
}

impl Round<'_> {
    async fn run(&mut self) -> Verdict {
        let mut instance = self.live().await?;
        let begun = Instant::now();
        let ended = instance.init().await;
        step("init", begun.elapsed(), &told(&ended));
        let mut verdict = match ended {
            Ok(Ok(())) => {
                let begun = Instant::now();
                let ended = instance.poll(begun + self.check.timeout).await;
                step("poll", begun.elapsed(), if ended.is_ok() { "done" } else { "lost" });
                ended.map_or_else(|lost| (lost.into(), true), |outcome| (Ok(outcome), false))
            }
            Ok(Err(message)) => (Ok(Outcome::fail(format!("init: {message}"))), false),
            Err(lost) => (lost.into(), true),
        };
        self.calls.extend(instance.take_calls());
        if verdict.1 {
            instance = self.live().await?;
        }
        let begun = Instant::now();
        let ended = instance.cleanup().await;
        step("cleanup", begun.elapsed(), &told(&ended));
        self.calls.extend(instance.take_calls());
        if verdict.0.as_ref().is_ok_and(|outcome| outcome.status != Status::Fail) {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(message)) => verdict.0 = Ok(Outcome::fail(format!("cleanup: {message}"))),
                Err(lost) => verdict.0 = lost.into(),
            }
        }
        verdict.0
    }

    async fn live(&self) -> Result<Instance, Fault> {
        let (check, usage) = (Arc::clone(&self.check), Arc::clone(&self.usage));
        Instance::new(self.sandbox, &self.guest, check, usage, true).await
    }
}

/// Deletes what the check left behind.
async fn sweep(ledger: &Arc<Ledger>, leftovers: &Leftovers) -> Result<()> {
    if !ledger.settle(Instant::now() + SWEEPING).await {
        let left: Vec<_> =
            leftovers.all().iter().map(|(key, count)| format!("{count} objects of {key}")).collect();
        bail!("the check left behind what cannot be deleted: {}", left.join(", "));
    }
    Ok(())
}

fn told(ended: &Result<Result<(), String>, Lost>) -> String {
    match ended {
        Ok(Ok(())) => "done".to_owned(),
        Ok(Err(message)) => message.clone(),
        Err(_) => "lost".to_owned(),
    }
}

fn step(name: &str, duration: Duration, how: &str) {
    print(format_args!("{name:<8} {:>9}  {how}", took(duration)));
}

fn took(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}

fn report(verdict: &Verdict) -> ExitCode {
    match verdict {
        Ok(outcome) => {
            print(format_args!("\n{}: {}", outcome.status, outcome.message));
            for target in &outcome.targets {
                print(format_args!("  {} {}: {}", target.status, target.name, target.message));
            }
            ExitCode::from(u8::from(outcome.status == Status::Fail))
        }
        Err(fault) => {
            let (blame, reason) = (fault.reason.blame().label(), fault.reason.label());
            print(format_args!("\nunknown: {} (blame: {blame}, reason: {reason})", fault.message));
            ExitCode::from(2)
        }
    }
}
