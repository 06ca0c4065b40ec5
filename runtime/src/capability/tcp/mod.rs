//! The `tcp` capability: TCP connections, plain or with TLS.

mod connection;
#[cfg(test)]
mod tests;

pub use connection::Connection;

use super::{
    bindings::aviary::check::{
        tcp::{AddressFamily, Error, Host, HostConnection},
        tls::{Certificate, TlsClient, TlsOptions, TlsSession},
    },
    call_end::end_calls,
    milliseconds, shorten,
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
        let deadline = self.begin_tcp(&address, timeout_ms)?;
        let open = self.table.iter_mut().filter(|resource| resource.is::<Connection>()).count();
        let result = if open < MOST_CONNECTIONS {
            Connection::connect(&self.network, &self.program.authorization, &address, deadline).await
        } else {
            Err(Error::Denied(format!("at most {MOST_CONNECTIONS} connections at once: drop one first")))
        };
        self.finish(&result);
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
        let target = self.table.get(&this)?.address.to_string();
        let deadline = self.begin_tcp(&target, timeout_ms)?;
        let connection = self.table.get_mut(&this)?;
        let result = connection.start_tls(&self.network, &server_name, &options, deadline).await;
        self.finish(&result);
        Ok(result?)
    }

    async fn connect_by(
        &mut self,
        _: String,
        _: AddressFamily,
        _: Option<u32>,
    ) -> Result<Resource<Connection>, Failure> {
        Err(Error::Invalid("connect-by is not offered yet".to_owned()))?
    }

    async fn secure(
        &mut self,
        _: Resource<Connection>,
        _: TlsClient,
        _: Option<u32>,
    ) -> Result<TlsSession, Failure> {
        Err(Error::Invalid("secure is not offered yet".to_owned()))?
    }

    async fn finish_sending(&mut self, _: Resource<Connection>, _: Option<u32>) -> Result<(), Failure> {
        Err(Error::Invalid("finish-sending is not offered yet".to_owned()))?
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
    fn begin_tcp(&mut self, target: &str, timeout_ms: Option<u32>) -> Result<Instant, Error> {
        let deadline = self.calls.begin(Capability::Tcp, shorten(target), milliseconds(timeout_ms));
        deadline.map_err(|error| Error::Denied(error.to_string()))
    }
}
