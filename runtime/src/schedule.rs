//! When is the next run? Pure: the clock is passed in.

mod calendar;

pub use calendar::Calendar;

use crate::{text::quote, value::TimeSpan};
use jiff::Timestamp;
use std::{fmt, sync::Arc, time::Duration};

/// The shortest interval: the epoch ticks of the sandbox are no finer.
pub const SHORTEST: Duration = Duration::from_millis(10);

/// How long the longest backoff may be.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// The most missed times that are counted, so that a clock that leaps forward costs little.
const MOST_MISSED: u64 = 1_000;

/// When a check runs. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often, at least [`SHORTEST`], on the monotonic clock: setting the wall clock changes nothing.
    Interval(Duration),
    /// At times of the wall clock.
    Cron(Arc<Calendar>),
}

/// Both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the daemon started; never goes back.
    pub uptime: Duration,
    /// The time of day.
    pub wall: Timestamp,
}

/// A time to run at, on the clock that its schedule lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// On the monotonic clock.
    Uptime(Duration),
    /// On the wall clock. Whoever sleeps towards it asks [`Schedule::planned_anew`] again at least every minute,
    /// as the wall clock may be set meanwhile.
    Wall {
        /// The time.
        at: Timestamp,
        /// The uptime at which it was to come, as the clock stood when it was planned.
        expected: Duration,
    },
}

/// Why a schedule was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Shorter than [`SHORTEST`].
    #[error("interval is {}: choose at least {}", TimeSpan::from(*.0), TimeSpan::from(SHORTEST))]
    TooShort(Duration),
    /// Not a cron expression; the second part says why.
    #[error("schedule {text} is not a cron expression: {1}", text = quote(.0))]
    NotCron(String, String),
    /// Such a time never comes.
    #[error("impossible schedule {}: no such time ever comes", quote(.0))]
    Never(String),
    /// Neither in the system's time zone database nor in the built-in one.
    #[error("time zone {} is not known: write for example `Europe/Berlin`", quote(.0))]
    UnknownZone(String),
    /// An interval is the same in every time zone.
    #[error("timeZone means nothing to an interval: remove it, or write a cron expression")]
    ZoneWithoutCron,
}

impl Schedule {
    /// Every `interval`, from [`SHORTEST`] up.
    pub fn every(interval: Duration) -> Result<Self, ScheduleError> {
        match interval {
            _ if interval < SHORTEST => Err(ScheduleError::TooShort(interval)),
            _ => Ok(Self::Interval(interval)),
        }
    }

    /// A cron expression of 5 or 6 fields (seconds first), `@hourly` and its like, or `@every 90s`.
    /// The time zone is an IANA name; without one it is UTC.
    pub fn cron(text: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let text = text.trim();
        match (text.strip_prefix("@every "), zone) {
            (Some(_), Some(_)) => Err(ScheduleError::ZoneWithoutCron),
            (Some(interval), None) => interval
                .trim()
                .parse::<TimeSpan>()
                .map_err(|error| ScheduleError::NotCron(text.to_owned(), error.to_string()))
                .and_then(|interval| Self::every(interval.get())),
            (None, zone) => Calendar::parse(text, zone).map(|calendar| Self::Cron(Arc::new(calendar))),
        }
    }

    /// The first due time strictly after `now`. `spread` places the runs of an interval within it, see
    /// [`crate::value::Key::spread`]; a cron expression means the times it says.
    pub fn next(&self, now: Now, spread: u64) -> Due {
        match self {
            Self::Interval(interval) => Due::Uptime(next_multiple(*interval, spread, now.uptime)),
            Self::Cron(calendar) => Due::at(calendar.next(now.wall), now),
        }
    }

