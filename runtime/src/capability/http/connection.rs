//! One HTTP connection. It has no task of its own: a request or response that waits for it drives it
//! meanwhile.

use super::driver::Driver;
use crate::{
    capability::{
        bindings::aviary::check::{http::Error, tls::TlsSession},
        tls::{Stream, error_of_stream},
    },
    fair_semaphore::FairPermit,
    value::Proxy,
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use std::{
    error::Error as _,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::task::JoinSet;

/// The most bytes of the head of a response.
const LONGEST_HEAD: u32 = 64 * 1024;
/// The most headers of a response over HTTP/1.
const MOST_HEADERS: usize = 1024;
/// How many bytes a server may send before it has to wait until the guest reads.
const WINDOW: u32 = 256 * 1024;

/// An open connection that takes one request at a time.
pub(super) struct HttpConnection {
    /// The address that was dialled.
    pub(super) address: SocketAddr,
    /// What was agreed on over TLS; none without.
    pub(super) session: Option<TlsSession>,
    /// The proxy that requests are sent to, instead of their own server.
    proxy: Option<Proxy>,
    sender: Sender,
    driver: Driver,
    _tasks: Tasks,
    _socket: FairPermit,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl HttpConnection {
    /// Starts HTTP on a fresh stream.
    pub(super) async fn open(
        stream: Stream,
        socket: FairPermit,
        address: SocketAddr,
        session: Option<TlsSession>,
    ) -> Result<Self, Error> {
        let tasks = Tasks::default();
        let (sender, driver) = if stream.is_http2() {
            let mut builder = http2::Builder::new(Spawner(Arc::downgrade(&tasks)));
            builder.max_header_list_size(LONGEST_HEAD);
            builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let (sender, connection) =
                builder.handshake(TokioIo::new(stream)).await.map_err(|error| explain(&error))?;
            (Sender::Http2(sender), Driver::new(connection.map(drop)))
        } else {
            let mut builder = http1::Builder::new();
            builder.max_header_size(LONGEST_HEAD as usize).max_buf_size(LONGEST_HEAD as usize);
            // Browsers read all of this, and leave out lines that are no header.
            builder.max_headers(MOST_HEADERS).ignore_invalid_headers_in_responses(true);
            builder.allow_spaces_after_header_name_in_responses(true);
            builder.allow_obsolete_multiline_headers_in_responses(true);
            let (sender, connection) =
                builder.handshake(TokioIo::new(stream)).await.map_err(|error| explain(&error))?;
            (Sender::Http1(sender), Driver::new(connection.map(drop)))
        };
        Ok(Self { address, session, proxy: None, sender, driver, _tasks: tasks, _socket: socket })
    }

    /// The same connection, as one to a proxy that sends requests on.
    pub(super) fn of_proxy(self, proxy: &Proxy) -> Self {
        Self { proxy: Some(proxy.clone()), ..self }
    }

    /// The proxy that requests are sent to; none if they are sent to their own server.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Whether HTTP/2 is spoken.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(&mut self, message: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => self.driver.alongside(sender.send_request(message)).await,
            Sender::Http2(sender) => self.driver.alongside(sender.send_request(message)).await,
        };
        response.map_err(|error| explain(&error))
    }

    /// Waits for more bytes of a body; none at its end.
    pub(super) async fn receive(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.driver.alongside(body.frame()).await {
            if let Ok(data) = frame.map_err(|error| explain(&error))?.into_data() {
                return Ok(Some(data));
            }
        }
        // A stream that is reset without an error has not ended as its body should.
        match self.is_http2() && !body.is_end_stream() {
            true => Err(Error::Closed),
            false => Ok(None),
        }
    }

    /// Whether the connection can take another request at once.
    pub(super) fn is_ready(&mut self) -> bool {
        let ready = match &mut self.sender {
            Sender::Http1(sender) => self.driver.alongside(sender.ready()).now_or_never(),
            Sender::Http2(sender) => self.driver.alongside(sender.ready()).now_or_never(),
        };
        matches!(ready, Some(Ok(())))
    }
}

/// The tasks that the HTTP/2 library starts. They end with the connection that owns them.
type Tasks = Arc<Mutex<JoinSet<()>>>;

/// Starts tasks for the HTTP/2 library. They hold clones of it, so it must not keep them alive.
#[derive(Clone)]
struct Spawner(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        if let Some(tasks) = self.0.upgrade() {
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }
}

fn explain(error: &hyper::Error) -> Error {
    if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        return Error::Closed;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            if let Some(error) = error_of_stream(error) {
                return Error::Tls(error);
            }
            return match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                    Error::Closed
                }
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    Error::Protocol(error.to_string())
                }
                _ => Error::Io(error.to_string()),
            };
        }
        cause = inner.source();
    }
    Error::Protocol(unfit(error))
}

/// Why an answer is no HTTP, in words. The library tells the kinds of errors by their texts only.
fn unfit(error: &hyper::Error) -> String {
    match error.to_string().as_str() {
        "message head is too large" => {
            format!(
                "its head is larger than {} KiB, or has more than {MOST_HEADERS} headers",
                LONGEST_HEAD / 1024
            )
        }
        "invalid HTTP version parsed" => "it does not begin with `HTTP/1.1` or `HTTP/1.0`".to_owned(),
        "invalid HTTP status-code parsed" => "its status is no number of three digits".to_owned(),
        "invalid HTTP header parsed" => {
            "a header has a zero byte, or another that no header may have".to_owned()
        }
        "invalid content-length parsed" => {
            "its header content-length is no number, or there are several that differ".to_owned()
        }
        "invalid transfer-encoding parsed" => "its header transfer-encoding is not understood".to_owned(),
        text => match error.source() {
            Some(source) => format!("{text}: {source}"),
            None => text.to_owned(),
        },
    }
}
