//! One check as a reader sees it at one moment.

use super::{Quarantine, health::CheckState};
use crate::{
    history::Run,
    manifest::Check,
    outcome::{Fault, Reason, Status, Verdict},
    signature::KeyId,
    usage::DURATION_BOUNDS,
    value::Digest,
};
use jiff::Timestamp;
use std::sync::Arc;

/// The module that a check runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its file or key.
    pub name: String,
    /// Digest of its decoded bytes.
    pub digest: Digest,
    /// Decoded size in bytes.
    pub size: usize,
    /// Who signed it, if that was asked for.
    pub signer: Option<KeyId>,
    /// The capabilities and other interfaces it imports.
    pub imports: Vec<String>,
    /// When it was loaded.
    pub loaded: Timestamp,
}

/// Numbers that only grow while the check exists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Runs by outcome: pass, warn, fail, unknown.
    pub runs: [u64; 4],
    /// Faults by [`Reason`], as its discriminant.
    pub faults: [u64; Reason::ALL.len()],
    /// Polls that were due while a run was late or under way.
    pub skipped: u64,
    /// Cleanups that did not work, each attempt.
    pub failed_cleanups: u64,
    /// Runs by duration, one more bucket than [`DURATION_BOUNDS`].
    pub durations: [u64; DURATION_BOUNDS.len() + 1],
    /// Seconds that all runs took.
    pub duration_sum: f64,
}

impl Module {
    /// That this module runs, in words.
    pub fn is_live(&self) -> String {
        format!("{} {} is live", self.name, self.digest.short())
    }
}

impl Counts {
    /// Counts a finished run.
    pub(super) fn add(&mut self, run: &Run) {
        let outcome = match run.verdict.as_ref() {
            Ok(outcome) => outcome.status as usize,
            Err(fault) => {
                self.faults[fault.reason as usize] += 1;
                Status::Fail as usize + 1
            }
        };
        self.runs[outcome] += 1;
        let seconds = run.duration.as_secs_f64();
        self.durations[DURATION_BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.duration_sum += seconds;
    }
}

/// One check as a reader sees it at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The manifest in force.
    pub check: Arc<Check>,
    /// Where it stands, staleness and suspension included.
    pub standing: CheckState,
    /// When it came to stand there; for a stale check, when it was last known to stand elsewhere.
    pub since: Timestamp,
    /// Runs in a row without a good outcome.
    pub consecutive_failures: u32,
    /// The latest run that counts.
    pub latest: Option<Run>,
    /// The latest run, if it does not count.
    pub excused: Option<Run>,
    /// When the next run is planned; in the past while it is under way.
    pub next_run: Option<Timestamp>,
    /// Why it does not run sooner.
    pub quarantine: Option<Quarantine>,
    /// It has only just arrived and not run yet: its manifest or module may be still on the way.
    pub settling: bool,
    /// When the latest good run ended.
    pub last_success: Option<Timestamp>,
    /// The module that runs; none was ever good if there is none.
    pub module: Option<Arc<Module>>,
    /// Why the newest manifest or module is not the one that runs.
    pub rejected: Option<Arc<Fault>>,
    /// Numbers that only grow.
    pub counts: Counts,
    /// Linear memory of the guest in bytes.
    pub memory: usize,
}

impl View {
    /// Why the check is not well; empty only if it is.
    pub fn error(&self) -> String {
        match &self.quarantine {
            Some(quarantine) => format!("{}; {quarantine}", self.trouble()),
            None => self.trouble(),
        }
    }

    /// What there is to say about how the check stands: its error, or what its latest run said.
    pub fn words(&self) -> String {
        match self.latest.as_ref().map(|run| &*run.verdict) {
            Some(Ok(outcome)) if self.standing.is_ok() => outcome.message.clone(),
            _ => self.error(),
        }
    }

    fn trouble(&self) -> String {
        match (self.standing, &self.latest, &self.rejected) {
            (standing, ..) if standing.is_ok() => String::new(),
            (CheckState::Stale, ..) => "has not run for three intervals".to_owned(),
            (_, Some(run), _) => match run.verdict.as_ref() {
                Ok(outcome) if outcome.status != Status::Fail => {
                    "works again, but not yet as often in a row as `successThreshold` asks for".to_owned()
                }
                verdict => message(verdict),
            },
            (_, None, Some(fault)) => fault.message.clone(),
            (_, None, None) => match &self.excused {
                Some(run) => format!("not well within its startupGrace: {}", message(&run.verdict)),
                None => "has not run yet".to_owned(),
            },
        }
    }
}

fn message(verdict: &Verdict) -> String {
    match verdict {
        Ok(outcome) if outcome.message.is_empty() => "failed without a message".to_owned(),
        Ok(outcome) => outcome.message.clone(),
        Err(fault) => fault.message.clone(),
    }
}
