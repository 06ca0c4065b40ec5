//! The settings of the check: what to ask for, and what to expect of the answers.

use std::fmt::{self, Formatter};
use std::time::Duration;

use aviary_guest::duration;
use aviary_guest::http::{IpFamily, Method};
use aviary_guest::json::Value;
use aviary_guest::limits::{Expiry, Latency};
use aviary_guest::pairs;
use aviary_guest::pattern::Pattern;
use aviary_guest::tls::TlsSettings;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// The settings of the check.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The URLs of the pages, each one a target.
    pub urls: Vec<String>,
    /// The method of the requests; without it, `GET`.
    #[serde(default = "get", with = "MethodName")]
    pub method: Method,
    /// The headers to send.
    #[serde(default, deserialize_with = "pairs::deserialize")]
    pub headers: Vec<(String, String)>,
    /// The body to send.
    #[serde(default)]
    pub body: Option<String>,
    /// How many redirects to follow.
    #[serde(default)]
    pub redirects: u8,
    /// How long a page may take; the run's own deadline holds in any case.
    #[serde(default, deserialize_with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// Which addresses may be dialled.
    #[serde(default = "any", with = "IpFamilyName")]
    pub ip_family: IpFamily,
    /// Whom to trust over TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// What to expect of each answer.
    #[serde(default)]
    pub expect: Expectations,
}

/// What to expect of an answer.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// The good statuses; without any, every `2xx`.
    #[serde(default)]
    pub status: Vec<StatusClass>,
    /// The rules for headers, by their names.
    #[serde(default, deserialize_with = "pairs::deserialize")]
    pub headers: Vec<(String, HeaderRule)>,
    /// The rules for the body.
    #[serde(default)]
    pub body: BodyRule,
    /// The values that a JSON body has to have, by JSON Pointer.
    #[serde(default, deserialize_with = "pairs::deserialize")]
    pub json: Vec<(String, Value)>,
    /// How long the answer may take.
    #[serde(default)]
    pub latency: Latency,
    /// How long the certificate has to be good for.
    #[serde(default)]
    pub certificate: Expiry,
}

/// A status, such as `200`, or a class of statuses, such as `2xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// Exactly this status.
    One(u16),
    /// All statuses with this first digit.
    Hundred(u16),
}

impl StatusClass {
    /// Whether the status is this one or of this class.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Hundred(hundred) => status / 100 == hundred,
        }
    }
}

/// The rule for a header.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HeaderRule {
    /// The header has to be there, with a value that matches.
    Matches(Pattern),
    /// The header has to be there.
    Present,
    /// The header may not be there.
    Absent,
}

/// The rules for a body.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BodyRule {
    /// The patterns of which each has to match somewhere.
    #[serde(default)]
    pub matches: Vec<Pattern>,
    /// The patterns of which none may match anywhere.
    #[serde(default)]
    pub not_matches: Vec<Pattern>,
}

impl<'de> Deserialize<'de> for StatusClass {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(StatusVisitor)
    }
}

/// Reads a status or a class. YAML has `200` as a number and `2xx` as a text.
struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = StatusClass;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a status like 200 or a class like \"2xx\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusClass, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusClass, E> {
        let class = match text.strip_suffix("xx") {
            Some(hundred) => {
                hundred.parse().ok().filter(|hundred| (1..=5).contains(hundred)).map(StatusClass::Hundred)
            }
            None => text.parse().ok().filter(|one| (100..600).contains(one)).map(StatusClass::One),
        };
        class.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[derive(serde::Deserialize)]
#[serde(remote = "Method", rename_all = "UPPERCASE")]
enum MethodName {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

#[derive(serde::Deserialize)]
#[serde(remote = "IpFamily", rename_all = "lowercase")]
enum IpFamilyName {
    Any,
    Ipv4,
    Ipv6,
}

fn get() -> Method {
    Method::Get
}

fn any() -> IpFamily {
    IpFamily::Any
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn status(text: Value) -> Result<StatusClass, String> {
        from_value(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_status_is_a_number_a_text_or_a_class() {
        assert_eq!(status(json!(204)), Ok(StatusClass::One(204)));
        assert_eq!(status(json!("204")), Ok(StatusClass::One(204)));
        assert_eq!(status(json!("5xx")), Ok(StatusClass::Hundred(5)));
        for wrong in [json!("6xx"), json!("xx"), json!("ok"), json!(20), json!("2x")] {
            let error = status(wrong).expect_err("no status");
            assert!(error.contains("expected a status like 200"), "{error}");
        }
    }

    #[test]
    fn everything_but_the_urls_has_a_default() {
        let settings: Settings = from_value(json!({"urls": ["http://a"]})).expect("valid");
        assert_eq!((settings.method, settings.redirects), (Method::Get, 0));
        assert!(from_value::<Settings>(json!({})).is_err());
    }

    #[test]
    fn all_settings_are_read() {
        let settings: Settings = from_value(json!({
            "urls": ["https://a"], "method": "POST", "headers": {"accept": "text/html"}, "body": "{}",
            "redirects": 3, "timeout": "2s", "ipFamily": "ipv6", "tls": {"skipVerify": true},
            "expect": {
                "status": ["2xx", 401],
                "headers": {"server": "absent", "etag": "present", "content-type": {"matches": "json"}},
                "body": {"matches": ["ok"], "notMatches": ["error"]},
                "json": {"/a/0": 1},
                "latency": {"warnAbove": "200ms", "failAbove": "1s"},
                "certificate": {"warnBefore": "14d"},
            },
        }))
        .expect("valid");
        assert_eq!(settings.timeout, Some(Duration::from_secs(2)));
        assert_eq!(settings.ip_family, IpFamily::Ipv6);
        assert_eq!(settings.expect.status, [StatusClass::Hundred(2), StatusClass::One(401)]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(from_value::<Settings>(json!({"urls": [], "url": "http://a"})).is_err());
        assert!(from_value::<Settings>(json!({"urls": [], "expect": {"statuses": []}})).is_err());
    }
}
