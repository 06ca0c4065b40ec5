//! Spans of time as people write them.

use crate::text::quote;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// The longest span of time. A longer one is a mistake, and would overflow clocks further on.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The units of time that people may write, from large to small, each with its milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A span of time of whole milliseconds: `500ms`, `2s`, `1m30s`, `1h`, `14d`. At most 365 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("minLength" = 2, "pattern" = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"))]
pub struct TimeSpan(Duration);

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is a number without a unit.
    #[error("`{0}` has no unit: write for example `{0}s` for seconds")]
    NoUnit(String),
    /// The text is not a row of numbers with units from large to small.
    #[error("{} is not a span of time: write for example `500ms`, `30s`, `1m30s`, `2h` or `14d`", quote(.0))]
    Malformed(String),
    /// The span is longer than 365 days.
    #[error("{} is too long: 365d is the most", quote(.0))]
    TooLong(String),
}

impl TimeSpan {
    /// The span as the standard library's [`Duration`].
    pub fn get(self) -> Duration {
        self.0
    }

    /// The span in milliseconds.
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Duration> for TimeSpan {
    /// Cuts what is finer than a millisecond, and anything beyond 365 days.
    fn from(duration: Duration) -> Self {
        Self(Duration::from_millis(Self(duration.min(LONGEST)).milliseconds()))
    }
}

impl FromStr for TimeSpan {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let malformed = || DurationError::Malformed(text.to_owned());
        let too_long = || DurationError::TooLong(text.to_owned());
        let (mut rest, mut units, mut millis) = (text, UNITS.as_slice(), 0_u64);
        while !rest.is_empty() {
            let (number, tail) =
                rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            if number.is_empty() {
                return Err(malformed());
            }
            if tail.is_empty() && number == text && number.len() < 12 {
                return Err(DurationError::NoUnit(text.to_owned()));
            }
            let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
            let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(malformed)?;
            let count: u64 = number.parse().map_err(|_| too_long())?;
            millis = count
                .checked_mul(units[index].1)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(too_long)?;
            (rest, units) = (tail, &units[index + 1..]);
        }
        let span = Duration::from_millis(millis);
        match text {
            "" => Err(malformed()),
            _ if span > LONGEST => Err(too_long()),
            _ => Ok(Self(span)),
        }
    }
}

super::text_conversions!(TimeSpan);

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if millis >= size {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::value::duration::*;

    #[test]
    fn units_add_up_and_print_as_they_were_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("14d", 1_209_600_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("365d", 31_536_000_000),
        ] {
            let span: TimeSpan = text.parse().expect("valid");
            assert_eq!(span.get(), Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("90s".parse::<TimeSpan>().expect("valid").to_string(), "1m30s");
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_the_right_spelling() {
        let error = "30".parse::<TimeSpan>().expect_err("no unit");
        assert_eq!(error.to_string(), "`30` has no unit: write for example `30s` for seconds");
    }

    #[test]
    fn anything_but_numbers_with_falling_units_is_refused() {
        for text in
            ["", " ", "s", "1 s", "1.5s", "-1s", "1s1m", "1s1s", "1x", "1m30", "1S", "1µs", "1w", "٣s"]
        {
            assert_eq!(text.parse::<TimeSpan>(), Err(DurationError::Malformed(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn spans_that_overflow_or_exceed_a_year_are_refused() {
        for text in ["366d", "99999999999999999999s", "18446744073709551615d", "365d1ms"] {
            assert_eq!(text.parse::<TimeSpan>(), Err(DurationError::TooLong(text.to_owned())), "{text:?}");
        }
        assert_eq!(TimeSpan::from(Duration::MAX).to_string(), "365d");
    }
}
