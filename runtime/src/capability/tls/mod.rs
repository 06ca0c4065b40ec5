//! TLS for `http` and `tcp`: whom to trust, the handshake, and what it tells of the server.

mod certificate;
mod client_certificate;
mod configs;
mod roots;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;
mod verifier;
mod words;

pub use configs::{TlsConfig, TlsConfigs, Trust};
pub use stream::Stream;
pub use words::of_stream as error_of_stream;

use super::bindings::aviary::check::tls::{TlsClient, TlsError, TlsSession, TlsVersion};
use client_certificate::Choice;
use rustls::{ClientConnection, ProtocolVersion, client::ResolvesClientCert, pki_types::ServerName};
use std::{net::IpAddr, sync::Arc};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use url::Host;
use verifier::{Certificates, Verifier};

/// The protocols that are offered over TLS by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 and HTTP/1.1 are offered.
    Http,
    /// No protocol is offered.
    None,
}

/// Makes the TLS handshake with a server that has to prove `server`, which is a name or an address. A server that has
/// asked for a client certificate has also judged it then.
pub async fn handshake(
    config: &TlsConfig,
    server: ServerName<'static>,
    stream: TcpStream,
) -> Result<(Stream, TlsSession), TlsError> {
    let mut own = config.config.clone();
    let algorithms = own.crypto_provider().signature_verification_algorithms;
    let verifier = Arc::new(Verifier::new(config.roots.clone(), algorithms));
    own.dangerous().set_certificate_verifier(Arc::clone(&verifier) as _);
    let choice = Arc::new(Choice::new(Arc::clone(&own.client_auth_cert_resolver)));
    let has_certificate = choice.has_certs();
    own.client_auth_cert_resolver = Arc::clone(&choice) as _;
    let explain =
        |error| words::of_handshake(&error, choice.is_asked_for() && !has_certificate, config.minimum);
    let since = Instant::now();
    let connected = TlsConnector::from(Arc::new(own)).connect(server, stream).await;
    let mut stream = match (connected, verifier.found()) {
        (_, Some(Err(refused))) => return Err(refused.clone()),
        (connected, _) => connected.map_err(explain)?,
    };
    if choice.is_asked_for() && stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        verdict::wait(&mut stream, since.elapsed()).await.map_err(explain)?;
    }
    let Some(Ok(found)) = verifier.found() else {
        return Err(TlsError::Handshake("the server showed no certificate".to_owned()));
    };
    let session = session(stream.get_ref().1, found.clone());
    Ok((Stream::Tls(Box::new(stream)), session))
}

fn session(connection: &ClientConnection, found: Certificates) -> TlsSession {
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    TlsSession {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        },
        cipher_suite: suite.unwrap_or_default().to_owned(),
        certificate: found.own,
        first_to_end: found.first_to_end,
        last_to_begin: found.last_to_begin,
    }
}

/// The name or address that the server has to prove: that of the options, or the host that is dialled. An error if no
/// certificate can speak for it.
pub fn server_name(client: Option<&TlsClient>, host: &Host<&str>) -> Result<ServerName<'static>, String> {
    let Some(given) = client.and_then(|client| client.server_name.as_deref()) else { return proof_of(host) };
    let host = Host::parse(given).map_err(|error| format!("the server name is broken: {error}"))?;
    proof_of(&borrowed(&host))
}

fn proof_of(host: &Host<&str>) -> Result<ServerName<'static>, String> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::IpAddress(IpAddr::V4(*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress(IpAddr::V6(*address).into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned())
                .map_err(|_| format!("no certificate can speak for `{name}`"))
        }
    }
}

/// The same host, with a borrowed name.
pub fn borrowed(host: &Host) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}
