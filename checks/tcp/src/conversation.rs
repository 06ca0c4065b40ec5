//! The conversation with a target: connects and goes through the steps.

use std::time::Instant;

use aviary_guest::tcp::{Connection, Error};
use aviary_guest::tls::TlsClient;

use crate::heard::Heard;
use crate::judge::{Failure, Seen};
use crate::presets::{Preset, Talk};
use crate::settings::Settings;
use crate::step::Step;

/// How many bytes are read at a time.
const CHUNK: u32 = 4_096;

/// A conversation under way.
struct Conversation<'a> {
    settings: &'a Settings,
    tls: &'a TlsClient,
    target: &'a str,
    connection: Connection,
    heard: Heard,
    seen: Seen,
}

/// Connects to a target and goes through the steps. The error says at which step that failed.
pub(crate) fn hold(settings: &Settings, tls: &TlsClient, target: &str) -> Result<Seen, Failure> {
    let connection = Connection::open_by(target, settings.ip_family, settings.timeout);
    let connection = connection.map_err(Failure::at("connecting"))?;
    let seen = Seen {
        connect: connection.connect_time(),
        address: connection.remote_address(),
        handshake: None,
        session: None,
    };
    let heard = Heard::default();
    let mut conversation = Conversation { settings, tls, target, connection, heard, seen };
    if settings.is_tls_first() {
        conversation.start_tls().map_err(Failure::at("TLS"))?;
    }
    for (number, step) in (1..).zip(&settings.steps) {
        conversation.take(step).map_err(Failure::at(format!("step {number} ({step})")))?;
    }
    Ok(conversation.seen)
}

impl Conversation<'_> {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send(text) => self.send(text.as_bytes()),
            Step::SendBytes(bytes) => self.send(&bytes.0),
            Step::Expect(pattern) => self.hear_until(|heard| heard.take(pattern)),
            Step::ExpectBytes(bytes) => self.hear_until(|heard| heard.take_bytes(&bytes.0)),
            Step::StartTls(preset) => self.begin_tls(*preset),
            Step::FinishSending => Ok(self.connection.finish_sending(self.settings.timeout)?),
            Step::ExpectEnd => self.hear_end(),
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), String> {
        Ok(self.connection.send(bytes, self.settings.timeout)?)
    }

    fn hear_until(&mut self, mut is_enough: impl FnMut(&mut Heard) -> bool) -> Result<(), String> {
        while !is_enough(&mut self.heard) {
            self.hear()?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), String> {
        let bytes = self.connection.receive(CHUNK, self.settings.timeout);
        self.heard.add(&bytes.map_err(|error| format!("{error} {}", self.heard.so_far()))?)
    }

    fn hear_end(&mut self) -> Result<(), String> {
        loop {
            match self.connection.receive(CHUNK, self.settings.timeout) {
                Ok(bytes) if bytes.is_empty() => return Ok(()),
                Ok(bytes) => self.heard.add(&bytes)?,
                Err(Error::Closed) => return Ok(()),
                Err(error) => return Err(format!("{error} {}", self.heard.so_far())),
            }
        }
    }

    /// Goes on with TLS, once the line that was matched last is over.
    fn begin_tls(&mut self, preset: Option<Preset>) -> Result<(), String> {
        for talk in preset.map(|preset| preset.steps(host(self.target))).unwrap_or_default() {
            match talk {
                Talk::Say(bytes) => self.send(&bytes)?,
                Talk::Hear(pattern) => self.hear_until(|heard| heard.take(&pattern))?,
                Talk::Message(message) => {
                    let mut came = None;
                    self.hear_until(|heard| {
                        came = heard.take_message(|start| message.length(start));
                        came.is_some()
                    })?;
                    message.judge(&came.unwrap_or_default())?;
                }
            }
        }
        if preset.is_some() {
            self.heard.end_exactly();
        }
        while self.heard.is_within_line() {
            self.hear()?;
        }
        self.heard.begin_tls()?;
        Ok(self.start_tls()?)
    }

    fn start_tls(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        let session = self.connection.secure(self.tls, self.settings.timeout)?;
        (self.seen.handshake, self.seen.session) = (Some(since.elapsed()), Some(session));
        Ok(())
    }
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
