//! TLS for `http` and `tcp`: whom to trust, the handshake, and what the peer's certificate says.

mod certificate;
mod stream;

pub use stream::Stream;

use super::bindings::aviary::check::tls::{Certificate, TlsError, TlsOptions};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

/// The most bytes of the certificates that a guest may give to trust.
const LONGEST_CA: usize = 64 * 1024;
/// The most configurations with guests' own certificates that are kept.
const KEPT: usize = 32;

/// The protocols that are offered over TLS by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 and HTTP/1.1 are offered.
    Http,
    /// No protocol is offered.
    None,
}

/// How a peer's certificate is trusted; equal for equal options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    verify: bool,
    ca: Option<[u8; 32]>,
}

/// The TLS configurations of the client, built once and shared: building one costs more than a handshake.
pub struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    verifying: [Arc<ClientConfig>; 2],
    trusting: [Arc<ClientConfig>; 2],
    own: Mutex<VecDeque<(Trust, Alpn, Arc<ClientConfig>)>>,
}

impl Trust {
    /// How these options trust; without options, by the daemon's root certificates.
    pub fn of(options: Option<&TlsOptions>) -> Self {
        let verify = options.is_none_or(|options| options.verify);
        let ca = options.filter(|_| verify).and_then(|options| options.ca.as_deref());
        Self { verify, ca: ca.map(|pem| Sha256::digest(pem).into()) }
    }
}

impl TlsConfigs {
    /// Trusts the root certificates of the system and those of `ca`, as PEM. An error if `ca` is no PEM text.
    pub fn new(ca: Option<&str>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = system_roots();
        if let Some(pem) = ca {
            add(&mut roots, pem)?;
        }
        let roots = Arc::new(roots);
        let both = |verify| -> Result<_, String> {
            Ok([build(&provider, &roots, verify, Alpn::Http)?, build(&provider, &roots, verify, Alpn::None)?])
        };
        let (verifying, trusting) = (both(true)?, both(false)?);
        Ok(Self { verifying, trusting, provider, roots, own: Mutex::default() })
    }

    /// The configuration for these options. An error if their certificates are no PEM.
    pub fn get(&self, options: Option<&TlsOptions>, alpn: Alpn) -> Result<Arc<ClientConfig>, String> {
        let trust = Trust::of(options);
        let shared = if trust.verify { &self.verifying } else { &self.trusting };
        match options.and_then(|options| options.ca.as_deref()) {
            Some(pem) if trust.verify => self.get_own(trust, pem, alpn),
            _ => Ok(Arc::clone(&shared[alpn as usize])),
        }
    }

    fn get_own(&self, trust: Trust, pem: &str, alpn: Alpn) -> Result<Arc<ClientConfig>, String> {
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, config)) = own().iter().find(|kept| (kept.0, kept.1) == (trust, alpn)) {
            return Ok(Arc::clone(config));
        }
        if pem.len() > LONGEST_CA {
            return Err(format!("the CA certificates are longer than {LONGEST_CA} bytes"));
        }
        let mut roots = RootCertStore::clone(&self.roots);
        add(&mut roots, pem)?;
        let config = build(&self.provider, &Arc::new(roots), true, alpn)?;
        let mut own = own();
        own.truncate(KEPT - 1);
        own.push_front((trust, alpn, Arc::clone(&config)));
        Ok(config)
    }
}

/// Makes the TLS handshake with the peer, who has to be `server`: a name or an address.
pub async fn handshake(
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
    stream: TcpStream,
) -> Result<(Stream, Option<Certificate>), TlsError> {
    let stream = TlsConnector::from(config).connect(server, stream).await.map_err(|error| explain(&error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.and_then(|certificate| certificate::read(certificate));
    Ok((Stream::Tls(Box::new(stream)), certificate))
}

/// The name or address that the peer has to prove, for the host of a URL.
pub fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, String> {
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

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        tracing::warn!(
            "the system has no root certificates{reason}; https to public names will fail: \
             install ca-certificates or set SSL_CERT_FILE"
        );
    }
    roots
}

fn add(roots: &mut RootCertStore, pem: &str) -> Result<(), String> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the CA certificates are no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a CA certificate cannot be used: {error}"))?;
        added += 1;
    }
    if added == 0 { Err("the CA certificates hold no PEM certificate".to_owned()) } else { Ok(()) }
}

fn build(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    verify: bool,
    alpn: Alpn,
) -> Result<Arc<ClientConfig>, String> {
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = if verify {
        builder.with_root_certificates(Arc::clone(roots))
    } else {
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate { schemes }))
    };
    let mut config = builder.with_no_client_auth();
    // No resumption, as a check measures a whole handshake.
    config.resumption = Resumption::disabled();
    if alpn == Alpn::Http {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(Arc::new(config))
}

/// Accepts whatever certificate the server shows, for `verify: false`.
#[derive(Debug)]
struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

fn explain(error: &io::Error) -> TlsError {
    use CertificateError as Certificate;
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) else {
        return TlsError::Handshake(format!("the server ended the connection: {error}"));
    };
    match cause {
        Error::InvalidCertificate(reason) => match reason {
            Certificate::Expired | Certificate::ExpiredContext { .. } => TlsError::Expired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => TlsError::NotYetValid,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => TlsError::WrongName,
            // A signature that does not fit comes from another authority of the same name.
            Certificate::UnknownIssuer | Certificate::BadSignature => TlsError::UnknownIssuer,
            Certificate::Revoked => TlsError::Revoked,
            Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                TlsError::BadCertificate("it is the certificate of an authority, not of a server".to_owned())
            }
            other => TlsError::BadCertificate(other.to_string()),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            TlsError::Handshake("the server does not speak TLS".to_owned())
        }
        other => TlsError::Handshake(other.to_string()),
    }
}
