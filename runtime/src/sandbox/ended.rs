//! How a call of a guest ended.

use crate::outcome::{Fault, Outcome, Verdict};

/// How a call of a guest ended. After `TimedOut` and `Fault` its instance is lost, and only dropping it is left.
#[derive(Debug)]
#[must_use]
pub enum Ended<T> {
    /// The guest has answered.
    Done(T),
    /// The guest has answered with an error of its own.
    Failed(String),
    /// The guest waited on the world beyond its deadline, which is a failure of what it looks at.
    TimedOut(String),
    /// The guest or the host is at fault.
    Fault(Fault),
}

impl<T> Ended<T> {
    /// The answer; what else happened as a verdict, in which an error of the guest follows the name of the `step`.
    pub fn done_in(self, step: &str) -> Result<T, Verdict> {
        match self {
            Self::Failed(message) => Err(Ok(Outcome::fail(format!("{step}: {message}")))),
            ended => ended.done(),
        }
    }

    /// The answer; what else happened as a verdict.
    pub fn done(self) -> Result<T, Verdict> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Failed(message) | Self::TimedOut(message) => Err(Ok(Outcome::fail(message))),
            Self::Fault(fault) => Err(Err(fault)),
        }
    }

    /// Whether the guest has answered, and so is live.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }

    /// The same about something made of the answer.
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
