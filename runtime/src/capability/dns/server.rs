//! The servers that guests name, and the address of one that may be asked.

use super::exchange::Question;
use crate::{
    capability::{
        bindings::aviary::check::dns::{AddressFamily, Error},
        dial::{DialError, Network},
    },
    grant::{Authorization, address::Reach, trim},
};
use std::net::{IpAddr, SocketAddr};
use tokio::time::{Instant, timeout_at};
use url::Host;

/// The port of name servers.
const PORT: u16 = 53;

/// A server as a guest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// The daemon's own name server, which manifests call `cluster`.
    Cluster,
    /// The server at this address.
    At(SocketAddr),
    /// The server of this name, which is complete and without a final dot, at this port.
    Named(String, u16),
}

impl Server {
    /// The server of a `lookup`: an address with or without a port.
    pub(super) fn at(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self::Cluster) };
        address(text)?.map(Self::At).ok_or_else(|| {
            Error::Invalid("the server is no address: write `10.0.0.10` or `10.0.0.10:5353`".to_owned())
        })
    }

    /// The server of a question: an address or a name, with or without a port.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self::Cluster) };
        if let Some(address) = address(text)? {
            return Ok(Self::At(address));
        }
        named(text).ok_or_else(|| {
            Error::Invalid(
                "the server is neither an address nor a name: write `10.0.0.10`, `10.0.0.10:5353`, \
                 `ns1.example.com` or `ns1.example.com:5353`"
                    .to_owned(),
            )
        })
    }

    /// The address of this server, if the question may be asked there.
    ///
    /// To find the address of a name is a lookup of that name at `cluster`, and is judged as one. Then each address
    /// is judged as if the guest had named it, so that a name reaches nothing that two lookups would not.
    pub(super) async fn find(
        &self,
        question: &Question,
        family: AddressFamily,
        network: &Network,
        authorization: &Authorization,
        deadline: Instant,
    ) -> Result<SocketAddr, Error> {
        let judge = |name: &str, server| {
            authorization.dns(name, server).map_err(|denied| Error::Denied(denied.to_string()))
        };
        let asked = question.name();
        match self {
            Self::Cluster => judge(&asked, None).map(|()| network.cluster),
            Self::At(address) => judge(&asked, Some(*address)).map(|()| *address),
            Self::Named(name, port) => {
                judge(name, None)?;
                let found = resolve(name, family, network, authorization.namespace(), deadline).await?;
                let addresses = found.into_iter().map(|address| SocketAddr::new(address, *port));
                let mut judged = addresses.map(|address| judge(&asked, Some(address)).map(|()| address));
                let first = judged.next().unwrap_or_else(|| Err(unresolved(name, "it has no address")));
                first.or_else(|refusal| judged.find_map(Result::ok).ok_or(refusal))
            }
        }
    }
}

/// The addresses of a name, of which none has been judged.
async fn resolve(
    name: &str,
    family: AddressFamily,
    network: &Network,
    namespace: &str,
    deadline: Instant,
) -> Result<Vec<IpAddr>, Error> {
    // The dot keeps search domains away.
    let complete = format!("{name}.");
    let host = Host::Domain(complete.as_str());
    let found = network.resolve(namespace, &host, family.into(), Reach::Literal);
    let found = timeout_at(deadline, found).await.map_err(|_| unresolved(name, "no answer came in time"))?;
    found.map_err(|error| match error {
        DialError::Resolve(reason) => unresolved(name, &reason),
        _ => unresolved(name, "it has no address that can be asked"),
    })
}

fn unresolved(name: &str, reason: &str) -> Error {
    Error::Protocol(format!("the name of the server {name} was not resolved: {reason}"))
}

/// The address in a text; none if it is none. An error if it is one that nobody can be asked at.
fn address(text: &str) -> Result<Option<SocketAddr>, Error> {
    let server = text.parse().or_else(|_| text.parse().map(|address| SocketAddr::new(address, PORT)));
    match server {
        Ok(SocketAddr::V6(server)) if server.scope_id() != 0 => {
            Err(Error::Invalid("the server's address cannot have a zone".to_owned()))
        }
        Ok(server) if server.port() == 0 => Err(Error::Invalid("the server cannot have port 0".to_owned())),
        server => Ok(server.ok()),
    }
}

/// The named server in a text; none if it is none. Other spellings of an address, such as `127.1`, are none.
fn named(text: &str) -> Option<Server> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, PORT),
    };
    let name = super::domain(name)?.to_ascii();
    let name = trim(&name);
    matches!(Host::parse(name), Ok(Host::Domain(_))).then(|| Server::Named(name.to_owned(), port))
}
