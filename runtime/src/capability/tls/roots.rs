//! Root certificates, and how long they are valid.

use super::certificate::{self, Validity};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, TrustAnchor, pem::PemObject},
};

/// Root certificates to trust.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    pub(super) store: RootCertStore,
    /// The certificates of the store in the same order, each with its validity if that can be read.
    certificates: Vec<(CertificateDer<'static>, Option<Validity>)>,
}

impl Roots {
    /// The root certificates of the system. Those that cannot be read are left out.
    pub(super) fn of_system() -> Self {
        let mut roots = Self { store: RootCertStore::empty(), certificates: Vec::new() };
        let found = rustls_native_certs::load_native_certs();
        for certificate in found.certs {
            let _ = roots.add_one(certificate);
        }
        if roots.store.is_empty() {
            let reason = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            tracing::warn!(
                "the system has no root certificates{reason}; https to public names will fail: \
                 install ca-certificates or set SSL_CERT_FILE"
            );
        }
        roots
    }

    /// Adds the certificates of a PEM text. An error if there are none, or if one of them cannot be used.
    pub(super) fn add(&mut self, pem: &str) -> Result<(), String> {
        let before = self.certificates.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let number = self.certificates.len() - before + 1;
            let certificate = certificate.map_err(|_| {
                format!("the CA certificates are no PEM: block {number} is cut off, or is no base64")
            })?;
            self.add_one(certificate).map_err(|_| {
                format!("CA certificate {number} cannot be read: take it anew from its authority, as PEM")
            })?;
        }
        match self.certificates.len() > before {
            true => Ok(()),
            false => Err("the CA certificates hold no PEM block `CERTIFICATE`".to_owned()),
        }
    }

    fn add_one(&mut self, certificate: CertificateDer<'static>) -> Result<(), rustls::Error> {
        self.store.add(certificate.clone())?;
        let validity = certificate::validity(&certificate);
        self.certificates.push((certificate, validity));
        Ok(())
    }

    /// The certificate of an anchor of the store, and its validity.
    pub(super) fn find(&self, anchor: &TrustAnchor<'_>) -> Option<(&CertificateDer<'static>, Validity)> {
        let index = self.store.roots.iter().position(|root| std::ptr::eq(root, anchor))?;
        let (certificate, validity) = self.certificates.get(index)?;
        Some((certificate, (*validity)?))
    }
}