    /// The due time to keep after the run for `due` has ended at `now`, and how many others passed since `due`: those
    /// are skipped. At most 1,000 are counted.
    pub fn after(&self, due: Due, now: Now, spread: u64) -> (Due, u64) {
        let late = due.lateness(now);
        match self {
            Self::Interval(interval) => {
                let since = now.uptime.saturating_sub(late);
                let (first, next) = (next_multiple(*interval, spread, since), self.next(now, spread));
                let passed = now.uptime.saturating_sub(first).as_nanos() / interval.as_nanos();
                let missed = if first > now.uptime { 0 } else { passed + 1 };
                (next, u64::try_from(missed).unwrap_or(u64::MAX).min(MOST_MISSED))
            }
            Self::Cron(calendar) => {
                let since = now.wall.checked_sub(late).unwrap_or(Timestamp::MIN);
                let next = match due {
                    Due::Wall { at, .. } => calendar.next_after(at, now.wall),
                    Due::Uptime(_) => calendar.next(now.wall),
                };
                (Due::at(next, now), calendar.count(since, now.wall))
            }
        }
    }

    /// The due time to wait for in the place of `due`, if the wall clock was set back since it was planned.
    pub fn planned_anew(&self, due: Due, now: Now) -> Option<Due> {
        match (self, due) {
            (Self::Cron(calendar), Due::Wall { at, .. }) if calendar.was_set_back(at, now.wall) => {
                Some(Due::at(calendar.next(now.wall), now))
            }
            _ => None,
        }
    }

    /// How long an outcome made at `now` stays fresh: until the third due time after it has passed.
    pub fn fresh_for(&self, now: Now) -> Duration {
        match self {
            Self::Interval(interval) => *interval * 3,
            Self::Cron(calendar) => {
                let third = (0..3).fold(now.wall, |time, _| calendar.next(time));
                between(now.wall, third)
            }
        }
    }

    /// The shortest time between two due times, which a run has to fit into.
    pub fn shortest_gap(&self) -> Duration {
        match self {
            Self::Interval(interval) => *interval,
            Self::Cron(calendar) => calendar.shortest_gap(),
        }
    }
}

impl fmt::Display for Schedule {
    /// `every 30s`, or the cron expression with its time zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(interval) => write!(f, "every {}", TimeSpan::from(*interval)),
            Self::Cron(calendar) => calendar.fmt(f),
        }
    }
}

impl Due {
    /// At a time of the wall clock.
    fn at(at: Timestamp, now: Now) -> Self {
        Self::Wall { at, expected: now.uptime.saturating_add(between(now.wall, at)) }
    }

    /// How long to wait from `now`; zero when the time has come.
    pub fn wait(self, now: Now) -> Duration {
        match self {
            Self::Uptime(due) => due.saturating_sub(now.uptime),
            Self::Wall { at, .. } => between(now.wall, at),
        }
    }

    /// How long the time has passed at `now`; zero when it is still to come. A wall clock that was set forward makes
    /// nothing late.
    pub fn lateness(self, now: Now) -> Duration {
        match self {
            Self::Uptime(due) => now.uptime.saturating_sub(due),
            Self::Wall { at, expected } => between(at, now.wall).min(now.uptime.saturating_sub(expected)),
        }
    }
}

/// How long to wait after so many failures in a row: somewhere below 1 s, 2 s, 4 s … 5 min.
/// `spread` makes checks that failed together try again apart, and the same check always alike.
pub fn backoff(failures: u32, spread: u64) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let ceiling = Duration::from_secs(1 << doublings.min(16)).min(LONGEST_BACKOFF);
    // Fibonacci hashing: the places of successive failures lie far apart.
    let place = spread.wrapping_add(u64::from(failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let nanos = (ceiling.as_nanos() * u128::from(place)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The first `spread % interval + k * interval` strictly after `start`.
fn next_multiple(interval: Duration, spread: u64, start: Duration) -> Duration {
    let (interval, start) = (interval.as_nanos(), start.as_nanos());
    let offset = u128::from(spread) % interval;
    let next = match start.checked_sub(offset) {
        None => offset,
        Some(since) => start - since % interval + interval,
    };
    Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
}

/// From one moment to a later one; zero if it is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
