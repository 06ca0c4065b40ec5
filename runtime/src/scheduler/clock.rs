//! The daemon's time: uptime for intervals, the wall clock for cron.

use crate::schedule::Now;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Tells the time since the daemon started, which no change of the wall clock can disturb.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since the daemon started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The uptime and the wall clock, read at the same moment.
    pub fn now(&self) -> Now {
        Now { uptime: self.uptime(), wall: Timestamp::now() }
    }

    /// The instant at which the daemon has run for this long.
    pub fn at(&self, uptime: Duration) -> Instant {
        self.started + uptime
    }
}
