//! The pause that the API server asks for. Its limits on concurrent requests say so in a header alone. The
//! client keeps nothing but the body of a refusal.

use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full};
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CONTENT_LENGTH, RETRY_AFTER},
};
use kube::{
    client::DynBody,
    core::{Status, response::StatusDetails},
};
use std::time::Duration;
use tower::BoxError;

/// The most bytes that are read of a refusal.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// The pause that the API server asks for before the next request; zero if it does not ask for one.
pub fn asked_pause(error: &kube::Error) -> Duration {
    let kube::Error::Api(status) = error else { return Duration::ZERO };
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Duration::from_secs(seconds.into())
}

/// Writes the pause from the header of a refusal into its body, from which the error is made.
pub(super) fn keep(
    answer: Response<Box<DynBody>>,
) -> BoxFuture<'static, Result<Response<Box<DynBody>>, BoxError>> {
    async move {
        let Some(seconds) = asked(&answer) else { return Ok(answer) };
        let (mut head, mut body) = answer.into_parts();
        let mut text = Vec::new();
        // A refusal that is cut short is still a refusal.
        while let Some(Ok(frame)) = body.frame().await {
            text.extend(frame.into_data().unwrap_or_default());
            if text.len() > LARGEST_REFUSAL {
                break;
            }
        }
        let status = serde_json::to_vec(&refusal(head.status, &text, seconds))?;
        head.headers.remove(CONTENT_LENGTH);
        let body = Full::new(Bytes::from(status)).map_err(|never| match never {});
        let body: Box<DynBody> = Box::new(body);
        Ok(Response::from_parts(head, body))
    }
    .boxed()
}

fn asked<B>(answer: &Response<B>) -> Option<u32> {
    let refuses = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(RETRY_AFTER).filter(|_| refuses)?;
    seconds.to_str().ok()?.trim().parse().ok()
}

fn refusal(code: StatusCode, text: &[u8], seconds: u32) -> Status {
    let mut status = serde_json::from_slice::<Status>(text).unwrap_or_else(|_| {
        Status::failure(String::from_utf8_lossy(text).trim(), code.canonical_reason().unwrap_or_default())
    });
    if status.code == 0 {
        status.code = code.as_u16();
    }
    let details = status.details.get_or_insert_with(|| StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    status
}
