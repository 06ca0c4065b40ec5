//! Failures of the API server in the words of the contract, and which of them are worth another try.

use crate::{
    capability::bindings::aviary::check::kubernetes::Error,
    cluster::{causes, code, in_words, is_too_large},
    ledger::{EnterError, Unproven},
};
use kube::error::DiscoveryError;

/// Whether the same request may succeed a moment later. A request that is not `safe` to send twice is worth
/// it only when the server says that it did nothing.
pub(super) fn is_passing(error: &kube::Error, safe: bool) -> bool {
    match error {
        kube::Error::Api(status) => match status.code {
            429 | 503 => true,
            500 | 502 | 504 => safe,
            _ => false,
        },
        kube::Error::HyperError(_) | kube::Error::Service(_) => safe && !is_too_large(error),
        _ => false,
    }
}

/// The error that the guest gets when a request fails.
pub(super) fn answer(error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(_) => refusal(error),
        kube::Error::Discovery(DiscoveryError::MissingKind(what) | DiscoveryError::MissingApiGroup(what)) => {
            Error::NotFound(format!("the cluster has no such kind of objects: {what}"))
        }
        error if is_too_large(error) => {
            Error::Invalid("the answer is too large: select or limit what is read".to_owned())
        }
        kube::Error::SerdeError(error) => {
            Error::Unavailable(format!("the answer is not understood: {error}"))
        }
        error => Error::Unavailable(format!("the API server cannot be reached: {}", root_cause(error))),
    }
}

/// The error that the guest gets when it may not make objects at a place.
pub(super) fn no_entry(error: &EnterError) -> Error {
    let why = error.to_string();
    match error {
        EnterError::Unproven(Unproven::Forbidden { .. }) => Error::Forbidden(why),
        EnterError::TooMany | EnterError::Unproven(Unproven::Impossible { .. }) => Error::Denied(why),
        EnterError::Book(_) | EnterError::Unproven(Unproven::Unknown { .. }) => Error::Unavailable(why),
    }
}

fn refusal(error: &kube::Error) -> Error {
    let message = in_words(error);
    match code(error) {
        Some(401 | 403) => Error::Forbidden(message),
        Some(404 | 410) => Error::NotFound(message),
        Some(409) => Error::Conflict(message),
        Some(400 | 405 | 406 | 413 | 415 | 422) => Error::Invalid(message),
        _ => Error::Unavailable(message),
    }
}

fn root_cause(error: &kube::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn status(code: u16) -> kube::Error {
        let status = Status { code, message: format!("status {code}"), ..Status::default() };
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn every_answer_of_the_server_has_its_word() {
        let word = |code| answer(&status(code));
        assert!(matches!(word(403), Error::Forbidden(text) if text == "status 403"));
        assert!(matches!(word(404), Error::NotFound(_)));
        assert!(matches!(word(409), Error::Conflict(_)));
        assert!(matches!(word(422), Error::Invalid(_)));
        assert!(matches!(word(500), Error::Unavailable(_)));
    }

    #[test]
    fn what_was_perhaps_done_is_not_done_twice() {
        assert!(is_passing(&status(500), true) && !is_passing(&status(500), false));
        assert!(is_passing(&status(429), true) && is_passing(&status(429), false));
        assert!(!is_passing(&status(404), true));
    }
}
