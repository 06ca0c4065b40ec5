//! Limits for settings: how slow is too slow, and how soon is too soon.

use std::time::Duration;

use serde::Deserialize;

use crate::tls::Certificate;
use crate::{Finding, duration};

/// How long something may take: `{warnAbove: 200ms, failAbove: 1s}`, each optional.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// Anything that takes longer is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    pub warn_above: Option<Duration>,
    /// Anything that takes longer is a fail.
    #[serde(default, deserialize_with = "duration::optional")]
    pub fail_above: Option<Duration>,
}

impl Latency {
    /// The finding about something that took `time`; none if that is fast enough.
    #[must_use]
    pub fn judge(&self, time: Duration) -> Option<Finding> {
        let exceeded = |limit: Option<Duration>| limit.filter(|limit| time > *limit);
        let message = |limit| format!("took {time:.1?}, more than {limit:?}");
        match (exceeded(self.fail_above), exceeded(self.warn_above)) {
            (Some(limit), _) => Some(Finding::fail(message(limit))),
            (None, Some(limit)) => Some(Finding::warn(message(limit))),
            (None, None) => None,
        }
    }
}

/// How long a certificate has to be good for: `{warnBefore: 14d, failBefore: 3d}`, each optional.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expiry {
    /// A certificate that is valid for less is a warning.
    #[serde(default, deserialize_with = "duration::optional")]
    pub warn_before: Option<Duration>,
    /// A certificate that is valid for less is a fail.
    #[serde(default, deserialize_with = "duration::optional")]
    pub fail_before: Option<Duration>,
}

impl Expiry {
    /// The finding about a certificate, or about having none, at the time `now` after the Unix epoch. None if
    /// all is well.
    #[must_use]
    pub fn judge(&self, certificate: Option<&Certificate>, now: Duration) -> Option<Finding> {
        if self.warn_before.is_none() && self.fail_before.is_none() {
            return None;
        }
        let Some(certificate) = certificate else {
            return Some(Finding::fail("there is no certificate: the connection is not TLS"));
        };
        let end = u64::try_from(certificate.not_after).unwrap_or(0);
        let Some(left) = Duration::from_secs(end).checked_sub(now) else {
            return Some(Finding::fail(format!("the certificate of {} has expired", certificate.subject)));
        };
        let undercut = |limit: Option<Duration>| limit.is_some_and(|limit| left < limit);
        let message = || format!("the certificate of {} expires in {}", certificate.subject, in_words(left));
        match (undercut(self.fail_before), undercut(self.warn_before)) {
            (true, _) => Some(Finding::fail(message())),
            (false, true) => Some(Finding::warn(message())),
            (false, false) => None,
        }
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() / 3_600 {
        hours @ 0..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    const DAY: u64 = 86_400;

    fn certificate(not_after: i64) -> Certificate {
        let text = String::from("CN=example");
        Certificate { subject: text.clone(), issuer: text, names: Vec::new(), not_before: 0, not_after }
    }

    fn expiry_status(days_left: i64) -> Option<Status> {
        let limits = Expiry {
            warn_before: Some(Duration::from_secs(14 * DAY)),
            fail_before: Some(Duration::from_secs(3 * DAY)),
        };
        let now = Duration::from_secs(100 * DAY);
        let certificate = certificate((100 + days_left) * 86_400);
        limits.judge(Some(&certificate), now).map(|finding| finding.status)
    }

    #[test]
    fn slowness_is_judged_by_the_stricter_limit_that_it_breaks() {
        let limits = Latency {
            warn_above: Some(Duration::from_millis(100)),
            fail_above: Some(Duration::from_secs(1)),
        };
        let status = |millis| limits.judge(Duration::from_millis(millis)).map(|finding| finding.status);
        assert_eq!(status(100), None);
        assert_eq!(status(101), Some(Status::Warn));
        assert_eq!(status(1_001), Some(Status::Fail));
        let message = limits.judge(Duration::from_millis(1_500)).expect("too slow").message;
        assert_eq!(message, "took 1.5s, more than 1s");
    }

    #[test]
    fn a_certificate_is_judged_by_what_is_left_of_it() {
        assert_eq!(expiry_status(15), None);
        assert_eq!(expiry_status(14), None);
        assert_eq!(expiry_status(13), Some(Status::Warn));
        assert_eq!(expiry_status(2), Some(Status::Fail));
        assert_eq!(expiry_status(-1), Some(Status::Fail));
    }

    #[test]
    fn no_certificate_breaks_a_limit_but_not_the_absence_of_one() {
        let limits = Expiry { warn_before: Some(Duration::ZERO), fail_before: None };
        assert!(limits.judge(None, Duration::ZERO).is_some());
        assert_eq!(Expiry::default().judge(None, Duration::ZERO), None);
    }
}
