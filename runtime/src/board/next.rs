//! When a check runs next.

use jiff::Timestamp;
use std::fmt;
use tokio::time::Instant;

/// When a check runs next.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    /// When it is planned.
    pub run: Timestamp,
    /// Without a run before this, the check is stale.
    pub fresh_until: Instant,
    /// Why it is not sooner.
    pub quarantine: Option<Quarantine>,
}

/// The rest of a check whose guest broke down again and again.
#[derive(Clone, Copy, Debug)]
pub struct Quarantine {
    /// Breakdowns in a row.
    pub breakdowns: u32,
    /// When it is tried again.
    pub until: Timestamp,
    /// When it can be tried on demand.
    pub demand_from: Instant,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(out, "quarantined until {until} after {} faults in a row", self.breakdowns)
    }
}
