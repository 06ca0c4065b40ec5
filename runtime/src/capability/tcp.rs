//! TCP connections, plain or with TLS.

use super::{
    Capability,
    bindings::aviary::check::{
        http::IpFamily,
        tcp::{Error, Host, HostConnection},
        tls::{Certificate, TlsOptions},
    },
    calls::CallResult,
    dial::{self, DialError, Network},
    milliseconds, shorten,
    tls::{Alpn, Stream, handshake, server_name},
};
use crate::{
    grant::{Denied, Grants},
    sandbox::state::State,
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use wasmtime::component::{Resource, ResourceTableError};

/// How many connections a guest may hold at once.
const MOST_CONNECTIONS: usize = 16;
/// The most that one `send` takes, in bytes.
const LARGEST_SENT: usize = 256 * 1024;
/// The most that one `receive` returns, in bytes.
const LARGEST_RECEIVED: usize = 64 * 1024;

/// An open connection of a guest. After a failure that leaves it in the middle of something, it is closed.
pub struct Connection {
    stream: Option<Stream>,
    address: SocketAddr,
    took: Duration,
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn connect(
        network: &Network,
        grants: &Grants,
        address: &str,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let (host, port) = parse(address)?;
        let host = borrow(&host);
        let reach = grants.tcp(&host, port).map_err(|denied| Error::Denied(denied.to_string()))?;
        let explain = |error| explain(error, &host, port);
        let since = Instant::now();
        let dial = async {
            let addresses = network.resolve(&host, IpFamily::Any, reach).await.map_err(explain)?;
            dial::connect(&addresses, port, deadline).await.map_err(explain)
        };
        let (stream, address) = timeout_at(deadline, dial).await.map_err(|_| Error::Timeout)??;
        Ok(Self { stream: Some(Stream::Plain(stream)), address, took: since.elapsed() })
    }

    /// Sends everything. A failure closes the connection: nobody knows how much arrived.
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

    /// Waits for bytes; none mean the end of the stream.
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

    /// Goes on with TLS. A failure closes the connection.
    pub async fn start_tls(
        &mut self,
        network: &Network,
        server: &str,
        options: &TlsOptions,
        deadline: Instant,
    ) -> Result<Certificate, Error> {
        let host = url::Host::parse(server)
            .map_err(|error| Error::Invalid(format!("the server name is broken: {error}")))?;
        let name = server_name(&borrow(&host)).map_err(Error::Invalid)?;
        let config = network.tls.get(Some(options), Alpn::None).map_err(Error::Invalid)?;
        let stream = match self.stream.take().ok_or(Error::Closed)? {
            Stream::Plain(stream) => stream,
            secured => {
                self.stream = Some(secured);
                return Err(Error::Invalid("this connection has TLS already".to_owned()));
            }
        };
        let agree = handshake(config, name, stream);
        let (stream, certificate) =
            timeout_at(deadline, agree).await.map_err(|_| Error::Timeout)?.map_err(Error::Tls)?;
        self.stream = Some(stream);
        certificate.ok_or_else(|| Error::Io("the certificate cannot be read".to_owned()))
    }
}

/// Why a call of a guest came to nothing.
pub enum Failure {
    /// What the guest is told.
    Answer(Error),
    /// The guest misused a handle.
    Trap(wasmtime::Error),
}

impl Host for State {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<Error> {
        match failure {
            Failure::Answer(error) => Ok(error),
            Failure::Trap(error) => Err(error),
        }
    }
}

impl HostConnection for State {
    async fn connect(
        &mut self,
        address: String,
        timeout_ms: Option<u32>,
    ) -> Result<Resource<Connection>, Failure> {
        let deadline = self.begin(&address, timeout_ms)?;
        let open = self.table.iter_mut().filter(|resource| resource.is::<Connection>()).count();
        let result = if open < MOST_CONNECTIONS {
            Connection::connect(&self.network, &self.check.grants, &address, deadline).await
        } else {
            Err(Error::Denied(format!("at most {MOST_CONNECTIONS} connections at once: drop one first")))
        };
        self.calls.finish(call_result(&result));
        Ok(self.table.push(result?)?)
    }

    fn remote_address(&mut self, this: Resource<Connection>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.address.to_string())
    }

    fn connect_ns(&mut self, this: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.table.get(&this)?.took.as_nanos()).unwrap_or(u64::MAX))
    }

    async fn send(
        &mut self,
        this: Resource<Connection>,
        data: Vec<u8>,
        timeout_ms: Option<u32>,
    ) -> Result<(), Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin(&target, timeout_ms)?;
        let result = self.table.get_mut(&this)?.send(&data, deadline).await;
        self.calls.finish(call_result(&result));
        Ok(result?)
    }

    async fn receive(
        &mut self,
        this: Resource<Connection>,
        limit: u32,
        timeout_ms: Option<u32>,
    ) -> Result<Vec<u8>, Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin(&target, timeout_ms)?;
        let result = self.table.get_mut(&this)?.receive(limit, deadline).await;
        self.calls.finish(call_result(&result));
        Ok(result?)
    }

    async fn start_tls(
        &mut self,
        this: Resource<Connection>,
        server_name: String,
        options: TlsOptions,
        timeout_ms: Option<u32>,
    ) -> Result<Certificate, Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin(&target, timeout_ms)?;
        let connection = self.table.get_mut(&this)?;
        let result = connection.start_tls(&self.network, &server_name, &options, deadline).await;
        self.calls.finish(call_result(&result));
        Ok(result?)
    }

    async fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl State {
    fn begin(&mut self, target: &str, timeout_ms: Option<u32>) -> Result<Instant, Error> {
        let deadline = self.calls.begin(Capability::Tcp, shorten(target), milliseconds(timeout_ms));
        deadline.map_err(|error| Error::Denied(error.to_string()))
    }
}

fn call_result<T>(result: &Result<T, Error>) -> CallResult {
    match result {
        Ok(_) => CallResult::Ok,
        Err(Error::Denied(_)) => CallResult::Denied,
        Err(Error::Timeout) => CallResult::Timeout,
        Err(_) => CallResult::Error,
    }
}

fn parse(address: &str) -> Result<(url::Host, u16), Error> {
    let invalid = || {
        Error::Invalid(
            "the address is not `host:port`, for example `db.prod.svc:5432` or `[::1]:22`".to_owned(),
        )
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
    Ok((url::Host::parse(host).map_err(|_| invalid())?, port))
}

fn borrow(host: &url::Host) -> url::Host<&str> {
    match host {
        url::Host::Domain(name) => url::Host::Domain(name),
        url::Host::Ipv4(address) => url::Host::Ipv4(*address),
        url::Host::Ipv6(address) => url::Host::Ipv6(*address),
    }
}

fn explain(error: DialError, host: &url::Host<&str>, port: u16) -> Error {
    match error {
        DialError::Resolve(text) => Error::Resolve(text),
        DialError::Forbidden(address) => Error::Denied(Denied::tcp_address(host, port, address).to_string()),
        DialError::Timeout => Error::Timeout,
        DialError::Refused => Error::Refused,
        DialError::Unreachable => Error::Unreachable,
        DialError::Io(text) => Error::Io(text),
    }
}

fn broken(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Error::Closed,
        _ => Error::Io(error.to_string()),
    }
}
