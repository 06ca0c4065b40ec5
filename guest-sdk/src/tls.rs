//! What [`http`](crate::http) and [`tcp`](crate::tcp) share about TLS.

use std::fmt::{Display, Formatter, Result};

pub use crate::bindings::aviary::check::tls::{Certificate, TlsError, TlsOptions};

impl Default for TlsOptions {
    /// Trusts the daemon's roots.
    fn default() -> Self {
        Self { ca: None, verify: true }
    }
}

impl Display for TlsError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::WrongName => f.write_str("the certificate is for other names"),
            Self::UnknownIssuer => f.write_str("nobody trusted vouches for the certificate"),
            Self::Revoked => f.write_str("the certificate was revoked"),
            Self::BadCertificate(reason) => write!(f, "the certificate is broken: {reason}"),
            Self::Handshake(reason) => write!(f, "the TLS handshake failed: {reason}"),
        }
    }
}
