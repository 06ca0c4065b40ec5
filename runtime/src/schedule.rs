//! When a check runs next. Pure: the clock is passed in.

mod calendar;

pub use calendar::Calendar;

use crate::{text::quote, value::TimeSpan};
use jiff::Timestamp;
use std::{fmt, sync::Arc, time::Duration};

/// The shortest interval of a check: the epoch ticks of the sandbox are no finer.
pub const SHORTEST: Duration = Duration::from_millis(10);

/// The longest pause of a backoff.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// The most missed times that are counted, so that a clock that leaps forward costs little.
const MOST_MISSED: u64 = 1_000;

/// When a check runs. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The check runs at an interval of at least [`SHORTEST`], on the monotonic clock: setting the wall clock
    /// changes nothing.
    Interval(Duration),
    /// The check runs at times of the wall clock.
    Cron(Arc<Calendar>),
}

/// Both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time since the daemon started, which never goes back.
    pub uptime: Duration,
    /// The time of the wall clock.
    pub wall: Timestamp,
}

/// The time of a run, on the clock of its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The uptime of the daemon at which to run.
    Uptime(Duration),
    /// A time of the wall clock at which to run. The wall clock may be set meanwhile. So whoever sleeps until
    /// then asks [`Schedule::planned_anew`] again at least every minute.
    Wall {
        /// The time at which to run.
        at: Timestamp,
        /// The uptime at which `at` will have come, as the clock stood when it was planned.
        expected: Duration,
    },
}

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The interval is shorter than [`SHORTEST`].
    #[error("interval is {}: choose at least {}", TimeSpan::from(*.0), TimeSpan::from(SHORTEST))]
    TooShort(Duration),
    /// The text is not a cron expression; the second part says why.
    #[error("schedule {text} is not a cron expression: {1}", text = quote(.0))]
    NotCron(String, String),
    /// The cron expression means a time that never comes.
    #[error("impossible schedule {}: no such time ever comes", quote(.0))]
    Never(String),
    /// The time zone is neither in the system's database nor in the built-in one.
    #[error("time zone {} is not known: write for example `Europe/Berlin`", quote(.0))]
    UnknownZone(String),
    /// A time zone is given for an interval, which is the same in every time zone.
    #[error("timeZone means nothing to an interval: remove it, or write a cron expression")]
    ZoneWithoutCron,
}

impl Schedule {
    /// A schedule that runs every `interval`, which is at least [`SHORTEST`].
    pub fn every(interval: Duration) -> Result<Self, ScheduleError> {
        match interval {
            _ if interval < SHORTEST => Err(ScheduleError::TooShort(interval)),
            _ => Ok(Self::Interval(interval)),
        }
    }

    /// A schedule from a cron expression of 5 or 6 fields (seconds first), `@hourly` and its like, or `@every
    /// 90s`.
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
    /// [`crate::value::Key::spread`]. A cron expression means the very times it says.
    pub fn next(&self, now: Now, spread: u64) -> Due {
        match self {
            Self::Interval(interval) => Due::Uptime(next_multiple(*interval, spread, now.uptime)),
            Self::Cron(calendar) => Due::at(calendar.next(now.wall), now),
        }
    }

    /// The due time that follows the run for `due`, which ended at `now`; and how many due times it missed.
    /// These lie between `due` and `now` and are skipped. At most 1,000 are counted.
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

    /// The due time to wait for instead of `due`, if the wall clock was set back since `due` was planned.
    pub fn planned_anew(&self, due: Due, now: Now) -> Option<Due> {
        match (self, due) {
            (Self::Cron(calendar), Due::Wall { at, .. }) if calendar.was_set_back(at, now.wall) => {
                Some(Due::at(calendar.next(now.wall), now))
            }
            _ => None,
        }
    }

    /// How long an outcome made at `now` stays fresh: until the third due time after `now` has passed.
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
    /// Writes `every 30s`, or the cron expression with its time zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(interval) => write!(f, "every {}", TimeSpan::from(*interval)),
            Self::Cron(calendar) => calendar.fmt(f),
        }
    }
}

impl Due {
    /// The due time `at` of the wall clock, planned at `now`.
    fn at(at: Timestamp, now: Now) -> Self {
        Self::Wall { at, expected: now.uptime.saturating_add(between(now.wall, at)) }
    }

    /// How long to wait at `now` until this due time; zero when it has come.
    pub fn wait(self, now: Now) -> Duration {
        match self {
            Self::Uptime(due) => due.saturating_sub(now.uptime),
            Self::Wall { at, .. } => between(now.wall, at),
        }
    }

    /// How long ago this due time was at `now`; zero when it is still to come. A wall clock that was set
    /// forward makes nothing late.
    pub fn lateness(self, now: Now) -> Duration {
        match self {
            Self::Uptime(due) => now.uptime.saturating_sub(due),
            Self::Wall { at, expected } => between(at, now.wall).min(now.uptime.saturating_sub(expected)),
        }
    }
}

/// How long to wait before the next try after `failures` in a row: somewhere below 1 s, 2 s, 4 s … 5 min.
/// `spread` sets apart checks that failed together, and gives the same check always the same pauses.
pub fn backoff(failures: u32, spread: u64) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let ceiling = Duration::from_secs(1 << doublings.min(16)).min(LONGEST_BACKOFF);
    // Fibonacci hashing, so that the fractions of successive failures lie far apart.
    let place = spread.wrapping_add(u64::from(failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let nanos = (ceiling.as_nanos() * u128::from(place)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The first time of the form `spread % interval + k * interval` strictly after `start`.
fn next_multiple(interval: Duration, spread: u64, start: Duration) -> Duration {
    let (interval, start) = (interval.as_nanos(), start.as_nanos());
    let offset = u128::from(spread) % interval;
    let next = match start.checked_sub(offset) {
        None => offset,
        Some(since) => start - since % interval + interval,
    };
    Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
}

/// The time between two moments; zero if `to` is not later than `from`.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
