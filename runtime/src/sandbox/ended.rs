//! The end of a guest's call.

use crate::outcome::{Fault, Outcome, Verdict};

/// How a call of a guest ended. After `TimedOut` and `Fault` its instance is lost, and can only be dropped.
#[derive(Debug)]
#[must_use]
pub enum Ended<T> {
    /// The guest answered with what was asked for.
    Done(T),
    /// The guest answered with an error of its own.
    Failed(String),
    /// The guest waited for other machines beyond its deadline, which is a failure of what it looks at.
    TimedOut(String),
    /// The guest or the host is at fault.
    Fault(Fault),
}

impl<T> Ended<T> {
    /// The answer, or else a verdict. In that, an error of the guest follows the name of the `step`.
    pub fn done_in(self, step: &str) -> Result<T, Verdict> {
        match self {
            Self::Failed(message) => Err(Ok(Outcome::fail(format!("{step}: {message}")))),
            ended => ended.done(),
        }
    }

    /// The answer, or else a verdict.
    pub fn done(self) -> Result<T, Verdict> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Failed(message) | Self::TimedOut(message) => Err(Ok(Outcome::fail(message))),
            Self::Fault(fault) => Err(Err(fault)),
        }
    }

    /// Whether the guest answered, and so is still live.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }

    /// The same end with another answer, which `make` makes of this one.
    pub(super) fn map<U>(self, make: impl FnOnce(T) -> U) -> Ended<U> {
        match self {
            Self::Done(answer) => Ended::Done(make(answer)),
            Self::Failed(message) => Ended::Failed(message),
            Self::TimedOut(message) => Ended::TimedOut(message),
            Self::Fault(fault) => Ended::Fault(fault),
        }
    }
}

impl From<Ended<Outcome>> for Verdict {
    fn from(ended: Ended<Outcome>) -> Self {
        ended.done().map_or_else(|verdict| verdict, Ok)
    }
}
