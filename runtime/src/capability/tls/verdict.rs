//! What a server says of the client certificate, or of its lack, after a handshake of TLS 1.3.

use rustls::Error;
use std::{
    io::{self, ErrorKind, Read},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

/// How much longer than the handshake took a server may need to judge the client certificate.
const SPARE: Duration = Duration::from_millis(100);

/// Waits for the verdict of a server that has asked for a client certificate. In TLS 1.3 the client's handshake is over
/// before the server has judged it. The alert of a server that refuses it is an error; a session ticket or data say that
/// it goes on. A server that says nothing for as long as the handshake took, and 100 ms more, goes on as well.
pub(super) async fn wait(stream: &mut TlsStream<TcpStream>, handshake: Duration) -> io::Result<()> {
    timeout(handshake + SPARE, hear(stream)).await.unwrap_or(Ok(()))
}

async fn hear(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    let broken = |error: Error| io::Error::new(ErrorKind::InvalidData, error);
    let (tcp, connection) = stream.get_mut();
    // Data stays in the connection, where the next read finds it.
    while connection.process_new_packets().map_err(broken)?.plaintext_bytes_to_read() == 0
        && connection.tls13_tickets_received() == 0
    {
        tcp.readable().await?;
        match connection.read_tls(&mut Incoming(tcp)) {
            // Whether the end comes too early, the protocol within tells.
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The bytes of a TCP stream that have come.
struct Incoming<'a>(&'a TcpStream);

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}
