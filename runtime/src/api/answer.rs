//! Parts that all requests and answers share.

use crate::value::Key;
use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Writes a value as JSON text with a line break at the end, for people at a terminal.
pub(super) fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A value as JSON text with a line break at the end.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    write_json(&mut text, value).expect("text, numbers, lists and maps by text are always JSON");
    text
}

/// An answer with a small JSON body, which no cache may store.
pub(super) struct Document<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Document<T> {
    fn into_response(self) -> Response {
        let head = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        (head, json(&self.0)).into_response()
    }
}

/// The body of a refusal: why a request was not answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// What was wrong, and what to do next.
    error: String,
}

/// An answer that refuses a request and says why.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    error: String,
    /// How long the client should wait before the next try, for `Retry-After`; none if no time is known.
    later: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, error: impl Into<String>) -> Self {
        Self { code, error: error.into(), later: None }
    }

    /// A refusal with the header `Retry-After`, which tells the client to wait for `wait`.
    pub(super) fn later(code: StatusCode, error: impl Into<String>, wait: Duration) -> Self {
        Self { later: Some(wait), ..Self::new(code, error) }
    }

    /// The body of the refusal, without its status code.
    pub(super) fn text(self) -> Vec<u8> {
        json(&Problem { error: self.error })
    }

    pub(super) fn unknown(key: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no check {key}; /api/v1/checks lists all of them"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // `Retry-After` takes whole seconds (RFC 9110). They are rounded up, so that no client comes too
        // early.
        let later = self.later.map(|wait| [(header::RETRY_AFTER, wait.as_secs_f64().ceil().to_string())]);
        (self.code, later, Document(Problem { error: self.error })).into_response()
    }
}

/// The query of a request, read as a `T`. A query that is no `T` is refused, such as one with an unknown key.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| {
            // The message begins with words of `axum`, which mean nothing to its readers.
            let why =
                error.body_text().replace("Failed to deserialize query string", "the query cannot be read");
            Refusal::new(error.status(), why)
        })
    }
}

/// The parameters of a request's path; a path that does not fit is refused.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|error| Refusal::new(error.status(), error.body_text()))
    }
}

/// The identity of the check that a request's path names. An identity that is not valid is refused with 404.
pub(super) struct Named(pub(super) Key);

/// The parameters of a path that names a check.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Identity {
    /// The namespace of the check.
    namespace: String,
    /// The name of the check.
    name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let InPath(Identity { namespace, name }) = InPath::from_request_parts(parts, state).await?;
        let text = format!("{namespace}/{name}");
        text.parse().map(Self).map_err(|_| Refusal::unknown(&text))
    }
}
