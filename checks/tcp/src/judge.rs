//! Judges a conversation with a target. Pure.

use std::time::Duration;

use aviary_guest::tls::Certificate;
use aviary_guest::{Finding, Target};

use crate::settings::Expectations;

/// What was seen of a target with which all steps succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// How long it took to resolve the name and to connect.
    pub connect: Duration,
    /// The address that was dialled.
    pub address: String,
    /// The certificate of the target; none without TLS.
    pub certificate: Option<Certificate>,
}

/// The step at which the conversation failed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step that was attempted.
    pub step: String,
    /// Why the step failed.
    pub reason: String,
}

impl Failure {
    /// Makes an error into a failure of this step, for `map_err`.
    pub(crate) fn at<E: Into<String>>(step: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self { step: step.into(), reason: error.into() }
    }
}

/// The target of the outcome for one conversation, at the time `now` after the Unix epoch.
#[must_use]
pub fn judge(expect: &Expectations, target: &str, seen: &Result<Seen, Failure>, now: Duration) -> Target {
    let seen = match seen {
        Ok(seen) => seen,
        Err(failure) => return Target::fail(target, format!("{}: {}", failure.step, failure.reason)),
    };
    let latency = expect.latency.judge(seen.connect);
    let latency =
        latency.map(|finding| Finding { message: format!("connecting {}", finding.message), ..finding });
    let expiry = expect.certificate.judge(seen.certificate.as_ref(), now);
    let findings: Vec<_> = latency.into_iter().chain(expiry).collect();
    Target::from_findings(target, format!("connected in {:.1?}", seen.connect), &findings)
        .label("address", &seen.address)
}

#[cfg(test)]
mod tests {
    use aviary_guest::Status;
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    const NOW: Duration = Duration::from_secs(100 * 86_400);

    fn seen(days_left: Option<i64>) -> Result<Seen, Failure> {
        let certificate = days_left.map(|days| Certificate {
            subject: "CN=db".into(),
            issuer: "CN=ca".into(),
            names: Vec::new(),
            not_before: 0,
            not_after: (100 + days) * 86_400,
        });
        Ok(Seen { connect: Duration::from_millis(30), address: "192.0.2.1:5432".into(), certificate })
    }

    fn verdict(expect: Value, seen: &Result<Seen, Failure>) -> (Status, String) {
        let expect = from_value(expect).expect("valid expectations");
        let target = judge(&expect, "db:5432", seen, NOW);
        (target.status, target.message)
    }

    #[test]
    fn a_connection_passes() {
        assert_eq!(verdict(json!({}), &seen(None)), (Status::Pass, "connected in 30.0ms".into()));
    }

    #[test]
    fn a_slow_connection_warns_or_fails() {
        let (status, message) = verdict(json!({"latency": {"warnAbove": "20ms"}}), &seen(None));
        assert_eq!((status, message.as_str()), (Status::Warn, "connecting took 30.0ms, more than 20ms"));
        assert_eq!(verdict(json!({"latency": {"failAbove": "29ms"}}), &seen(None)).0, Status::Fail);
    }

    #[test]
    fn the_certificate_is_judged_when_asked_for() {
        let rule = json!({"certificate": {"warnBefore": "14d", "failBefore": "3d"}});
        for (days, status) in [(20, Status::Pass), (10, Status::Warn), (1, Status::Fail)] {
            assert_eq!(verdict(rule.clone(), &seen(Some(days))).0, status);
        }
        assert_eq!(verdict(rule, &seen(None)).0, Status::Fail);
    }

    #[test]
    fn a_failure_says_where_and_why() {
        let failure = Err(Failure::at("step 2 (expect /^\\+PONG/)")("timed out"));
        assert_eq!(
            verdict(json!({}), &failure),
            (Status::Fail, "step 2 (expect /^\\+PONG/): timed out".into())
        );
    }
}
