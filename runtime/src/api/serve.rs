//! The HTTP server: every connection is bounded, owned, and gone when the server is.

use super::patience::Patient;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, pin::pin, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;

/// The most connections at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request's head, or to send nothing between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024;
/// How long to wait when the machine has no file descriptor left for a connection.
const BREATH: Duration = Duration::from_millis(100);

/// Serves HTTP/1.1 until `shutdown`. Then nothing more is accepted, requests under way get
/// `close_after` to finish, and what is left is dropped.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    close_after: Duration,
) {
    let router = router.layer(RequestBodyLimitLayer::new(MAX_BODY));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), shutdown.clone()));
                }
                Err(error) => rest(&error).await,
            }
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if timeout(close_after, all_done).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropping connections that did not end in time");
    }
    connections.shutdown().await;
}

/// A client that is gone already is no trouble; a lack of file descriptors passes.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "cannot accept a connection; trying again");
        sleep(BREATH).await;
    }
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
