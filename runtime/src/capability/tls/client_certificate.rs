//! Client certificates that guests give as PEM.

use crate::capability::bindings::aviary::check::tls::ClientCertificate;
use rustls::{
    Error, InconsistentKeys, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// The choice of the client certificate in one handshake, which notes whether the server has asked for one.
#[derive(Debug)]
pub(super) struct Choice {
    config: Arc<dyn ResolvesClientCert>,
    is_asked_for: AtomicBool,
}

impl Choice {
    /// Chooses for one handshake as the configuration does.
    pub(super) fn new(config: Arc<dyn ResolvesClientCert>) -> Self {
        Self { config, is_asked_for: AtomicBool::new(false) }
    }

    /// Whether the server has asked for a client certificate.
    pub(super) fn is_asked_for(&self) -> bool {
        self.is_asked_for.load(Relaxed)
    }
}

impl ResolvesClientCert for Choice {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked_for.store(true, Relaxed);
        self.config.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.config.has_certs()
    }
}

/// The most bytes of a client certificate with its chain, and of its key.
const LONGEST: usize = 64 * 1024;

/// The certificates and the key of a client. The error says what is wrong, and shows nothing of the key.
pub(super) fn read(
    own: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    if own.chain.len() > LONGEST || own.key.len() > LONGEST {
        return Err(format!("the client certificate or its key is longer than {LONGEST} bytes"));
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own.chain.as_bytes()).collect();
    let chain = chain.map_err(|_| "the client certificate is no PEM".to_owned())?;
    if chain.is_empty() {
        return Err("the client certificate holds no PEM block `CERTIFICATE`".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).map_err(|_| {
        if own.key.contains("ENCRYPTED") {
            "the key of the client certificate is encrypted: store it without a passphrase, in a Secret".to_owned()
        } else {
            "the key of the client certificate holds no PEM block `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE \
             KEY`"
                .to_owned()
        }
    })?;
    Ok((chain, key))
}

/// Why a certificate and a key cannot be used together.
pub(super) fn explain(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not fit the client certificate: take the key that the first certificate was issued for"
        }
        Error::InvalidCertificate(_) => "the client certificate cannot be read",
        _ => "the key of the client certificate cannot be used: RSA from 2048 bits, ECDSA and Ed25519 can",
    }
    .to_owned()
}
