//! The address of an HTTP proxy.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use std::{fmt, str::FromStr};
use url::Url;

/// An HTTP proxy, written as `http://host:port` or `http://user:password@host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The host name or IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The value of the header `proxy-authorization` (RFC 7617); none without a user name and password.
    pub authorization: Option<String>,
}

/// A text that is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is written as http://host:port or http://user:password@host:port, without a path")]
pub struct ProxyError;

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let url = Url::parse(text).map_err(|_| ProxyError)?;
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(ProxyError)?;
        if url.scheme() != "http" || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyError);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, authorization: authorization(&url) })
    }
}

fn authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(credentials)))
}

/// The address without its password, as it stands in messages.
impl fmt::Display for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_shows_no_password() {
        let proxy: Proxy = "http://ops:s3cr%40t@proxy.example:3128".parse().expect("a proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic b3BzOnMzY3JAdA=="));
        assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy.example:3128 http://proxy.example:3128");
        let plain: Proxy = "http://[::1]".parse().expect("a proxy");
        assert_eq!((plain.host.as_str(), plain.port, plain.authorization), ("::1", 80, None));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in [
            "",
            "proxy:3128",
            "https://proxy",
            "socks5://proxy",
            "http://proxy/x",
            "http://proxy?x",
            "http://",
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(ProxyError), "{text}");
        }
    }
}
