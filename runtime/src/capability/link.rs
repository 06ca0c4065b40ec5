//! The linking of all capabilities.

use super::{HostState, bindings::aviary::check as interfaces};
use wasmtime::component::{HasSelf, Linker};

/// Adds every capability to a linker. A guest that imports one without a grant is refused before it is
/// linked, so one linker serves all.
pub(crate) fn add_to_linker<T: Send>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> &mut HostState,
) -> wasmtime::Result<()> {
    interfaces::dns::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::http::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::kubernetes::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::log::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::metrics::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::secrets::add_to_linker::<_, HasSelf<_>>(linker, host)?;
    interfaces::tcp::add_to_linker::<_, HasSelf<_>>(linker, host)
}
