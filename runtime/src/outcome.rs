//! What a run says: an outcome, or the fault that left none.

use crate::text::{cut_to, printable};
use serde::{Serialize, Serializer};
use std::fmt;

/// How a check, or one of its targets, is doing; ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Pass,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

/// One of the things that a check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Target {
    /// The name of the target, for example a host name; unique within the outcome.
    pub name: String,
    /// How this target is doing.
    pub status: Status,
    /// What was seen, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Facts for programs, as key and value.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Vec<(String, String)>,
}

fn as_object<S: Serializer>(labels: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|(key, value)| (key, value)))
}

/// The answer of one poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Outcome {
    /// The judgement over everything.
    pub status: Status,
    /// What was seen, for people.
    pub message: String,
    /// The things that the check looked at; empty for a check of a single thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

impl Outcome {
    /// An outcome with the status `fail`, this message and no targets.
    pub fn fail(message: impl Into<String>) -> Self {
        Self { status: Status::Fail, message: message.into(), targets: Vec::new() }
    }
}

/// On which side a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The fault lies with the module, and so with its author.
    Guest,
    /// The fault lies with the daemon or the machine, and so with the operator.
    Host,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The guest stopped on an illegal step, such as a panic.
    Trap,
    /// The guest used up its CPU time.
    Cpu,
    /// The guest asked for more memory than it may have.
    Memory,
    /// The guest broke the contract between component and host.
    Protocol,
    /// The guest let its time pass without waiting for the host.
    Timeout,
    /// The manifest cannot be used.
    Manifest,
    /// The module is missing, or is not a check this daemon can run.
    Module,
    /// The module is not signed by one of the keys that the operator trusts.
    Signature,
    /// The machine could not give what the guest needs.
    Resources,
}

impl Blame {
    /// The value of the metric label `blame`: `guest` or `host`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
        }
    }
}

impl Reason {
    /// Every reason, in the order of the discriminants.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::Cpu,
        Self::Memory,
        Self::Protocol,
        Self::Timeout,
        Self::Manifest,
        Self::Module,
        Self::Signature,
        Self::Resources,
    ];

    /// The side on which a fault of this kind lies.
    pub fn blame(self) -> Blame {
        match self {
            Self::Resources => Blame::Host,
            _ => Blame::Guest,
        }
    }

    /// Whether a fault of this kind means that the guest itself broke down.
    /// Running out of time does not count, as a slow machine causes that too.
    pub fn is_breakdown(self) -> bool {
        matches!(self, Self::Trap | Self::Cpu | Self::Memory | Self::Protocol)
    }

    /// The value of the metric label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Manifest => "manifest",
            Self::Module => "module",
            Self::Signature => "signature",
            Self::Resources => "resources",
        }
    }
}

/// The longest message of a fault, in bytes.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// Why no outcome was possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of fault it is.
    pub reason: Reason,
    /// What happened, for people.
    pub message: String,
}

impl Fault {
    /// A fault of this kind. The message may hold what a guest or manifest says. What could move a cursor or
    /// forge a line is escaped, and what is long is cut.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        let message = printable(cut_to(message.as_ref(), LONGEST_MESSAGE)).into_owned();
        Self { reason, message }
    }
}

/// What came of one run: an outcome, or the fault that kept it from having one.
pub type Verdict = Result<Outcome, Fault>;

impl Status {
    /// The status as people and metric labels have it: `pass`, `warn` or `fail`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.label())
    }
}
