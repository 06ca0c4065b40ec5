//! The verification of a server's certificate in one handshake, which keeps the path that it found.

use super::{certificate, certificate::Validity, roots::Roots, words};
use crate::capability::bindings::aviary::check::tls::{Certificate, TlsError};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::{Arc, OnceLock};
use webpki::{EndEntityCert, KeyUsage};

/// Verifies the certificate of one server, and keeps what it found.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The root certificates; none accepts any certificate.
    roots: Option<Arc<Roots>>,
    algorithms: WebPkiSupportedAlgorithms,
    found: OnceLock<Result<Certificates, TlsError>>,
}

/// The certificates of a server: its own, and those of its path that end first and begin last.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    pub(super) own: Certificate,
    pub(super) first_to_end: Certificate,
    pub(super) last_to_begin: Certificate,
}

impl Verifier {
    /// A verifier for one handshake.
    pub(super) fn new(roots: Option<Arc<Roots>>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { roots, algorithms, found: OnceLock::new() }
    }

    /// What was found; none if the handshake has not come to the certificate.
    pub(super) fn found(&self) -> Option<&Result<Certificates, TlsError>> {
        self.found.get()
    }

    fn verify(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Certificates, TlsError> {
        let Some(roots) = &self.roots else {
            let validities = others.iter().filter_map(|der| Some((der, certificate::validity(der)?)));
            return Certificates::of(own, validities);
        };
        let explain = |error| words::of_certificate(&error, own, others, now);
        let leaf = EndEntityCert::try_from(own).map_err(explain)?;
        let (algorithms, usage) = (self.algorithms.all, KeyUsage::server_auth());
        let path = leaf
            .verify_for_usage(algorithms, &roots.store.roots, others, now, usage, None, None)
            .map_err(explain)?;
        leaf.verify_is_valid_for_subject_name(name).map_err(explain)?;
        let between: Vec<_> = path.intermediate_certificates().map(webpki::Cert::der).collect();
        let validities = between.iter().filter_map(|der| Some((der, certificate::validity(der)?)));
        Certificates::of(own, validities.chain(roots.find(path.anchor())))
    }
}

impl Certificates {
    /// The facts of a certificate and of the others of its path.
    fn of<'a, 'b: 'a>(
        own: &'a CertificateDer<'b>,
        others: impl Iterator<Item = (&'a CertificateDer<'b>, Validity)>,
    ) -> Result<Self, TlsError> {
        let broken = || TlsError::BadCertificate("it cannot be read".to_owned());
        let facts = certificate::read(own).ok_or_else(broken)?;
        let validity = Validity { not_before: facts.not_before, not_after: facts.not_after };
        let (mut first, mut last) = ((own, validity), (own, validity));
        for other in others {
            if other.1.not_after < first.1.not_after {
                first = other;
            }
            if other.1.not_before > last.1.not_before {
                last = other;
            }
        }
        let read = |der: &CertificateDer<'_>| certificate::read(der).ok_or_else(broken);
        Ok(Self { own: facts, first_to_end: read(first.0)?, last_to_begin: read(last.0)? })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.found.get_or_init(|| self.verify(own, others, name, now));
        let verified = found.as_ref().map(|_| ServerCertVerified::assertion());
        // The words for people are those that were kept.
        verified.map_err(|_| Error::General("the certificate is not trusted".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.roots {
            Some(_) => verify_tls12_signature(message, certificate, signature, &self.algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.roots {
            Some(_) => verify_tls13_signature(message, certificate, signature, &self.algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
