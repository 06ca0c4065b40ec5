//! Capabilities: what the host offers to guests, with one word and one module for each interface of `wit/`.

mod call_end;
pub mod calls;
pub mod dial;
pub mod dns;
mod host;
pub mod http;
mod in_flight;
pub mod kubernetes;
mod link;
pub mod log;
pub mod metrics;
pub mod secrets;
pub mod sockets;
pub mod tcp;
#[cfg(test)]
mod testing;
pub mod tls;

pub(crate) use host::HostResources;
pub use host::HostState;
pub(crate) use in_flight::{Crowded, InFlightBytes};
pub(crate) use link::add_to_linker;

use std::time::Duration;

/// The contract as Rust types, made from `wit/`.
#[expect(missing_docs, reason = "the documentation stands in the WIT files")]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "check",
        imports: {
            "aviary:check/dns": async,
            "aviary:check/http.read-on": async | trappable,
            "aviary:check/http": async,
            "aviary:check/kubernetes": async,
            "aviary:check/secrets": async,
            "aviary:check/tcp.[method]connection.connect-ns": trappable | exact,
            "aviary:check/tcp.[method]connection.remote-address": trappable | exact,
            "aviary:check/tcp": async | trappable,
        },
        exports: { default: async },
        with: {
            "aviary:check/http.rest": super::http::Rest,
            "aviary:check/tcp.connection": super::tcp::Connection,
        },
        trappable_error_type: { "aviary:check/tcp.error" => super::tcp::Failure },
    });
}

// The interfaces `tls` and `types` hold nothing but types.
impl bindings::aviary::check::tls::Host for HostState {}
impl bindings::aviary::check::types::Host for HostState {}

/// The timeout that a guest gave in milliseconds.
fn milliseconds(timeout: Option<u32>) -> Option<Duration> {
    timeout.map(|timeout| Duration::from_millis(timeout.into()))
}

/// A duration in nanoseconds, as guests get it.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The start of a guest's text, made safe for a message.
fn shorten(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
