//! One TCP connection of a guest, with its calls as plain functions.

use crate::{
    capability::{
        bindings::aviary::check::{
            http::IpFamily,
            tcp::Error,
            tls::{TlsClient, TlsError, TlsSession},
        },
        dial::{self, DialError, Network},
        tls::{Alpn, Stream, borrowed, error_of_stream, handshake, server_name},
    },
    fair_semaphore::FairPermit,
    grant::Authorization,
    text::quote,
};
use rustix::net::{RecvFlags, recv};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use url::Host;

/// The most bytes that one `send` takes.
pub(super) const LARGEST_SENT: usize = 256 * 1024;
/// The most bytes that one `receive` returns.
const LARGEST_RECEIVED: usize = 64 * 1024;

/// The most bytes of surplus plain text that a message shows.
const SHOWN_SURPLUS: usize = 64;

/// An open connection of a guest. A failure in the middle of something closes it.
pub struct Connection {
    stream: Option<Stream>,
    /// The host that was asked for, which a server has to prove over TLS.
    host: Host,
    _socket: FairPermit,
    /// The address that was dialled.
    pub(super) address: SocketAddr,
    /// How long it took to resolve the host and to connect.
    pub(super) took: Duration,
}

impl Connection {
    /// Connects to `host:port` at an address of this family.
    pub async fn connect(
        network: &Network,
        authorization: &Authorization,
        address: &str,
        family: IpFamily,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let (named, port) = parse(address)?;
        let host = borrowed(&named);
        let reach = authorization.tcp(&host, port).map_err(|denied| Error::Denied(denied.to_string()))?;
        let explain = |error| explain(error, authorization, &host, port);
        let since = Instant::now();
        let dial = async {
            let socket = network.sockets.take(authorization.namespace()).await;
            let addresses =
                network.resolve(authorization.namespace(), &host, family, reach).await.map_err(explain)?;
            let (stream, address) = dial::connect(&addresses, port, deadline).await.map_err(explain)?;
            Ok((stream, address, socket))
        };
        let (stream, address, socket) = timeout_at(deadline, dial).await.map_err(|_| Error::Timeout)??;
        let stream = Some(Stream::Plain(stream));
        Ok(Self { stream, host: named, _socket: socket, address, took: since.elapsed() })
    }

    /// Sends all of `data`. A failure closes the connection, as nobody knows how much arrived.
    pub async fn send(&mut self, data: &[u8], deadline: Instant) -> Result<(), Error> {
        if data.len() > LARGEST_SENT {
            return Err(Error::Invalid(format!("at most {LARGEST_SENT} bytes are sent at once")));
        }
        let mut stream = self.stream.take().ok_or(Error::Closed)?;
        let send = async {
            stream.write_all(data).await?;
            stream.flush().await
        };
        timeout_at(deadline, send).await.map_err(|_| Error::Timeout)?.map_err(|error| broken(&error))?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Waits for at most `limit` bytes; none mean the end of the stream.
    pub async fn receive(&mut self, limit: u32, deadline: Instant) -> Result<Vec<u8>, Error> {
        if limit == 0 {
            return Err(Error::Invalid("a limit of 0 receives nothing: ask for at least 1 byte".to_owned()));
        }
        let stream = self.stream.as_mut().ok_or(Error::Closed)?;
        let limit = LARGEST_RECEIVED.min(limit as usize);
        let mut received = Vec::with_capacity(limit);
        let mut stream = stream.take(limit as u64);
        timeout_at(deadline, stream.read_buf(&mut received))
            .await
            .map_err(|_| Error::Timeout)?
            .map_err(|error| broken(&error))?;
        Ok(received)
    }

    /// Tells the peer that nothing more will be sent. What it still says can be received.
    pub async fn finish_sending(&mut self, deadline: Instant) -> Result<(), Error> {
        let stream = self.stream.as_mut().ok_or(Error::Closed)?;
        let finished = timeout_at(deadline, stream.shutdown()).await.map_err(|_| Error::Timeout)?;
        finished.map_err(|error| broken(&error))
    }

    /// Starts TLS on the connection, where the peer waits for that. A failure closes it.
    pub async fn secure(
        &mut self,
        network: &Network,
        client: &TlsClient,
        deadline: Instant,
    ) -> Result<TlsSession, Error> {
        let name = server_name(Some(client), &borrowed(&self.host)).map_err(Error::Invalid)?;
        let config = network.tls.get(Some(client), Alpn::None).map_err(Error::Invalid)?;
        let stream = match self.stream.take().ok_or(Error::Closed)? {
            Stream::Plain(stream) => stream,
            secured => {
                self.stream = Some(secured);
                return Err(Error::Invalid("this connection has TLS already".to_owned()));
            }
        };
        require_silence(&stream)?;
        let agree = handshake(&config, name, stream);
        let (stream, session) =
            timeout_at(deadline, agree).await.map_err(|_| Error::Timeout)?.map_err(Error::Tls)?;
        self.stream = Some(stream);
        Ok(session)
    }
}

/// Refuses to start TLS after plain text that nobody has read. In TLS the client speaks first, so that such text is not
/// part of it; who put it there may be anybody on the way.
fn require_silence(stream: &TcpStream) -> Result<(), Error> {
    let mut surplus = [0; SHOWN_SURPLUS];
    match recv(stream, surplus.as_mut_slice(), RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((length @ 1.., _)) => Err(Error::Tls(TlsError::Handshake(format!(
            "the peer went on in plain text, which is not part of what TLS protects: {}",
            quote(&String::from_utf8_lossy(&surplus[..length.min(SHOWN_SURPLUS)]))
        )))),
        // Whatever else is wrong with the stream shows in the handshake.
        _ => Ok(()),
    }
}

fn parse(address: &str) -> Result<(Host, u16), Error> {
    let invalid = || {
        Error::Invalid(
            "the address is not `host:port`, for example `db.prod.svc:5432` or `[::1]:22`".to_owned(),
        )
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
    // A grant for the host `*` would be one for all hosts.
    let host = Some(Host::parse(host).map_err(|_| invalid())?).filter(|host| !host.to_string().contains('*'));
    Ok((host.ok_or_else(invalid)?, port))
}

fn explain(error: DialError, authorization: &Authorization, host: &Host<&str>, port: u16) -> Error {
    match error {
        DialError::Resolve(text) => Error::Resolve(text),
        DialError::Forbidden(address) => {
            Error::Denied(authorization.tcp_address(host, port, address).to_string())
        }
        DialError::Timeout => Error::Timeout,
        DialError::Refused => Error::Refused,
        DialError::Unreachable => Error::Unreachable,
        DialError::Io(text) => Error::Io(text),
    }
}

fn broken(error: &io::Error) -> Error {
    if let Some(error) = error_of_stream(error) {
        return Error::Tls(error);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Error::Closed,
        _ => Error::Io(error.to_string()),
    }
}
