//! Metrics that the check itself makes, served as `aviary_custom_<name>`. Needs no grant.
//!
//! ```no_run
//! use aviary_guest::metrics::Metric;
//!
//! # fn main() -> Result<(), String> {
//! Metric::new("queue_length", "Messages that wait.").label("queue", "mail").gauge(12.0)?;
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Display, Formatter};

pub use crate::bindings::aviary::check::metrics::Metric;

use crate::bindings::aviary::check::metrics as raw;

impl Metric {
    /// A metric without labels. The name matches `[a-z_][a-z0-9_]*`.
    pub fn new(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), help: help.into(), labels: Vec::new() }
    }

    /// Adds a label, which tells the series from others of the metric.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Sets the gauge to a finite value.
    pub fn gauge(&self, value: f64) -> Result<(), Error> {
        Ok(raw::gauge(self, value)?)
    }

    /// Adds `by` to the counter, which is finite and not negative.
    pub fn counter(&self, by: f64) -> Result<(), Error> {
        Ok(raw::counter(self, by)?)
    }

    /// Observes a value in the histogram. The first call for a name fixes its bucket bounds, which ascend. An
    /// empty list stands for the bounds of `aviary_check_duration_seconds`.
    pub fn histogram(&self, value: f64, bounds: &[f64]) -> Result<(), Error> {
        Ok(raw::histogram(self, value, bounds)?)
    }
}

/// Why a value was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The name, a label or the value breaks a rule, which the text names.
    Invalid(String),
    /// The name stands for another kind of metric already.
    Conflict,
    /// The check has as many series as it may have.
    TooManySeries,
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Conflict => Self::Conflict,
            raw::Error::TooManySeries => Self::TooManySeries,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "the metric was refused: {reason}"),
            Self::Conflict => f.write_str("the metric's name already stands for another kind of metric"),
            Self::TooManySeries => f.write_str("the check has as many metric series as it may have"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}
