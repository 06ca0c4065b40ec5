//! The settings of the check.

use std::time::Duration;

use aviary_guest::dns::{self, AddressFamily, Question, Transport};
use aviary_guest::duration;
use aviary_guest::targets::{LabelledTarget, TargetSeries};
use serde::Deserialize;

use crate::expect::Expectations;
use crate::kind::Kind;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The names to ask for, each one a target. They are complete names, as search domains are not tried.
    pub names: Vec<LabelledTarget>,
    /// The type of records to ask for; without it, `A`.
    #[serde(rename = "type", default = "a")]
    pub kind: Kind,
    /// The server to ask: an address or a complete name, with or without a port; without it, the cluster's server.
    #[serde(default)]
    pub server: Option<String>,
    /// Which address of a server with a name to ask; without it, any.
    #[serde(default)]
    pub ip_family: AddressFamily,
    /// Whether to ask over UDP or TCP; without it, UDP.
    #[serde(default = "udp", with = "TransportName")]
    pub transport: Transport,
    /// Whether to ask the server to find the answer elsewhere; without it, yes.
    #[serde(default = "yes")]
    pub recursion: bool,
    /// How long to wait for each answer; the run's own deadline holds in any case.
    #[serde(default, deserialize_with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// What to expect of each answer.
    #[serde(default)]
    pub expect: Expectations,
    /// The series of the names.
    #[serde(skip)]
    pub(crate) series: TargetSeries,
}

impl Settings {
    /// An error if the settings cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        if self.names.is_empty() {
            return Err("settings.names: list at least one name".into());
        }
        for (index, name) in self.names.iter().enumerate() {
            name.validate().map_err(|reason| format!("settings.names[{index}]: {reason}"))?;
        }
        self.expect.suit(self.kind)
    }

    /// The question for the records of a name.
    #[must_use]
    pub fn question(&self, name: &str) -> Question {
        let mut question = self.bare_question(name, self.kind);
        question.server.clone_from(&self.server);
        question.recursion(self.recursion).authenticated(self.expect.authenticated)
    }

    /// The question for records of this type that goes the configured way to the cluster's server.
    #[must_use]
    pub fn bare_question(&self, name: &str, kind: Kind) -> Question {
        let question = dns::question(name, kind.0).family(self.ip_family).transport(self.transport);
        match self.timeout {
            Some(timeout) => question.timeout(timeout),
            None => question,
        }
    }
}

#[derive(Deserialize)]
#[serde(remote = "Transport", rename_all = "lowercase")]
enum TransportName {
    Udp,
    Tcp,
}

fn a() -> Kind {
    Kind::A
}

fn udp() -> Transport {
    Transport::Udp
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    fn settings(value: Value) -> Settings {
        from_value(value).expect("valid settings")
    }

    #[test]
    fn everything_but_the_names_has_a_default() {
        let settings = settings(json!({"names": ["a.example"]}));
        assert_eq!(settings.question("a.example"), dns::question("a.example", 1));
        assert!(from_value::<Settings>(json!({})).is_err());
    }

    #[test]
    fn settings_become_a_question() {
        let settings = settings(json!({
            "names": ["a.example"], "type": "SRV", "server": "ns1.example:5353", "ipFamily": "ipv6",
            "transport": "tcp", "timeout": "2s", "recursion": false, "expect": {"authenticated": true},
        }));
        let expected = dns::question("a.example", 33)
            .server("ns1.example:5353")
            .family(AddressFamily::Ipv6)
            .transport(Transport::Tcp)
            .timeout(Duration::from_secs(2))
            .recursion(false)
            .authenticated(true);
        assert_eq!(settings.question("a.example"), expected);
    }

    #[test]
    fn a_name_may_have_labels() {
        let settings =
            settings(json!({"names": ["a.example", {"name": "b.example", "labels": {"team": "web"}}]}));
        assert_eq!(settings.names[0], LabelledTarget { name: "a.example".into(), labels: Vec::new() });
        let labels = vec![("team".to_owned(), "web".to_owned())];
        assert_eq!(settings.names[1], LabelledTarget { name: "b.example".into(), labels });
        assert_eq!(settings.validate(), Ok(()));
    }

    #[test]
    fn what_no_answer_can_have_is_refused_at_init() {
        for (kind, expect, reason) in [
            (
                "A",
                json!({"records": {"equal": ["010.0.0.1"]}}),
                "settings.expect.records.equal: \"010.0.0.1\"",
            ),
            (
                "MX",
                json!({"records": {"contain": ["mail.a"]}}),
                "settings.expect.records.contain: \"mail.a\"",
            ),
            ("A", json!({"count": 300}), "settings.expect.count: 300 records cannot be counted"),
        ] {
            let error = settings(json!({"names": ["a.example"], "type": kind, "expect": expect})).validate();
            let error = error.expect_err(reason);
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for wrong in [
            json!({"names": [], "name": "a"}),
            json!({"names": [], "type": "NOPE"}),
            json!({"names": [{"name": "a", "label": {}}]}),
            json!({"names": [{"labels": {}}]}),
            json!({"names": [], "series": true}),
        ] {
            assert!(from_value::<Settings>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
