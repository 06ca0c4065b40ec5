//! Limits for settings: how slow is too slow, and how soon is too soon.

use std::time::Duration;

use serde::Deserialize;

use crate::tls::TlsSession;
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
    /// Whether any limit is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.warn_before.is_some() || self.fail_before.is_some()
    }

    /// The finding about the certificates of a TLS session, or about having none, at the time `now` after the Unix
    /// epoch. None if all is well. It names the certificate of the path that ends first or begins last.
    #[must_use]
    pub fn judge(&self, session: Option<&TlsSession>, now: Duration) -> Option<Finding> {
        if !self.is_set() {
            return None;
        }
        let Some(session) = session else {
            return Some(Finding::fail("there is no certificate: the connection is not TLS"));
        };
        let (first, last) = (&session.first_to_end, &session.last_to_begin);
        if last.not_before > i64::try_from(now.as_secs()).unwrap_or(i64::MAX) {
            return Some(Finding::fail(format!("the certificate of {} is not valid yet", last.subject)));
        }
        let end = u64::try_from(first.not_after).unwrap_or(0);
        let Some(left) = Duration::from_secs(end).checked_sub(now) else {
            return Some(Finding::fail(format!("the certificate of {} has expired", first.subject)));
        };
        let undercut = |limit: Option<Duration>| limit.is_some_and(|limit| left < limit);
        let message = || format!("the certificate of {} expires in {}", first.subject, in_words(left));
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
    use crate::tls::{Certificate, TlsVersion};

    const DAY: u64 = 86_400;

    /// A session whose certificates begin and end at these days.
    fn session(first_to_end: i64, last_to_begin: i64) -> TlsSession {
        let certificate = |subject: &str, not_before: i64, not_after: i64| Certificate {
            subject: subject.to_owned(),
            issuer: "CN=ca".to_owned(),
            names: Vec::new(),
            not_before: not_before * 86_400,
            not_after: not_after * 86_400,
        };
        TlsSession {
            version: TlsVersion::Tls13,
            cipher_suite: String::new(),
            certificate: certificate("CN=example", 0, 10_000),
            first_to_end: certificate("CN=between", 0, first_to_end),
            last_to_begin: certificate("CN=late", last_to_begin, 10_000),
        }
    }

    fn judge(first_to_end: i64, last_to_begin: i64) -> Option<Finding> {
        let limits = Expiry {
            warn_before: Some(Duration::from_secs(14 * DAY)),
            fail_before: Some(Duration::from_secs(3 * DAY)),
        };
        limits.judge(Some(&session(first_to_end, last_to_begin)), Duration::from_secs(100 * DAY))
    }

    fn expiry_status(days_left: i64) -> Option<Status> {
        judge(100 + days_left, 0).map(|finding| finding.status)
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
    fn the_certificate_that_ends_first_or_begins_last_is_named() {
        let message = |finding: Option<Finding>| finding.expect("a finding").message;
        assert_eq!(message(judge(110, 0)), "the certificate of CN=between expires in 10 days");
        assert_eq!(message(judge(99, 0)), "the certificate of CN=between has expired");
        assert_eq!(message(judge(1_000, 101)), "the certificate of CN=late is not valid yet");
    }

    #[test]
    fn no_certificate_breaks_a_limit_but_not_the_absence_of_one() {
        let limits = Expiry { warn_before: Some(Duration::ZERO), fail_before: None };
        assert!(limits.judge(None, Duration::ZERO).is_some());
        assert_eq!(Expiry::default().judge(None, Duration::ZERO), None);
    }
}
