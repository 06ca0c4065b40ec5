//! The promise about the URLs that requests go to.

use ::url::{Host, Url};
use aviary::{
    capability::{
        bindings::aviary::check::{
            dns::{Query, RecordType, Transport},
            http::{IpFamily, Method as GuestMethod, Request},
        },
        dial::{Network, NetworkOptions},
        dns::question,
        http::{Outgoing, redirect},
    },
    grant::{Authorization, Ceiling, Grants, HttpGrant, Method, OriginPattern, address::Reach},
};
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{HOST, HeaderValue, LOCATION},
};
use std::{net::IpAddr, sync::LazyLock};
use tokio::runtime::{Builder, Runtime};

/// The network in which addresses are judged. Names are not asked for.
static NETWORK: LazyLock<(Runtime, Network)> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let name_server = Some("127.0.0.1:9".parse().expect("an address"));
    let network = Network::new(&NetworkOptions { name_server, ..NetworkOptions::default() });
    (runtime, network.expect("a network"))
});

/// What is judged is what is dialled and sent, for a request and where it is redirected to.
///
/// The lines are a pattern of a grant, a URL and a `Location`.
pub fn url(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut text = || lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let (Some(pattern), Some(url), location) = (text(), text(), text()) else { return };
    let Ok(outgoing) = Outgoing::parse(request(url).into(), usize::MAX) else { return };
    judge_plain_text(url, outgoing.url());
    judge(&outgoing, pattern);
    if let Some(url) = location.and_then(|location| redirected(&outgoing, location)) {
        let next = Outgoing::parse(request(url.as_str()).into(), usize::MAX)
            .expect("what is followed can be asked for");
        assert_eq!(next.url(), &url);
        judge(&next, pattern);
    }
}

fn request(url: &str) -> Request {
    Request {
        method: GuestMethod::Get,
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        timeout_ms: None,
        redirects: 1,
        reuse_connection: false,
        ip_family: IpFamily::Any,
        body_limit: None,
        tls: None,
    }
}

fn redirected(outgoing: &Outgoing, location: &str) -> Option<Url> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_str(location).ok()?);
    redirect::next(outgoing, StatusCode::FOUND, &headers, 0).ok()?
}

fn judge(outgoing: &Outgoing, pattern: &str) {
    let url = outgoing.url();
    let (host, port) = outgoing.host().expect("what is no place is refused");
    assert!(matches!(url.scheme(), "http" | "https") && port > 0);
    judge_text(url, &host, port);
    judge_sent(outgoing, &host, port);
    match &host {
        Host::Domain(name) => judge_name(name),
        Host::Ipv4(address) => judge_wildcards(outgoing, &host, (*address).into()),
        Host::Ipv6(address) => judge_wildcards(outgoing, &host, (*address).into()),
    }
    if let Ok(pattern) = pattern.parse() {
        judge_pattern(&pattern, url, &host, port);
    }
}

/// The text of the URL, read as simply as possible, has the same host and port.
fn judge_text(url: &Url, host: &Host<&str>, port: u16) {
    let (scheme, rest) = url.as_str().split_once("://").expect("a scheme");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    assert!(!authority.contains(['@', '%', '\\', '*']) && !authority.contains(char::is_control), "{url}");
    assert!(authority.is_ascii() && !authority.contains(' '), "{url}");
    assert_eq!(authority, written(host, port, scheme));
}

/// The text `host:port`, without a port that the scheme implies.
fn written(host: &Host<&str>, port: u16, scheme: &str) -> String {
    match (scheme, port) {
        ("http", 80) | ("https", 443) => host.to_string(),
        _ => format!("{host}:{port}"),
    }
}

/// The requests that are sent over HTTP/1 and HTTP/2 name this host and port.
fn judge_sent(outgoing: &Outgoing, host: &Host<&str>, port: u16) {
    let scheme = outgoing.url().scheme();
    if let Ok(message) = outgoing.message(false, None) {
        assert_eq!(message.headers()[HOST], written(host, port, scheme));
        let target = message.uri();
        assert!(target.authority().is_none() && target.path().starts_with('/'), "{target}");
    }
    if let Ok(message) = outgoing.message(true, None) {
        let uri = message.uri();
        assert_eq!(uri.host(), Some(&*host.to_string()));
        assert_eq!(uri.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 }), port);
        assert!(uri.authority().is_none_or(|authority| !authority.as_str().contains('@')));
    }
}

