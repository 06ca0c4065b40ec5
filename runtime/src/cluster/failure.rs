//! Failures of requests to the API server.

use super::values::TooManyValues;
use http_body_util::LengthLimitError;
use kube::core::Status;
use std::{error::Error, time::Duration};
use tokio::time::timeout;

/// How long the daemon itself waits for an answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for an answer of the API server, for ten seconds at most.
///
/// # Errors
/// Those of the request, and one of its own when no answer comes in time.
pub async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = |_| Err(kube::Error::Service(format!("no answer within {PATIENCE:?}").into()));
    timeout(PATIENCE, request).await.unwrap_or_else(late)
}

/// The error in words for people, down to its cause.
pub fn in_words(error: &kube::Error) -> String {
    let mut words = match error {
        kube::Error::Api(status) => return refusal(status),
        // The layer of the client says nothing to anybody, so its name is left out.
        kube::Error::Service(error) => error.to_string(),
        kube::Error::HyperError(error) => error.to_string(),
        error => error.to_string(),
    };
    for cause in causes(error) {
        let more = cause.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
    }
    words
}

/// A refusal in the words of the API server, or its code and reason if it has none. Any JSON object is read
/// as a refusal without words.
fn refusal(status: &Status) -> String {
    let said = [&status.message, &status.reason].into_iter().find(|words| !words.is_empty());
    said.cloned().unwrap_or_else(|| match status.code {
        0 => "the answer is neither what was asked for nor a reason why not".to_owned(),
        code => format!("refused without a reason (HTTP {code})"),
    })
}

/// The HTTP status with which the API server refused a request; none for other errors.
pub fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// Whether the error says that an answer was larger than it may be.
pub fn is_too_large(error: &kube::Error) -> bool {
    causes(error).any(|cause| cause.is::<LengthLimitError>() || cause.is::<TooManyValues>())
}

/// The error and what caused it, down to the root.
pub fn causes(error: &kube::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_not_waited_for() {
        let late = within(std::future::pending::<Result<(), _>>()).await.expect_err("no answer");
        assert_eq!(in_words(&late), "no answer within 10s");
        assert!(code(&late).is_none());
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        let refusal = |message: &str| {
            let status = Status { code: 403, message: message.to_owned(), ..Status::default() };
            kube::Error::Api(Status { reason: "Forbidden".to_owned(), ..status }.boxed())
        };
        assert_eq!(in_words(&refusal("not for you")), "not for you");
        assert_eq!(in_words(&refusal("")), "Forbidden");
        assert_eq!(code(&refusal("")), Some(403));
        let silent = |code| kube::Error::Api(Status { code, ..Status::default() }.boxed());
        assert_eq!(in_words(&silent(418)), "refused without a reason (HTTP 418)");
        assert!(in_words(&silent(0)).contains("neither what was asked for"));
    }

    #[test]
    fn each_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("no connection")]
        struct Unconnected(#[source] io::Error);
        let refused = io::Error::other("nobody listens");
        let error = kube::Error::Service(Unconnected(refused).into());
        assert_eq!(in_words(&error), "no connection: nobody listens");
        assert_eq!(causes(&error).last().expect("a root").to_string(), "nobody listens");
    }
}
