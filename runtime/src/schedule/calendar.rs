//! Cron expressions: times of the wall clock.

use super::{MOST_MISSED, ScheduleError};
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, Zoned, civil, tz::TimeZone};
use std::{fmt, time::Duration};

/// The words that may follow an `@`, apart from `every`.
const ALIASES: [&str; 6] = ["yearly", "annually", "monthly", "weekly", "daily", "hourly"];

const LONGEST_EXPRESSION: usize = 200;

/// How far the wall clock may be set back and be waited for, so that no due time is kept twice.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// A cron expression in a time zone, which means at least one time.
#[derive(Debug, PartialEq, Eq)]
pub struct Calendar {
    cron: Cron,
    text: String,
    zone: TimeZone,
    shortest_gap: Duration,
}

impl Calendar {
    /// Parses a cron expression in the zone with this IANA name; without one, in UTC.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let refuse = |reason: String| ScheduleError::NotCron(text.to_owned(), reason);
        let expression = match text.strip_prefix('@') {
            // Kubernetes knows this alias, and the parser does not.
            Some("midnight") => "@daily",
            Some(alias) if !ALIASES.contains(&alias) => {
                return Err(refuse(format!("after `@` write {} or `every 90s`", ALIASES.join(", "))));
            }
            _ => text,
        };
        let fields = expression.split_whitespace().count();
        if !expression.starts_with('@') && !(5..=6).contains(&fields) {
            return Err(refuse(format!("it has {fields} fields: write 5, or 6 with seconds first")));
        }
        if expression.len() > LONGEST_EXPRESSION {
            return Err(refuse(format!("it is longer than {LONGEST_EXPRESSION} characters")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| refuse(reason(&error)))?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| ScheduleError::UnknownZone(name.to_owned()))?,
        };
        let shortest_gap = shortest_gap(&cron).ok_or_else(|| ScheduleError::Never(text.to_owned()))?;
        Ok(Self { cron, text: text.to_owned(), zone, shortest_gap })
    }

    /// The first time of the expression strictly after `start`.
    pub(super) fn next(&self, start: Timestamp) -> Timestamp {
        let start = Zoned::new(start, self.zone.clone());
        match self.cron.find_next_occurrence(&start, false) {
            Ok(next) => next.timestamp(),
            // No later time is known, as the calendar ends in the year 5000.
            Err(_) => Timestamp::MAX,
        }
    }

    /// The due time that follows the run for `due`, which ended at `now`.
    pub(super) fn next_after(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let set_back = due.duration_since(now);
        let is_ahead = set_back > SignedDuration::ZERO && set_back < PATIENCE;
        self.next(if is_ahead { due } else { now })
    }

    /// Whether the wall clock was set back by so much since `due` was planned that `due` is not waited for.
    /// Another time of the expression then lies before `due`.
    pub(super) fn was_set_back(&self, due: Timestamp, now: Timestamp) -> bool {
        now.checked_add(PATIENCE).is_ok_and(|patient| self.next(patient) < due)
    }

    /// How many times of the expression lie after `since` and not after `now`; at most [`MOST_MISSED`].
    pub(super) fn count(&self, since: Timestamp, now: Timestamp) -> u64 {
        let mut time = self.next(since);
        for passed in 0..MOST_MISSED {
            if time > now {
                return passed;
            }
            time = self.next(time);
        }
        MOST_MISSED
    }

    /// The time on the clocks of the expression's time zone.
    #[cfg(test)]
    pub(super) fn local(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// The shortest time between two times of the expression.
    pub(super) fn shortest_gap(&self) -> Duration {
        self.shortest_gap
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// The shortest gap between two times of the expression within eight years, or within 500 times. `None` if
/// there is no time at all.
///
/// Counted without a time zone from a fixed leap year, so that the answer never depends on the day.
fn shortest_gap(cron: &Cron) -> Option<Duration> {
    let start = civil::date(2024, 1, 1).at(0, 0, 0, 0);
    let mut previous = cron.find_next_occurrence(&start, true).ok()?;
    let mut shortest = Duration::MAX;
    for _ in 0..500 {
        let Ok(next) = cron.find_next_occurrence(&previous, false) else { break };
        shortest = shortest.min(Duration::try_from(next.duration_since(previous)).unwrap_or(shortest));
        if next.year() > start.year() + 8 {
            break;
        }
        previous = next;
    }
    Some(shortest)
}

/// The parser's own words about an error, without their title.
fn reason(error: &CronError) -> String {
    match error {
        CronError::InvalidPattern(reason)
        | CronError::IllegalCharacters(reason)
        | CronError::ComponentError(reason) => reason.trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}
