//! An HTTP client that keeps one connection, as Prometheus does.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::{net::TcpStream, task::JoinHandle};

/// One connection to a server.
pub(crate) struct Client {
    address: SocketAddr,
    sender: http1::SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
}

/// The status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Client {
    /// Connects to a server.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The error of the connection is also that of the request.
        let connection = tokio::spawn(async { drop(connection.await) });
        Ok(Self { address, sender, connection })
    }

    /// Asks for a path and reads the whole answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        let response = self.send(path).await?;
        let status = response.status();
        let body = response.into_body().collect().await.with_context(|| self.what(path))?.to_bytes();
        Ok(Answer { status, body })
    }

    /// Asks for a path and tells how many bytes the answer has, without keeping them.
    pub(crate) async fn size(&mut self, path: &str) -> Result<usize> {
        let mut body = self.send(path).await?.into_body();
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            size += frame.with_context(|| self.what(path))?.data_ref().map_or(0, Bytes::len);
        }
        Ok(size)
    }

    /// Asks for a path whose answer has to be 200.
    pub(crate) async fn text(&mut self, path: &str) -> Result<String> {
        let Answer { status, body } = self.get(path).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status != StatusCode::OK {
            bail!("http://{}{path} answers {status}: {body:.500}", self.address);
        }
        Ok(body)
    }

    async fn send(&mut self, path: &str) -> Result<Response<Incoming>> {
        self.sender.ready().await.with_context(|| self.what(path))?;
        let request = Request::get(path).header(header::HOST, self.address.to_string());
        let response = self.sender.send_request(request.body(Empty::new())?).await;
        response.with_context(|| self.what(path))
    }

    fn what(&self, path: &str) -> String {
        format!("cannot get http://{}{path}", self.address)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
