//! TLS for the server, with a certificate that may change while the daemon runs.

use super::write_timeout::WriteTimeout;
use crate::api::reloading_file::FileContent;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::parse_x509_certificate;

/// How long a TLS handshake may take, the wait for its first byte included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake: the content type `handshake` of a record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// How many bytes of a request in plain HTTP are read before the refusal, so that the answer arrives.
const PLAIN_HEAD: usize = 4096;
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
    Connection: close\r\n\r\n{\"error\":\"this port speaks TLS: ask it with https://\"}\n";

/// The server's TLS certificate with its chain, and the private key.
pub struct Tls {
    acceptor: TlsAcceptor,
    expires: Timestamp,
}

impl FileContent for Tls {
    const WHAT: &'static str = "tls";

    fn parse(contents: &[Vec<u8>]) -> Result<Self, String> {
        let [chain, key] = contents else { return Err("expected a certificate and its key".to_owned()) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| format!("the certificate is not PEM: {error}"))?;
        let first = chain.first().ok_or("there is no certificate in PEM")?;
        let expires = expiry(first)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key is not PEM: {error}"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| format!("certificate and key cannot be used together: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: Arc::new(config).into(), expires })
    }

    fn expires(&self) -> Option<Timestamp> {
        Some(self.expires)
    }
}

impl Tls {
    /// Makes the TLS handshake with a client. A client that speaks plain HTTP gets an answer that says so.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<WriteTimeout>> {
        let handshake = async {
            let mut first = [0];
            match stream.peek(&mut first).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ if first[0] == HANDSHAKE => self.acceptor.accept(WriteTimeout::new(stream)).await,
                _ => Err(refuse(stream).await),
            }
        };
        timeout(HANDSHAKE_TIMEOUT, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

async fn refuse(mut stream: TcpStream) -> io::Error {
    let told = async {
        let _ = stream.read(&mut [0; PLAIN_HEAD]).await?;
        stream.write_all(PLAIN_ANSWER).await?;
        stream.shutdown().await
    };
    told.await.err().unwrap_or_else(|| io::Error::other("the client does not speak TLS"))
}

fn expiry(certificate: &[u8]) -> Result<Timestamp, String> {
    let (_, parsed) = parse_x509_certificate(certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let seconds = parsed.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map_err(|error| format!("the certificate's end cannot be meant: {error}"))
}
