//! The settings of the check: what to ask for, and what to expect of the answers.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use aviary_guest::http::{IpFamily, Method};
use aviary_guest::json::Value;
use aviary_guest::limits::{Expiry, Latency};
use aviary_guest::pattern::Pattern;
use aviary_guest::targets::{LabelledTarget, TargetSeries};
use aviary_guest::tls::TlsSettings;
use aviary_guest::{duration, pairs, tls, url};
use serde::de::{Deserialize, Deserializer, Error};

use crate::auth::Auth;
use crate::document::Path;
use crate::headers::{Headers, refuse_placeholder};
use crate::rules::JsonRule;
use crate::status::StatusClass;

/// The most requests that the daemon sends together.
const MOST_URLS: usize = 100;

/// The settings of the check.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The URLs of the pages, each one a target.
    pub urls: Vec<LabelledTarget>,
    /// The method of the requests; without it, `GET`.
    #[serde(default = "get", deserialize_with = "method")]
    pub method: Method,
    /// The headers to send.
    #[serde(default)]
    pub headers: Headers,
    /// The `host` header to send; without it, that of the URL.
    #[serde(default)]
    pub host: Option<String>,
    /// How the check proves who it is.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The body to send.
    #[serde(default)]
    pub body: Option<String>,
    /// How many redirects to follow.
    #[serde(default)]
    pub redirects: u8,
    /// Whether cookies that a redirect sets are sent with the requests that follow it.
    #[serde(default)]
    pub cookies: bool,
    /// How long a page may take; the run's own deadline holds in any case.
    #[serde(default, deserialize_with = "duration::optional")]
    pub timeout: Option<Duration>,
    /// Which addresses may be dialled.
    #[serde(default = "any", deserialize_with = "ip_family")]
    pub ip_family: IpFamily,
    /// How to speak TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// What to expect of each answer.
    #[serde(default)]
    pub expect: Expectations,
    /// The series of the pages.
    #[serde(skip)]
    pub(crate) series: TargetSeries,
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
    /// More rules for the values of a JSON body.
    #[serde(default)]
    pub json_rules: Vec<JsonRule>,
    /// How long the answer may take.
    #[serde(default)]
    pub latency: Latency,
    /// How long the certificates of the server have to be good for.
    #[serde(default)]
    pub certificate: Expiry,
    /// The lowest version of TLS that may have been spoken.
    #[serde(default)]
    pub tls: Option<tls::Version>,
    /// The version of HTTP that has to have been spoken.
    #[serde(default)]
    pub http_version: Option<HttpVersion>,
    /// The family of the address that has to have been dialled.
    #[serde(default)]
    pub ip_family: Option<Family>,
}

/// A family of addresses as settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// A version of HTTP as settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match String::deserialize(source)?.as_str() {
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(D::Error::custom("a family of addresses is `ipv4` or `ipv6`")),
        }
    }
}

impl<'de> Deserialize<'de> for HttpVersion {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match String::deserialize(source)?.as_str() {
            "1.0" => Ok(Self::Http10),
            "1.1" => Ok(Self::Http11),
            "2" => Ok(Self::Http2),
            _ => Err(D::Error::custom("a version of HTTP is \"1.0\", \"1.1\" or \"2\"")),
        }
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

impl Display for HttpVersion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}

impl Settings {
    /// An error if the settings cannot be used. It names the key and says what to do.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match self.urls.len() {
            0 => return Err("settings.urls: list at least one URL".into()),
            1..=MOST_URLS => {}
            count => {
                return Err(format!(
                    "settings.urls: {count} URLs are more than the {MOST_URLS} of one check: write several checks"
                ));
            }
        }
        for (index, target) in self.urls.iter().enumerate() {
            let good = target.validate().and_then(|()| url::refuse_doubtful(&target.name));
            let good =
                good.and_then(|()| refuse_placeholder(&target.name).map_err(|reason| in_place(&reason)));
            good.map_err(|reason| format!("settings.urls[{index}]: {reason}"))?;
        }
        if self.method == Method::Head && self.expect.is_about_body() {
            return Err("settings.expect: an answer to HEAD has no body".into());
        }
        self.headers.validate()?;
        refuse_placeholder(self.body.as_deref().unwrap_or_default())
            .map_err(|reason| format!("settings.body: {}", in_place(&reason)))?;
        for (path, _) in &self.expect.json {
            Path::new(path).map_err(|reason| format!("settings.expect.json: {reason}"))?;
        }
        let has_header = self.headers.0.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        match &self.auth {
            Some(_) if has_header => {
                Err("settings.auth: there is an `authorization` header as well: take one of them out".into())
            }
            Some(auth) => auth.validate(),
            None => Ok(()),
        }
    }
}

/// What to do about a placeholder in a URL or a body.
fn in_place(reason: &str) -> String {
    format!("{reason}; write the value itself, and a secret by `headers` or `auth`")
}

impl Expectations {
    /// Whether a rule is about the body.
    #[must_use]
    pub fn is_about_body(&self) -> bool {
        let body = &self.body;
        !body.matches.is_empty() || !body.not_matches.is_empty() || self.is_about_json()
    }

    /// Whether a rule is about a JSON body.
    #[must_use]
    pub fn is_about_json(&self) -> bool {
        !self.json.is_empty() || !self.json_rules.is_empty()
    }

    /// Whether the start of a body may be enough: all that is wanted is that expressions match somewhere.
    #[must_use]
    pub fn may_stop_early(&self) -> bool {
        !self.body.matches.is_empty() && self.body.not_matches.is_empty() && !self.is_about_json()
    }

    /// Whether nothing that comes after this start of a body can change the verdict.
    #[must_use]
    pub fn is_settled(&self, text: &str) -> bool {
        self.may_stop_early() && self.body.matches.iter().all(|pattern| pattern.matches_start(text))
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
    /// The charset of the body, by a label of the WHATWG Encoding Standard; without it, the declared one.
    #[serde(default)]
    pub charset: Option<String>,
}

fn method<'de, D: Deserializer<'de>>(source: D) -> Result<Method, D::Error> {
    match String::deserialize(source)?.as_str() {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "POST" => Ok(Method::Post),
        "PUT" => Ok(Method::Put),
        "PATCH" => Ok(Method::Patch),
        "DELETE" => Ok(Method::Delete),
        "OPTIONS" => Ok(Method::Options),
        _ => Err(D::Error::custom("a method is GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")),
    }
}

fn ip_family<'de, D: Deserializer<'de>>(source: D) -> Result<IpFamily, D::Error> {
    match String::deserialize(source)?.as_str() {
        "any" => Ok(IpFamily::Any),
        "ipv4" => Ok(IpFamily::Ipv4),
        "ipv6" => Ok(IpFamily::Ipv6),
        _ => Err(D::Error::custom("which addresses are dialled is `any`, `ipv4` or `ipv6`")),
    }
}

fn get() -> Method {
    Method::Get
}

fn any() -> IpFamily {
    IpFamily::Any
}

#[cfg(test)]
mod tests;
