//! `aviary check`: runs one full round of a check here and now.

use super::{
    Compiling,
    module::{Found, LARGEST_MODULE, Signatures, Subject, read, sandbox},
    print::print,
};
use crate::{
    cluster::Cluster,
    ledger::Ledger,
    outcome::{Status, Verdict},
    sandbox::{Ended, Round, Version},
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

impl Check {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let found = read(&self.file, LARGEST_MODULE).and_then(|found| self.choose(found));
        let mut subject = found.with_context(|| self.file.display().to_string())?;
        if let Some(settings) = &self.settings {
            let settings: Map<String, Value> =
                serde_json::from_str(settings).context("--settings takes a JSON object")?;
            let program = Arc::make_mut(&mut subject.check.program);
            program.settings = Value::from(settings).to_string().into();
        }
        let leftovers = Arc::<Leftovers>::default();
        let cluster = Cluster::find(self.kubeconfig.as_deref()).await?;
        let ledger = cluster.map(|cluster| Ledger::fleeting(Arc::new(cluster), Arc::clone(&leftovers)));
        let sandbox = sandbox(&self.compiling, ledger.clone())?;
        let begun = Instant::now();
        let (check, guest) = subject.load(&self.signatures.keyring(), &sandbox).await?;
        print(format_args!("check    {} ({} {})", check.key, check.program.module, guest.digest.short()));
        step("compile", begun.elapsed(), "done");
        let usage = Arc::new(Usage::new(check.key.clone(), &check.program.limits));
        let guest = sandbox.house(guest, &check.program)?;
        let (sandbox, program) = (Arc::new(sandbox), check.program);
        let version = Version { sandbox, guest, program, usage: Arc::clone(&usage) };
        let mut round = Round::new(version).recorded();
        let verdict = run(&mut round).await;
        for call in round.take_calls() {
            print(format_args!(
                "call     {:>9}  {} {}: {}",
                took(call.duration),
                call.capability.name(),
                call.target,
                call.result.label()
            ));
        }
        for (limit, hits) in usage.hits.all() {
            print(format_args!("limit    {hits:>9}  times {}", limit.path()));
        }
        let code = report(&verdict);
        match ledger {
            Some(ledger) => sweep(&ledger, &leftovers).await.map(|()| code),
            None => Ok(code),
        }
    }

    /// The only check that was found, or the one that is wanted. What is wrong with the others does not
    /// matter.
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

/// Runs init, one poll and cleanup, and prints how long each took.
async fn run(round: &mut Round) -> Verdict {
    let begun = Instant::now();
    let ended = round.init().await;
    if let (Ended::Fault(fault), false) = (&ended, round.has_begun()) {
        return Err(fault.clone());
    }
    step("init", begun.elapsed(), &told(&ended));
    let verdict = match ended.done_in("init") {
        Ok(()) => poll(round).await,
        Err(verdict) => verdict,
    };
    let begun = Instant::now();
    let ended = round.cleanup().await;
    step("cleanup", begun.elapsed(), &told(&ended));
    match ended.done_in("cleanup") {
        Err(failure) if verdict.as_ref().is_ok_and(|outcome| outcome.status != Status::Fail) => failure,
        _ => verdict,
    }
}

async fn poll(round: &mut Round) -> Verdict {
    let begun = Instant::now();
    let ended = round.poll(begun + round.version().program.timeout, 0).await;
    step("poll", begun.elapsed(), if ended.is_answered() { "done" } else { "lost" });
    ended.into()
}

/// Deletes what the check left behind in the cluster. An error if something is still there in the end.
async fn sweep(ledger: &Arc<Ledger>, leftovers: &Leftovers) -> Result<()> {
    if !ledger.settle(Instant::now() + SWEEPING).await {
        let left: Vec<_> =
            leftovers.all().iter().map(|(key, count)| format!("{count} objects of {key}")).collect();
        bail!("the check left behind what cannot be deleted: {}", left.join(", "));
    }
    Ok(())
}

fn told(ended: &Ended<()>) -> String {
    match ended {
        Ended::Done(()) => "done".to_owned(),
        Ended::Failed(message) => message.clone(),
        Ended::TimedOut(_) | Ended::Fault(_) => "lost".to_owned(),
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
