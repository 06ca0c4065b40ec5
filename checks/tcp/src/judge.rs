//! Judges a conversation with a target. Pure.

use std::time::Duration;

use aviary_guest::targets::LabelledTarget;
use aviary_guest::tls::TlsSession;
use aviary_guest::{Finding, Target};

use crate::settings::Expectations;

/// What was seen of a target with which all steps succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// How long it took to resolve the name and to connect.
    pub connect: Duration,
    /// The address that was dialled.
    pub address: String,
    /// How long the TLS handshake took; none without TLS.
    pub handshake: Option<Duration>,
    /// What was agreed on over TLS; none without TLS.
    pub session: Option<TlsSession>,
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
pub fn judge(
    expect: &Expectations,
    target: &LabelledTarget,
    seen: &Result<Seen, Failure>,
    now: Duration,
) -> Target {
    let name = &target.name;
    let judged = match seen {
        Ok(seen) => judge_seen(expect, name, seen, now),
        Err(failure) => Target::fail(name, format!("{}: {}", failure.step, failure.reason)),
    };
    target.labels.iter().fold(judged, |judged, (key, value)| judged.label(key, value))
}

fn judge_seen(expect: &Expectations, name: &str, seen: &Seen, now: Duration) -> Target {
    let latency = expect.latency.judge(seen.connect);
    let latency =
        latency.map(|finding| Finding { message: format!("connecting {}", finding.message), ..finding });
    let expiry = expect.certificate.judge(seen.session.as_ref(), now);
    let findings: Vec<_> = latency.into_iter().chain(expiry).collect();
    Target::from_findings(name, format!("connected in {:.1?}", seen.connect), &findings)
        .label("address", &seen.address)
}

#[cfg(test)]
mod tests {
    use aviary_guest::Status;
    use aviary_guest::json::{Value, from_value, json};
    use aviary_guest::tls::{Certificate, TlsVersion};

    use super::*;

    const NOW: Duration = Duration::from_secs(100 * 86_400);

    fn seen(days_left: Option<i64>) -> Result<Seen, Failure> {
        let session = days_left.map(|days| {
            let certificate = Certificate {
                subject: "CN=db".into(),
                issuer: "CN=ca".into(),
                names: Vec::new(),
                not_before: 0,
                not_after: (100 + days) * 86_400,
            };
            TlsSession {
                version: TlsVersion::Tls13,
                cipher_suite: String::new(),
                first_to_end: certificate.clone(),
                last_to_begin: certificate.clone(),
                certificate,
            }
        });
        let (connect, address) = (Duration::from_millis(30), "192.0.2.1:5432".into());
        Ok(Seen { connect, address, handshake: None, session })
    }

    fn verdict(expect: Value, seen: &Result<Seen, Failure>) -> (Status, String) {
        let expect = from_value(expect).expect("valid expectations");
        let labels = vec![("team".into(), "data".into())];
        let target = judge(&expect, &LabelledTarget { name: "db:5432".into(), labels }, seen, NOW);
        assert!(target.labels.contains(&("team".into(), "data".into())));
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
