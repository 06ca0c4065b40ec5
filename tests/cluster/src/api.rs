//! Reads from the API server as an administrator, which is enough to know that it is ready.

use crate::directory::Directory;
use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of an answer, which is mostly a few hundred bytes long.
const LONGEST: u64 = 1 << 20;

pub(crate) struct Api {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    token: String,
}

impl Api {
    /// The API server of the cluster in this directory.
    pub(crate) fn of(directory: &Directory) -> Result<Self> {
        let address = directory.read("address")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.path("ca.crt"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Self {
            address: address.parse().with_context(|| format!("{address:?} is no address"))?,
            tls: Arc::new(tls.with_root_certificates(roots).with_no_client_auth()),
            token: directory.read("admin.token")?,
        })
    }

    /// The body of the answer for a path. An error if its status is no success.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let server = ServerName::IpAddress(self.address.ip().into());
        let mut stream = StreamOwned::new(ClientConnection::new(self.tls.clone(), server)?, stream);
        // HTTP/1.0: the answer ends with the connection and comes in one piece.
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n",
            self.address, self.token
        )?;
        let mut answer = String::new();
        stream.take(LONGEST).read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            bail!("GET {path} was answered with {status}: {body}");
        }
        Ok(body.to_owned())
    }

    /// The version of the API server, as `v1.20.2`.
    pub(crate) fn version(&self) -> Result<String> {
        version_in(&self.get("/version")?)
    }
}

/// The version in the answer for `/version`.
pub(crate) fn version_in(answer: &str) -> Result<String> {
    let answer: serde_json::Value = serde_json::from_str(answer)?;
    Ok(answer["gitVersion"].as_str().context("the API server tells no version")?.to_owned())
}
