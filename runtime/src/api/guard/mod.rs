//! Access control: the credentials that a request needs, and the rate of requests of a client.

mod rate;
mod tokens;

pub use tokens::{Basic, Bearer};

use super::{answer::Refusal, client::Client, reloading_file::ReloadingFile};
use crate::settings::Rate;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use rate::RateLimit;
use std::sync::Arc;
use tokens::presented;

/// The credentials that a client has to show, and its rate of requests. Without either, every request is
/// allowed.
#[derive(Default)]
pub struct Guard {
    bearer: Option<Arc<ReloadingFile<Bearer>>>,
    basic: Option<Arc<ReloadingFile<Basic>>>,
    limit: Option<RateLimit>,
}

impl Guard {
    /// A guard that requires one of these credentials, if there are any. With a `rate` it limits the requests
    /// of each client.
    pub fn new(
        bearer: Option<Arc<ReloadingFile<Bearer>>>,
        basic: Option<Arc<ReloadingFile<Basic>>>,
        rate: Option<Rate>,
    ) -> Self {
        Self { bearer, basic, limit: rate.map(RateLimit::new) }
    }

    /// Puts the guard before these routes, except those of the kubelet.
    pub fn protect(self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::new(self), admit))
    }

    /// Whether the headers hold known credentials; true if none are required.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Self { bearer, basic, .. } = self;
        let is_open = bearer.is_none() && basic.is_none();
        is_open
            || presented(headers, "bearer")
                .zip(bearer.as_ref())
                .is_some_and(|(token, bearer)| bearer.get().knows(token))
            || presented(headers, "basic")
                .zip(basic.as_ref())
                .is_some_and(|(pair, basic)| basic.get().knows(pair))
    }

    fn unauthorized(&self, headers: &HeaderMap) -> Response {
        let error = if headers.contains_key(header::AUTHORIZATION) {
            "the credentials are not known here; ask whoever runs this daemon for the current ones"
        } else {
            "this path asks for credentials in the header Authorization; /livez and /readyz do not"
        };
        let mut response = Refusal::new(StatusCode::UNAUTHORIZED, error).into_response();
        let schemes = [
            self.bearer.as_ref().map(|_| HeaderValue::from_static("Bearer realm=\"aviary\"")),
            self.basic
                .as_ref()
                .map(|_| HeaderValue::from_static("Basic realm=\"aviary\", charset=\"UTF-8\"")),
        ];
        for scheme in schemes.into_iter().flatten() {
            response.headers_mut().append(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Whether this is a path of the kubelet's probes. The kubelet has no credentials, and a refusal would
/// restart the daemon.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    let client = Client::of_request(request.extensions());
    if let Some(wait) = guard.limit.as_ref().and_then(|limit| limit.exceeded(client)) {
        let error = "too many requests from this address; see the header Retry-After";
        return Refusal::later(StatusCode::TOO_MANY_REQUESTS, error, wait).into_response();
    }
    if !guard.knows(request.headers()) {
        return guard.unauthorized(request.headers());
    }
    next.run(request).await
}
