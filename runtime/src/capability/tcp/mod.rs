//! The `tcp` capability: TCP connections, plain or with TLS.

mod connection;
#[cfg(test)]
mod tests;

pub use connection::Connection;

use super::{
    bindings::aviary::check::{
        http::IpFamily,
        tcp::{AddressFamily, Error, Host, HostConnection},
        tls::{Certificate, TlsClient, TlsOptions, TlsSession},
    },
    call_end::end_calls,
    milliseconds, nanoseconds, shorten,
};
use crate::{capability::HostState, grant::Capability};
use tokio::time::Instant;
use wasmtime::component::{Resource, ResourceTableError};

/// The most connections that a guest may hold at once.
const MOST_CONNECTIONS: usize = 16;
/// Why a call of a guest failed.
pub enum Failure {
    /// The error that the guest gets.
    Answer(Error),
    /// The guest misused a handle, which ends it.
    Trap(wasmtime::Error),
}

impl Host for HostState {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<Error> {
        match failure {
            Failure::Answer(error) => Ok(error),
            Failure::Trap(error) => Err(error),
        }
    }
}

impl HostConnection for HostState {
    async fn connect(
        &mut self,
        address: String,
        timeout_ms: Option<u32>,
    ) -> Result<Resource<Connection>, Failure> {
        self.dial(&address, IpFamily::Any, timeout_ms).await
    }

    async fn connect_by(
        &mut self,
        address: String,
        family: AddressFamily,
        timeout_ms: Option<u32>,
    ) -> Result<Resource<Connection>, Failure> {
        self.dial(&address, family.into(), timeout_ms).await
    }

    fn remote_address(&mut self, this: Resource<Connection>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.address.to_string())
    }

    fn connect_ns(&mut self, this: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.table.get(&this)?.took))
    }

    async fn send(
        &mut self,
        this: Resource<Connection>,
        data: Vec<u8>,
        timeout_ms: Option<u32>,
    ) -> Result<(), Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let booked = self.calls.send(Capability::Tcp, data.len());
        booked.map_err(|spent| Error::Denied(spent.to_string()))?;
        let deadline = self.begin_tcp(&target, timeout_ms)?;
        let result = self.table.get_mut(&this)?.send(&data, deadline).await;
        self.finish(&result);
        Ok(result?)
    }

    async fn receive(
        &mut self,
        this: Resource<Connection>,
        limit: u32,
        timeout_ms: Option<u32>,
    ) -> Result<Vec<u8>, Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin_tcp(&target, timeout_ms)?;
        let limit = limit.min(u32::try_from(self.calls.room()).unwrap_or(u32::MAX));
        let result = self.table.get_mut(&this)?.receive(limit, deadline).await;
        self.finish(&result);
        let received = result?;
        // No more was asked for than the run may receive, so nothing is refused here.
        let _ = self.calls.receive(received.len());
        Ok(received)
    }

    async fn start_tls(
        &mut self,
        this: Resource<Connection>,
        server_name: String,
        options: TlsOptions,
        timeout_ms: Option<u32>,
    ) -> Result<Certificate, Failure> {
        let client = TlsClient { server_name: Some(server_name), ..options.into() };
        Ok(self.secure(this, client, timeout_ms).await?.certificate)
    }

    async fn secure(
        &mut self,
        this: Resource<Connection>,
        client: TlsClient,
        timeout_ms: Option<u32>,
    ) -> Result<TlsSession, Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin_tcp(&target, timeout_ms)?;
        let result = self.table.get_mut(&this)?.secure(&self.network, &client, deadline).await;
        self.finish(&result);
        Ok(result?)
    }

    async fn finish_sending(
        &mut self,
        this: Resource<Connection>,
        timeout_ms: Option<u32>,
    ) -> Result<(), Failure> {
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin_tcp(&target, timeout_ms)?;
        let result = self.table.get_mut(&this)?.finish_sending(deadline).await;
        self.finish(&result);
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

end_calls!(Error, Error::Timeout);

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl HostState {
    async fn dial(
        &mut self,
        address: &str,
        family: IpFamily,
        timeout_ms: Option<u32>,
    ) -> Result<Resource<Connection>, Failure> {
        let deadline = self.begin_tcp(address, timeout_ms)?;
        let open = self.table.iter_mut().filter(|resource| resource.is::<Connection>()).count();
        let result = if open < MOST_CONNECTIONS {
            Connection::connect(&self.network, &self.program.authorization, address, family, deadline).await
        } else {
            Err(Error::Denied(format!("at most {MOST_CONNECTIONS} connections at once: drop one first")))
        };
        self.finish(&result);
        Ok(self.table.push(result?)?)
    }

    fn begin_tcp(&mut self, target: &str, timeout_ms: Option<u32>) -> Result<Instant, Error> {
        let deadline = self.calls.begin(Capability::Tcp, shorten(target), milliseconds(timeout_ms));
        deadline.map_err(|error| Error::Denied(error.to_string()))
    }
}
