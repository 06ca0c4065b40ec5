//! The words for what goes wrong with TLS. Nothing of a library's own text is shown.

use super::certificate;
use crate::capability::bindings::aviary::check::tls::{TlsError, TlsVersion};
use rustls::{
    AlertDescription as Alert, CertificateError, Error, InvalidMessage, PeerIncompatible,
    pki_types::{CertificateDer, UnixTime},
};
use std::io;
use webpki::Error as Path;

/// What this client offers in a handshake.
const OFFER: &str = "TLS 1.2 and 1.3 with ECDHE and AES-GCM or ChaCha20-Poly1305";
/// What this client offers in a handshake where TLS 1.3 is the minimum.
const OFFER_OF_TLS13: &str = "TLS 1.3 with AES-GCM or ChaCha20-Poly1305";

/// Why a handshake failed. `wants_certificate` says that the server asked for a client certificate and got none: before
/// TLS 1.3 it refuses that with an alert that says nothing more.
pub(super) fn of_handshake(error: &io::Error, wants_certificate: bool, minimum: TlsVersion) -> TlsError {
    let offer = match minimum {
        TlsVersion::Tls12 => OFFER,
        TlsVersion::Tls13 => OFFER_OF_TLS13,
    };
    TlsError::Handshake(match cause_of(error) {
        Some(Error::AlertReceived(Alert::HandshakeFailure)) if wants_certificate => {
            of_alert(Alert::CertificateRequired, offer)
        }
        Some(Error::AlertReceived(Alert::ProtocolVersion)) if minimum == TlsVersion::Tls13 => {
            of_error(&PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into(), offer)
        }
        Some(cause) => of_error(cause, offer),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof => "the server ended the connection".to_owned(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the server reset the connection".to_owned()
            }
            _ => format!("the connection broke: {error}"),
        },
    })
}

/// Why TLS ended a stream, also after the handshake: with TLS 1.3, a server refuses a client certificate only then.
/// None if the error is not one of TLS.
pub fn of_stream(error: &io::Error) -> Option<TlsError> {
    Some(TlsError::Handshake(of_error(cause_of(error)?, OFFER)))
}

fn cause_of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn of_error(error: &Error, offer: &str) -> String {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert, offer),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS".to_owned()
        }
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => {
            "the server sent what is no message of TLS at this point".to_owned()
        }
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            format!("the server speaks older versions of TLS only; offered are {offer}")
        }
        Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            "the server does not speak TLS 1.3, which is the minimum here".to_owned()
        }
        Error::PeerIncompatible(_) => format!("the server chose what was not offered; offered are {offer}"),
        Error::PeerMisbehaved(_) => "the server broke the rules of TLS".to_owned(),
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the server does not have the key of its certificate".to_owned()
        }
        Error::InvalidCertificate(_) => {
            "the key of the certificate cannot be used as the server used it".to_owned()
        }
        Error::DecryptError | Error::PeerSentOversizedRecord => {
            "the server sent what cannot be decrypted".to_owned()
        }
        Error::NoApplicationProtocol => "the server speaks none of the offered protocols".to_owned(),
        _ => "the handshake could not be made".to_owned(),
    }
}

fn of_alert(alert: Alert, offer: &str) -> String {
    let name = name(alert);
    match alert {
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            format!("the server accepts none of what is offered, {offer}; it answered `{name}`")
        }
        Alert::CertificateRequired => {
            "the server wants a client certificate: give one with `tls.clientCertificate`".to_owned()
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            format!("the server refuses the client certificate, or wants one; it answered `{name}`")
        }
        Alert::UnrecognisedName => {
            format!(
                "the server knows no site of that name: `serverName` chooses another; it answered `{name}`"
            )
        }
        Alert::NoApplicationProtocol => {
            format!("the server speaks neither HTTP/2 nor HTTP/1.1; it answered `{name}`")
        }
        _ => format!("the server ended it with the alert `{name}`"),
    }
}

/// The name of an alert (RFC 8446, section 6).
fn name(alert: Alert) -> String {
    let Some(name) = alert.as_str() else { return u8::from(alert).to_string() };
    let mut words = String::new();
    for (index, letter) in name.char_indices() {
        let begins =
            letter.is_ascii_uppercase() && !name[..index].ends_with(|last: char| last.is_ascii_uppercase());
        if begins && index > 0 {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// Why a certificate is not trusted.
pub(super) fn of_certificate(
    error: &Path,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> TlsError {
    let words = match error {
        Path::CertExpired { .. } => return of_validity(own, others, now, TlsError::Expired),
        Path::CertNotValidYet { .. } => return of_validity(own, others, now, TlsError::NotYetValid),
        Path::CertNotValidForName(_) => return TlsError::WrongName,
        // A signature that does not fit comes from another authority of the same name.
        Path::UnknownIssuer | Path::InvalidSignatureForPublicKey => return TlsError::UnknownIssuer,
        Path::CertRevoked => return TlsError::Revoked,
        Path::CaUsedAsEndEntity => {
            "it is the certificate of an authority, not of a server: issue one for the server"
        }
        Path::EndEntityUsedAsCa => "it was issued by a certificate that is not one of an authority",
        Path::RequiredEkuNotFoundContext(_) | Path::EmptyEkuExtension => {
            "it is not meant for servers: issue one with the extended key usage `serverAuth`"
        }
        Path::NameConstraintViolation => "its authority may not vouch for its names",
        Path::PathLenConstraintViolated => "there are more authorities below its root than that one allows",
        Path::CertDistrusted => "its authority is distrusted",
        Path::UnsupportedCertVersion => "it is not of version 3: issue a new one",
        Path::UnsupportedCriticalExtension => "it has a critical extension that is not understood",
        Path::UnsupportedSignatureAlgorithmContext(_) | Path::SignatureAlgorithmMismatch => {
            "it is signed by an algorithm that is not accepted: use SHA-256 or better, with RSA, ECDSA or Ed25519"
        }
        Path::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "its authority is another one of the same name, or has a key that is not accepted: RSA from 2048 bits, \
             ECDSA P-256 and P-384, and Ed25519 are"
        }
        Path::MaximumNameConstraintComparisonsExceeded
        | Path::MaximumPathBuildCallsExceeded
        | Path::MaximumPathDepthExceeded
        | Path::MaximumSignatureChecksExceeded => "its path to a root certificate is too long or too tangled",
        Path::InvalidCertValidity => "it begins after its own end",
        Path::InvalidSerialNumber => "its serial number is longer than 20 bytes",
        _ => "it does not follow the rules for certificates (RFC 5280)",
    };
    TlsError::BadCertificate(words.to_owned())
}

/// The error for a date in the path: `own`, if it is that of the server's certificate; else one with words.
fn of_validity(
    der: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
    own: TlsError,
) -> TlsError {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let is_good =
        |der: &CertificateDer<'_>| certificate::validity(der).is_none_or(|validity| validity.contains(now));
    match others
        .iter()
        .filter(|_| is_good(der))
        .find(|other| !is_good(other))
        .and_then(|other| certificate::read(other))
    {
        Some(other) => {
            let subject: String = other.subject.chars().take(200).flat_map(char::escape_debug).collect();
            let when = if other.not_after < now { "has expired" } else { "is not valid yet" };
            TlsError::BadCertificate(format!("the certificate of its authority {subject} {when}"))
        }
        None => own,
    }
}
