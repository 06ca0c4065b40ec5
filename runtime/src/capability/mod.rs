//! What the host offers to guests: one word and one file for each interface of `wit/`.

pub mod calls;
pub mod dial;
pub mod dns;
mod ended;
pub mod http;
pub mod kubernetes;
pub mod log;
pub mod metrics;
pub mod secrets;
pub mod sockets;
pub mod tcp;
#[cfg(test)]
mod testing;
pub mod tls;

use crate::sandbox::State;
use std::time::Duration;

/// The contract as Rust types, made from `wit/`.
#[expect(missing_docs, reason = "the documentation stands in the WIT files")]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "check",
        imports: {
            "aviary:check/dns": async,
            "aviary:check/http": async,
            "aviary:check/kubernetes": async,
            "aviary:check/secrets": async,
            "aviary:check/tcp.[method]connection.connect-ns": trappable | exact,
            "aviary:check/tcp.[method]connection.remote-address": trappable | exact,
            "aviary:check/tcp": async | trappable,
        },
        exports: { default: async },
        with: { "aviary:check/tcp.connection": super::tcp::Connection },
        trappable_error_type: { "aviary:check/tcp.error" => super::tcp::Failure },
    });
}

// These two interfaces hold nothing but types.
impl bindings::aviary::check::tls::Host for State {}
impl bindings::aviary::check::types::Host for State {}

/// Something that the host can do for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// DNS lookups.
    Dns,
    /// HTTP requests.
    Http,
    /// The Kubernetes API.
    Kubernetes,
    /// Log lines.
    Log,
    /// Metrics of the check's own.
    Metrics,
    /// Secrets by name.
    Secrets,
    /// TCP connections.
    Tcp,
}

impl Capability {
    /// Every capability, in the order of the discriminants.
    pub const ALL: [Self; 7] =
        [Self::Dns, Self::Http, Self::Kubernetes, Self::Log, Self::Metrics, Self::Secrets, Self::Tcp];

    /// The name of its interface in `wit/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Kubernetes => "kubernetes",
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Secrets => "secrets",
            Self::Tcp => "tcp",
        }
    }
}

/// A guest's timeout.
fn milliseconds(timeout: Option<u32>) -> Option<Duration> {
    timeout.map(|timeout| Duration::from_millis(timeout.into()))
}

/// A guest's text as a part of a message.
fn shorten(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
