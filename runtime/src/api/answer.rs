//! What requests and answers have in common.

use crate::spec::Key;
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OwnedSemaphorePermit;

/// Why a request was not done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// What was wrong and what to do next.
    error: String,
}

/// An answer that says why not.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    error: String,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, error: impl Into<String>) -> Self {
        Self { code, error: error.into() }
    }

    pub(super) fn unknown(key: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no check {key}; /api/v1/checks lists all of them"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        (self.code, no_store, Json(Problem { error: self.error })).into_response()
    }
}

/// The query of a request; unknown keys are refused.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| Refusal::new(error.status(), error.body_text()))
    }
}

/// The check that the path names.
pub(super) struct Named(pub(super) Key);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((namespace, name)) =
            path.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
        let text = format!("{namespace}/{name}");
        text.parse().map(Self).map_err(|_| Refusal::unknown(&text))
    }
}

/// A large body; its permit is free again once the last byte is on its way.
pub(super) struct Large {
    pub(super) body: Vec<u8>,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl From<Large> for Bytes {
    fn from(large: Large) -> Self {
        Self::from_owner(large)
    }
}
