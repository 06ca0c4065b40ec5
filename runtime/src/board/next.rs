//! The plan for the next run of a check.

use jiff::Timestamp;
use std::fmt;
use tokio::time::Instant;

/// The plan for the next run of a check.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    /// When the next run is planned.
    pub run: Timestamp,
    /// The moment from which the check is stale, unless it runs before.
    pub fresh_until: Instant,
    /// The quarantine that delays the next run, if there is one.
    pub quarantine: Option<Quarantine>,
}

/// The pause of a check whose guest broke down again and again.
#[derive(Clone, Copy, Debug)]
pub struct Quarantine {
    /// How many times in a row the guest broke down.
    pub breakdowns: u32,
    /// When the next round begins by itself.
    pub until: Timestamp,
    /// When a round may begin on demand.
    pub demand_from: Instant,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(out, "quarantined until {until} after {} faults in a row", self.breakdowns)
    }
}
