//! The conversation with a target: connects and goes through the steps.

use aviary_guest::pattern::Pattern;
use aviary_guest::tcp::{Connection, Error};
use aviary_guest::tls::Certificate;

use crate::heard::Heard;
use crate::judge::{Failure, Seen};
use crate::settings::{Settings, Step};

/// How many bytes are read at a time.
const CHUNK: u32 = 4_096;

/// Connects to a target and goes through the steps. The error says at which step that failed.
pub(crate) fn hold(settings: &Settings, target: &str) -> Result<Seen, Failure> {
    let connection = Connection::open(target, settings.timeout).map_err(Failure::at("connecting"))?;
    let mut seen =
        Seen { connect: connection.connect_time(), address: connection.remote_address(), certificate: None };
    if settings.is_tls_first() {
        seen.certificate = Some(start_tls(settings, target, &connection).map_err(Failure::at("TLS"))?);
    }
    let mut heard = Heard::default();
    for (number, step) in (1..).zip(&settings.steps) {
        match step {
            Step::Send(text) => connection.send(text.as_bytes(), settings.timeout).map_err(String::from),
            Step::Expect(pattern) => expect(settings, &connection, &mut heard, pattern),
            Step::StartTls => begin_tls(settings, target, &connection, &mut heard)
                .map(|certificate| seen.certificate = Some(certificate)),
        }
        .map_err(Failure::at(format!("step {number} ({step})")))?;
    }
    Ok(seen)
}

fn expect(
    settings: &Settings,
    connection: &Connection,
    heard: &mut Heard,
    pattern: &Pattern,
) -> Result<(), String> {
    while !heard.take(pattern) {
        hear(settings, connection, heard)?;
    }
    Ok(())
}

fn hear(settings: &Settings, connection: &Connection, heard: &mut Heard) -> Result<(), String> {
    let bytes = connection.receive(CHUNK, settings.timeout);
    heard.add(&bytes.map_err(|error| format!("{error} {}", heard.so_far()))?)
}

/// Goes on with TLS, once the line that was matched last is over.
fn begin_tls(
    settings: &Settings,
    target: &str,
    connection: &Connection,
    heard: &mut Heard,
) -> Result<Certificate, String> {
    while heard.is_within_line() {
        hear(settings, connection, heard)?;
    }
    heard.begin_tls()?;
    start_tls(settings, target, connection).map_err(String::from)
}

fn start_tls(settings: &Settings, target: &str, connection: &Connection) -> Result<Certificate, Error> {
    let tls = settings.tls.clone().unwrap_or_default();
    let name = tls.server_name.as_deref().unwrap_or_else(|| host(target));
    connection.start_tls(name, &tls.trust.into(), settings.timeout)
}

/// The host of `host:port`, with an IPv6 address without its brackets.
fn host(target: &str) -> &str {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_stands_before_the_port() {
        assert_eq!(host("db.example:5432"), "db.example");
        assert_eq!(host("[2001:db8::1]:443"), "2001:db8::1");
    }
}
