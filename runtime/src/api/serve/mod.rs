//! The HTTP server: every connection is bounded, owned, and gone when the server is.

mod connection_limit;
mod tls;
mod write_timeout;

pub use tls::Tls;

use super::{
    answer::Refusal,
    client::{Client, TrustedProxies},
    reloading_file::ReloadingFile,
};
use axum::{Router, http::StatusCode};
use connection_limit::{Answer, Connection, ConnectionLimit};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::limit::RequestBodyLimitLayer;
use write_timeout::WriteTimeout;

/// The most connections that wait to be accepted; the kernel allows `net.core.somaxconn` of them, which is 4,096 as a
/// rule. Of one beyond them the client hears nothing and tries again after a second.
const BACKLOG: u32 = 4096;
/// The most connections at a time.
const MOST_CONNECTIONS: usize = 1024;
/// The most connections of one client at a time.
const MOST_OF_EACH: usize = 64;
/// How long a client may take to send a request's head, or to send nothing between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The most connections without a permit that are answered with 503 at a time. Further ones are closed without an
/// answer. A connection gets no permit where [`MOST_CONNECTIONS`] or [`MOST_OF_EACH`] is reached.
const MOST_TURNED_AWAY: usize = 256;
/// How long a connection without a permit may take to send its request and to read its 503.
const TURNING_AWAY: Duration = Duration::from_secs(5);
/// The `Retry-After` for a client whose connection got no permit.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// How long the server waits after an error of `accept`, such as a lack of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Listens for TCP connections at this address.
///
/// # Errors
/// When the address is not one of this machine, or another program listens at the address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Without this, nobody could listen at the address for a minute after a daemon has ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The options of the server for new connections.
#[derive(Clone, Default)]
pub struct Entrance {
    /// The certificate for TLS; none for plain HTTP.
    pub tls: Option<Arc<ReloadingFile<Tls>>>,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub proxies: TrustedProxies,
}

/// Serves HTTP/1.1 until `shutdown` is cancelled, over TLS if `entrance` has a certificate. Then no
/// connection is accepted any more, and requests under way get `close_after` to finish. Connections that are
/// still open after that are dropped.
pub async fn serve(
    listener: TcpListener,
    entrance: Entrance,
    router: Router,
    shutdown: CancellationToken,
    close_after: Duration,
) {
    let mut server = Server::new(entrance, router, shutdown.clone());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = server.connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => server.admit(stream, address.ip()),
                Err(error) => rest(&error).await,
            }
        }
    }
    drop(listener);
    server.close(close_after).await;
}

/// The server of one listener, with its open connections.
struct Server {
    acceptor: Acceptor,
    router: Router,
    /// Answers connections without a permit with 503.
    full: Router,
    /// The permits for connections that are answered with 503, [`MOST_TURNED_AWAY`] in all.
    waiting: Arc<Semaphore>,
    limit: ConnectionLimit,
    connections: JoinSet<()>,
}

/// The state that every connection needs, shared by all of them.
#[derive(Clone)]
struct Acceptor {
    entrance: Entrance,
    shutdown: CancellationToken,
}

impl Server {
    fn new(entrance: Entrance, router: Router, shutdown: CancellationToken) -> Self {
        Self {
            acceptor: Acceptor { entrance, shutdown },
            router: router.layer(RequestBodyLimitLayer::new(MAX_BODY)),
            full: Router::new().fallback(full),
            waiting: Arc::new(Semaphore::new(MOST_TURNED_AWAY)),
            limit: ConnectionLimit::new(MOST_CONNECTIONS, MOST_OF_EACH),
            connections: JoinSet::new(),
        }
    }

    fn admit(&mut self, stream: TcpStream, address: IpAddr) {
        let acceptor = self.acceptor.clone();
        // A trusted proxy asks for many clients, so its connections count in no client's share.
        let client = (!acceptor.entrance.proxies.trusts(address)).then(|| Client::of(address));
        if let Some(connection) = self.limit.admit(client) {
            let router = self.router.clone();
            self.connections.spawn(async move {
                connection.stay(acceptor.enter(stream, address, router, http(), Some(&connection))).await;
            });
        } else if let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() {
            let router = self.full.clone();
            let mut http = http();
            http.keep_alive(false);
            self.connections.spawn(async move {
                let _place = place;
                drop(timeout(TURNING_AWAY, acceptor.enter(stream, address, router, http, None)).await);
            });
        }
    }

    async fn close(mut self, close_after: Duration) {
        let all_done = async { while self.connections.join_next().await.is_some() {} };
        if timeout(close_after, all_done).await.is_err() {
            let connections = self.connections.len();
            tracing::warn!(connections, "dropping connections that did not end in time");
        }
        self.connections.shutdown().await;
    }
}

async fn full() -> Refusal {
    let error = "too many requests under way, from this address or altogether; let some end, or come again";
    Refusal::later(StatusCode::SERVICE_UNAVAILABLE, error, COME_AGAIN)
}

/// Handles an error of `accept`. A client that is gone already is ignored; after a lack of file descriptors
/// the server waits.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "cannot accept a connection; trying again");
        sleep(BREATH).await;
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    http
}

impl Acceptor {
    async fn enter(
        &self,
        stream: TcpStream,
        address: IpAddr,
        router: Router,
        http: http1::Builder,
        connection: Option<&Arc<Connection>>,
    ) {
        let Some(tls) = &self.entrance.tls else {
            return self.talk(WriteTimeout::new(stream), address, router, http, connection).await;
        };
        match self.shutdown.run_until_cancelled(tls.get().accept(stream)).await {
            Some(Ok(stream)) => self.talk(stream, address, router, http, connection).await,
            Some(Err(error)) => tracing::debug!(%error, "no TLS with a client"),
            None => {}
        }
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        address: IpAddr,
        router: Router,
        http: http1::Builder,
        connection: Option<&Arc<Connection>>,
    ) {
        let service = service_fn(|mut request: Request<Incoming>| {
            let guard = connection.and_then(Connection::attend);
            let client = self.entrance.proxies.client(address, request.headers());
            request.extensions_mut().insert(client);
            let answer = router.clone().oneshot(request);
            async { answer.await.map(|answer| answer.map(|body| Answer { body, _guard: guard })) }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
