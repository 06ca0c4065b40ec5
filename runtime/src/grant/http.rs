//! Grants for HTTP requests.

use super::{
    Denied, Reach,
    address::Class,
    host::{HostPattern, PortPattern, split_ports},
    is_false,
};
use crate::value::text_conversions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};
use url::Url;

/// Requests that a check may send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpGrant {
    /// The origins of the requests: `https://api.example.com`, `https://*.example.com:8443`, `http://10.0.0.5`, `https://*`.
    pub hosts: Vec<OriginPattern>,
    /// The methods of the requests; GET and HEAD unless told otherwise.
    #[serde(default = "reading")]
    pub methods: Vec<Method>,
    /// Whether wildcards reach private addresses as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
}

/// A method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// A scheme, a host pattern, and ports: the scheme's own unless `:8443`, `:8000-9000` or `:*` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct OriginPattern {
    tls: bool,
    host: HostPattern,
    ports: PortPattern,
}

impl HttpGrant {
    /// How far this grant reaches for a request of this method and URL; none if it does not mean them.
    pub(super) fn reach(&self, method: Method, url: &Url) -> Option<Reach> {
        if !self.methods.contains(&method) {
            return None;
        }
        let reach = self.hosts.iter().filter_map(|pattern| pattern.reach(url)).max()?;
        Some(if self.private { reach.max(Reach::Private) } else { reach })
    }
}

impl OriginPattern {
    fn reach(&self, url: &Url) -> Option<Reach> {
        let scheme = if self.tls { "https" } else { "http" };
        if url.scheme() != scheme || !self.ports.contains(url.port_or_known_default()?) {
            return None;
        }
        self.host.reach(&url.host()?)
    }

    fn default_port(tls: bool) -> PortPattern {
        PortPattern::one(if tls { 443 } else { 80 })
    }
}

fn reading() -> Vec<Method> {
    vec![Method::Get, Method::Head]
}

pub(super) fn denied(method: Method, url: &Url) -> Denied {
    let origin = url.origin().ascii_serialization();
    Denied::new(format!("{method} {origin}"), line(method, &origin))
}

pub(super) fn denied_address(method: Method, url: &Url, address: IpAddr) -> Denied {
    let origin = url.origin().ascii_serialization();
    let mut granted = url.clone();
    let needs_itself = !matches!(Class::of(address), Class::Public | Class::Private);
    if needs_itself && granted.set_ip_host(address).is_ok() {
        let granted = granted.origin().ascii_serialization();
        return Denied::address(&origin, address, line(method, &granted));
    }
    Denied::address(&origin, address, line(method, &origin))
}

fn line(method: Method, origin: &str) -> String {
    format!("http: [{{ hosts: [\"{origin}\"], methods: [{method}] }}]")
}

impl FromStr for OriginPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(format!("`{text}` has no scheme: write `https://{text}` or `http://{text}`")),
        };
        let (host, ports) = split_ports(rest);
        let ports = ports.map_or(Ok(Self::default_port(tls)), str::parse)?;
        Ok(Self { tls, host: host.parse()?, ports })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http{}://{}", if self.tls { "s" } else { "" }, self.host)?;
        if self.ports == Self::default_port(self.tls) { Ok(()) } else { write!(out, ":{}", self.ports) }
    }
}

text_conversions!(OriginPattern);

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::authorization;

    fn judge(grants: &str, method: Method, url: &str) -> Result<Reach, String> {
        let url = Url::parse(url).expect("a url");
        authorization(grants).http(method, &url).map_err(|denied| denied.to_string())
    }

    #[test]
    fn scheme_host_port_and_method_all_have_to_be_granted() {
        let grants = "http: [{ hosts: [\"https://api.example.com\", \"http://api.example.com:8080\"] }]";
        assert_eq!(judge(grants, Method::Get, "https://API.example.com/x?y"), Ok(Reach::Private));
        assert_eq!(judge(grants, Method::Head, "http://api.example.com:8080"), Ok(Reach::Private));
        for url in ["http://api.example.com", "https://api.example.com:8443", "https://example.com"] {
            assert!(judge(grants, Method::Get, url).is_err(), "{url}");
        }
        assert!(judge(grants, Method::Post, "https://api.example.com").is_err());
    }

    #[test]
    fn the_refusal_holds_the_line_that_would_allow_it() {
        let refusal = judge("http: []", Method::Post, "https://api.example.com:8443/hook/s3cret?t=1")
            .expect_err("none");
        let (message, line) = refusal.split_once(" `").expect("a line in backticks");
        let line = line.trim_end_matches('`');
        assert_eq!(message, "not granted: POST https://api.example.com:8443; grant it with");
        assert_eq!(line, "http: [{ hosts: [\"https://api.example.com:8443\"], methods: [POST] }]");
        assert!(judge(line, Method::Post, "https://api.example.com:8443/").is_ok());
    }

    #[test]
    fn the_refusal_of_an_address_holds_the_line_that_would_allow_it() {
        let url = Url::parse("http://intra.example.com:8080/").expect("a url");
        let grants = "http: [{ hosts: [\"http://*:*\"] }]";
        let private = authorization(grants).http_address(Method::Get, &url, [10, 0, 0, 5].into()).to_string();
        assert!(
            private.contains("http://intra.example.com:8080 at 10.0.0.5, a private address"),
            "{private}"
        );
        assert!(private.ends_with("http: [{ hosts: [\"http://intra.example.com:8080\"], methods: [GET] }]`"));
        let metadata =
            authorization(grants).http_address(Method::Get, &url, [169, 254, 169, 254].into()).to_string();
        assert!(metadata.ends_with("http: [{ hosts: [\"http://169.254.169.254:8080\"], methods: [GET] }]`"));
    }

    #[test]
    fn private_widens_a_wildcard_to_private_addresses_and_no_further() {
        let grants = "http: [{ hosts: [\"https://*:*\"], private: true }]";
        assert_eq!(judge(grants, Method::Get, "https://x.prod.svc:8443"), Ok(Reach::Private));
        assert_eq!(judge(grants, Method::Get, "https://127.0.0.1:1"), Ok(Reach::Private));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_advice() {
        for text in [
            "example.com",
            "ftp://example.com",
            "https://",
            "https://a/b",
            "https://a:0",
            "https://u@a",
            "https://a?b",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text:?}");
        }
        let error = "example.com".parse::<OriginPattern>().expect_err("no scheme");
        assert_eq!(error, "`example.com` has no scheme: write `https://example.com` or `http://example.com`");
    }
}