/// Where hyper's parser takes the guest's own text as well, and the host is plainly a name, both read the
/// same.
fn judge_plain_text(text: &str, url: &Url) {
    let Ok(uri) = text.parse::<Uri>() else { return };
    let (Some(_), Some(host), Some(name)) = (uri.scheme(), uri.host(), url.domain()) else { return };
    if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        assert!(host.eq_ignore_ascii_case(name), "{text} is {host} and {name}");
        assert_eq!(uri.port_u16().or(url.port_or_known_default()), url.port_or_known_default(), "{text}");
    }
}

/// A name is no address, neither for us nor for a C library, and is looked up as it is judged.
fn judge_name(name: &str) {
    let complete = name.strip_suffix('.').unwrap_or(name);
    assert!(complete.parse::<IpAddr>().is_err() && name.parse::<IpAddr>().is_err(), "{name}");
    let last = complete.rsplit('.').next().unwrap_or_default();
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    assert!(!hexadecimal && !decimal, "{name} may be read as an address");
    let query = Query {
        name: name.to_owned(),
        kind: RecordType::A,
        server: None,
        transport: Transport::Udp,
        timeout_ms: None,
    };
    if let Ok(question) = question(&query) {
        assert_eq!(question.name().replace('\\', "").trim_end_matches('.'), complete.replace('\\', ""));
    }
}

/// No wildcard reaches an address that is not the Internet's, however it is spelled.
fn judge_wildcards(outgoing: &Outgoing, host: &Host<&str>, address: IpAddr) {
    let (runtime, network) = &*NETWORK;
    let everywhere = || vec!["http://*:*".parse().expect("valid"), "https://*:*".parse().expect("valid")];
    let tenant = Ceiling::tenant("team-a", "cluster.local", Default::default());
    for (ceiling, private) in [(&Ceiling::open(), false), (&Ceiling::open(), true), (&tenant, true)] {
        let reach = authorization(everywhere(), private, ceiling).http(Method::Get, outgoing.url());
        let reach = reach.expect("every origin is granted");
        let inside = private && ceiling.home().is_none();
        assert!(reach <= if inside { Reach::Private } else { Reach::Public });
        if let Ok(dialled) = runtime.block_on(network.resolve("fuzz", host, IpFamily::Any, reach)) {
            assert_eq!(dialled, [address]);
            assert!(is_public(address) || inside && is_private(address), "{address} is dialled");
        }
    }
}

fn authorization(
    hosts: Vec<OriginPattern>,
    private: bool,
    ceiling: &std::sync::Arc<Ceiling>,
) -> Authorization {
    let http = vec![HttpGrant { hosts, methods: vec![Method::Get], private }];
    Authorization::new("team-a", Grants { http, ..Grants::default() }, None, ceiling)
        .expect("no account is asked for")
}

/// Whether an address is one of the Internet, by the words of the standard library.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified())
        }
        IpAddr::V6(address) => {
            let ends = address.to_ipv4().is_none_or(|carried| is_public(carried.into()));
            ends && !(address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local())
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.octets()[0] == 100,
        IpAddr::V6(address) => {
            address.is_unique_local() || address.to_ipv4().is_some_and(|carried| is_private(carried.into()))
        }
    }
}

/// A pattern matches exactly what its text says.
fn judge_pattern(pattern: &OriginPattern, url: &Url, host: &Host<&str>, port: u16) {
    let shown = pattern.to_string();
    assert_eq!(shown.parse::<OriginPattern>().as_ref(), Ok(pattern), "{shown}");
    let granted = authorization(vec![pattern.clone()], false, &Ceiling::open()).http(Method::Get, url);
    let (scheme, rest) = shown.split_once("://").expect("a scheme");
    let (name, ports) = match rest.rsplit_once(':') {
        Some((name, ports)) if !ports.contains(']') => (name, ports),
        _ => (rest, if scheme == "http" { "80" } else { "443" }),
    };
    let host = match host {
        Host::Ipv6(address) => match IpAddr::V6(*address).to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        },
        other => other.to_string(),
    };
    let meant = scheme == url.scheme() && is_meant(name, host.trim_end_matches('.')) && contains(ports, port);
    assert_eq!(granted.is_ok(), meant, "{shown} and {url}");
    let wide = name.starts_with('*') && granted.is_ok_and(|reach| reach > Reach::Public);
    assert!(!wide, "{shown} reaches too far for {url}");
}

fn is_meant(name: &str, host: &str) -> bool {
    match name.strip_prefix('*') {
        Some("") => true,
        // An address never ends like a name.
        Some(parent) => host.len() > parent.len() && host.ends_with(parent),
        None => name == host,
    }
}

fn contains(ports: &str, port: u16) -> bool {
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<u16>().expect("a port");
    ports == "*" || (number(first)..=number(last)).contains(&port)
}
