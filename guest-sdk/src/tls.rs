//! The TLS options of [`http`](crate::http) and [`tcp`](crate::tcp).

use std::fmt::{Display, Formatter, Result};

use serde::Deserialize;

pub use crate::bindings::aviary::check::tls::{Certificate, TlsError, TlsOptions};

impl Default for TlsOptions {
    /// The options that trust the daemon's root certificates.
    fn default() -> Self {
        Self { ca: None, verify: true }
    }
}

/// TLS options as settings have them: `{ca: <PEM>, skipVerify: false}`, each optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates to trust beside the daemon's root certificates, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub skip_verify: bool,
}

impl From<TlsSettings> for TlsOptions {
    fn from(settings: TlsSettings) -> Self {
        Self { ca: settings.ca, verify: !settings.skip_verify }
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
