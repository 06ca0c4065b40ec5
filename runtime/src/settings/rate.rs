//! The rate at which a client may make requests.

use governor::Quota;
use std::{num::NonZeroU32, str::FromStr, time::Duration};

/// A number of requests in a period, such as `3600-H`. They may come all at once, and grow back evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Quota);

/// The text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a count from 1 up and one of S, M, H, D (second to day), as in `3600-H`")]
pub struct RateError;

impl Rate {
    /// The rate as the quota of a `governor` rate limiter.
    pub(crate) fn quota(self) -> Quota {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.split_once('-').ok_or(RateError)?;
        let period = match unit {
            "S" | "s" => 1,
            "M" | "m" => 60,
            "H" | "h" => 3600,
            "D" | "d" => 86_400,
            _ => return Err(RateError),
        };
        let count: NonZeroU32 = count.parse().map_err(|_| RateError)?;
        let each = Duration::from_secs(period) / count.get();
        Quota::with_period(each).map(|quota| Self(quota.allow_burst(count))).ok_or(RateError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_and_a_unit() {
        for text in ["3600-H", "1-S", "10-m", "5-D"] {
            assert!(text.parse::<Rate>().is_ok(), "{text}");
        }
        for text in
            ["", "3600", "3600H", "0-H", "-1-H", "1-W", "1-", "-H", "4294967295-S", "4294967296-D", "1.5-S"]
        {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }
}
