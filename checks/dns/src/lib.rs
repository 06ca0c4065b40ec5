//! Asks a DNS server for names and judges its answers.

use std::time::Duration;

use aviary_guest::dns::{self, Query, RecordType, Transport};
use aviary_guest::{Check, Outcome, duration};
use serde::Deserialize;

pub use judge::judge;

use crate::expect::Expectations;

pub mod expect;
pub mod judge;
pub mod same;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The names to ask for, each one a target. They are complete names, as search domains are not tried.
    pub names: Vec<String>,
    /// The type of records to ask for; without it, `A`.
    #[serde(rename = "type", default = "a", with = "RecordTypeName")]
    pub kind: RecordType,
    /// The server to ask, `address` or `address:port`; without it, the cluster's server.
    #[serde(default)]
    pub server: Option<String>,
    /// Whether to ask over UDP or TCP; without it, UDP.
    #[serde(default = "udp", with = "TransportName")]
    pub transport: Transport,
    /// How long to wait for each answer; the run's own deadline holds in any case.
    #[serde(default, deserialize_with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// What to expect of each answer.
    #[serde(default)]
    pub expect: Expectations,
}

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        if self.names.is_empty() {
            return Err("settings.names: list at least one name".into());
        }
        self.expect.suit(self.kind)
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let queries = self.names.iter().map(|name| self.query(name));
        let targets = queries.map(|query| judge(&self.expect, &query, &query.lookup()));
        Ok(Outcome::from_targets(targets.collect()))
    }
}

impl Settings {
    fn query(&self, name: &str) -> Query {
        let mut query = dns::query(name, self.kind).transport(self.transport);
        query.server.clone_from(&self.server);
        match self.timeout {
            Some(timeout) => query.timeout(timeout),
            None => query,
        }
    }
}

#[derive(Deserialize)]
#[serde(remote = "RecordType", rename_all = "UPPERCASE")]
enum RecordTypeName {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

#[derive(Deserialize)]
#[serde(remote = "Transport", rename_all = "lowercase")]
enum TransportName {
    Udp,
    Tcp,
}

fn a() -> RecordType {
    RecordType::A
}

fn udp() -> Transport {
    Transport::Udp
}

aviary_guest::export!(Settings);

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    #[test]
    fn everything_but_the_names_has_a_default() {
        let settings: Settings = from_value(json!({"names": ["a.example"]})).expect("valid");
        assert_eq!((settings.kind, settings.transport), (RecordType::A, Transport::Udp));
        assert!(from_value::<Settings>(json!({})).is_err());
    }

    #[test]
    fn settings_become_a_query() {
        let settings: Settings = from_value(json!({
            "names": ["a.example"], "type": "SRV", "server": "192.0.2.1:5353", "transport": "tcp", "timeout": "2s",
        }))
        .expect("valid");
        let expected = dns::query("a.example", RecordType::Srv)
            .server("192.0.2.1:5353")
            .transport(Transport::Tcp)
            .timeout(Duration::from_secs(2));
        assert_eq!(settings.query("a.example"), expected);
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
            let settings = json!({"names": ["a.example"], "type": kind, "expect": expect});
            let error = from_value::<Settings>(settings).expect("read").init().expect_err(reason);
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(from_value::<Settings>(json!({"names": [], "name": "a"})).is_err());
        assert!(from_value::<Settings>(json!({"names": [], "type": "HINFO"})).is_err());
    }
}
