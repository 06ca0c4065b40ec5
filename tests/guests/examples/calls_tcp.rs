//! Connects, sends, receives and goes on with TLS as its settings say; answers with what came.

use std::time::Duration;

use aviary_guest::tcp::{Connection, Error};
use aviary_guest::tls::TlsSettings;
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallsTcp {
    address: String,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    tls: Option<TlsSettings>,
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    send: Option<String>,
    /// The most bytes that are received, until the peer ends the connection.
    #[serde(default)]
    receive: u32,
    /// How many times the connection is opened. All of them are kept.
    #[serde(default = "one")]
    connections: u32,
}

impl Check for CallsTcp {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(match self.converse() {
            Ok(message) => Outcome::pass(message),
            Err(error) => Outcome::fail(format!("{error} ({error:?})")),
        })
    }
}

impl CallsTcp {
    fn converse(&self) -> Result<String, Error> {
        let timeout = self.timeout_ms.map(Duration::from_millis);
        let mut kept = Vec::new();
        for _ in 1..self.connections {
            kept.push(Connection::open(&self.address, timeout)?);
        }
        let connection = Connection::open(&self.address, timeout)?;
        let mut message = format!("connected to {}", connection.remote_address());
        if let Some(tls) = self.tls.clone() {
            let certificate = connection.start_tls(&self.server_name, &tls.trust(), timeout)?;
            message.push_str(&format!(", {certificate:?}"));
        }
        if let Some(text) = &self.send {
            connection.send(text.as_bytes(), timeout)?;
        }
        let mut received = Vec::new();
        while let left @ 1.. = self.receive.saturating_sub(received.len() as u32) {
            match connection.receive(left, timeout)? {
                bytes if bytes.is_empty() => break,
                bytes => received.extend(bytes),
            }
        }
        Ok(format!("{message}, received {:?}", String::from_utf8_lossy(&received)))
    }
}

fn one() -> u32 {
    1
}

aviary_guest::export!(CallsTcp);
