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
    /// The name of the module's file, or of its key in a ConfigMap.
    pub name: String,
    /// The digest of the decoded module.
    pub digest: Digest,
    /// The size of the decoded module in bytes.
    pub size: usize,
    /// The key that signed the module; none if no signature was asked for.
    pub signer: Option<KeyId>,
    /// The names of the capabilities and other interfaces that the module imports.
    pub imports: Vec<String>,
    /// When the module was loaded.
    pub loaded: Timestamp,
}

/// Counters of one check, which only grow while it exists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The number of runs by outcome: pass, warn, fail, unknown.
    pub runs: [u64; 4],
    /// The number of faults by the discriminant of their [`Reason`].
    pub faults: [u64; Reason::ALL.len()],
    /// The number of polls that were due while a run was late or under way.
    pub skipped: u64,
    /// The number of attempts at a cleanup that failed.
    pub failed_cleanups: u64,
    /// The number of runs by duration, in one more bucket than [`DURATION_BOUNDS`].
    pub durations: [u64; DURATION_BOUNDS.len() + 1],
    /// The duration of all runs together, in seconds.
    pub duration_sum: f64,
}

impl Module {
    /// The words which say that this module runs now.
    pub fn is_live(&self) -> String {
        format!("{} {} is live", self.name, self.digest.short())
    }
}

impl Counts {
    /// Counts a run that has finished.
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
    /// The check by the manifest in force.
    pub check: Arc<Check>,
    /// The state of the check, staleness and suspension included.
    pub standing: CheckState,
    /// When the check got this state; for a stale check, when it was last known to have another one.
    pub since: Timestamp,
    /// How many runs in a row had no good outcome.
    pub consecutive_failures: u32,
    /// The latest run that counts; none before the first one.
    pub latest: Option<Run>,
    /// The latest run, if it does not count.
    pub excused: Option<Run>,
    /// When the next run is planned; in the past while it is under way.
    pub next_run: Option<Timestamp>,
    /// The quarantine that delays the next run, if there is one.
    pub quarantine: Option<Quarantine>,
    /// Whether the check has only just arrived and not run yet. Its manifest or module may still be on the
    /// way.
    pub settling: bool,
    /// When the latest good run ended; none before the first one.
    pub last_success: Option<Timestamp>,
    /// The module that runs; none if no module was ever good.
    pub module: Option<Arc<Module>>,
    /// Why the newest manifest or module is refused; none if it runs.
    pub rejected: Option<Arc<Fault>>,
    /// The counters of the check.
    pub counts: Counts,
    /// How many bytes of linear memory the guest holds.
    pub memory: usize,
}

impl View {
    /// Why the check is not well; empty only if it is well.
    pub fn error(&self) -> String {
        match &self.quarantine {
            Some(quarantine) => format!("{}; {quarantine}", self.trouble()),
            None => self.trouble(),
        }
    }

    /// The explanation of the check's state: its error, or else what its latest run said.
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
