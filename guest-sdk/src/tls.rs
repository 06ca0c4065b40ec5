//! The TLS options of [`http`](crate::http) and [`tcp`](crate::tcp).

use std::fmt::{self, Display, Formatter};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

pub use crate::bindings::aviary::check::tls::{
    Certificate, ClientCertificate, TlsClient, TlsError, TlsOptions, TlsSession, TlsVersion,
};
use crate::secrets::SecretRef;

impl Default for TlsOptions {
    /// The options that trust the daemon's root certificates.
    fn default() -> Self {
        Self { ca: None, verify: true }
    }
}

/// TLS options as settings have them, each optional:
/// `{ca: <PEM>, skipVerify: false, serverName: <name>, minimumVersion: "1.2", clientCertificate: {…}}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates to trust beside the daemon's root certificates, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub skip_verify: bool,
    /// The name that is asked for, and that the certificate has to be for; without it, the host that is dialled.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The lowest version that is offered; without it, 1.2.
    #[serde(default)]
    pub minimum_version: Option<Version>,
    /// What is shown to a server that asks for a client certificate.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateSettings>,
}

/// A version of TLS as settings have it: `"1.2"` or `"1.3"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match String::deserialize(source)?.as_str() {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(D::Error::custom("a version of TLS is \"1.2\" or \"1.3\"")),
        }
    }
}

/// A client certificate in settings: `{certificate: {secret: <name>}, key: {secret: <name>}}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateSettings {
    /// The secret with the certificate as PEM, and after it those between it and an authority.
    pub certificate: SecretRef,
    /// The secret with the private key as PEM, not encrypted.
    pub key: SecretRef,
}

impl TlsSettings {
    /// Whom to trust, without the other options.
    #[must_use]
    pub fn trust(&self) -> TlsOptions {
        TlsOptions { ca: self.ca.clone(), verify: !self.skip_verify }
    }

    /// The options for the daemon. Reads the secrets of the client certificate; the error begins with `setting`, which is
    /// the key of these options.
    pub fn client(&self, setting: &str) -> Result<TlsClient, String> {
        let own = self.client_certificate.as_ref().map(|own| {
            Ok::<_, String>(ClientCertificate {
                chain: own.certificate.read_text(&format!("{setting}.clientCertificate.certificate"))?,
                key: own.key.read_text(&format!("{setting}.clientCertificate.key"))?,
            })
        });
        Ok(TlsClient {
            trust: self.trust(),
            server_name: self.server_name.clone(),
            minimum_version: self.minimum_version.map(|version| match version {
                Version::Tls12 => TlsVersion::Tls12,
                Version::Tls13 => TlsVersion::Tls13,
            }),
            client_certificate: own.transpose()?,
        })
    }
}

impl From<TlsVersion> for Version {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Tls12 => Self::Tls12,
            TlsVersion::Tls13 => Self::Tls13,
        }
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

impl Display for TlsError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::WrongName => f.write_str("the certificate is for other names"),
            Self::UnknownIssuer => {
                f.write_str("nobody trusted vouches for the certificate: give its root as `tls.ca`")
            }
            Self::Revoked => f.write_str("the certificate was revoked"),
            Self::BadCertificate(reason) => write!(f, "the certificate is not accepted: {reason}"),
            Self::Handshake(reason) => write!(f, "the TLS handshake failed: {reason}"),
        }
    }
}
