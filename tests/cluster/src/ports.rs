//! Ports that are free and stay so.

use anyhow::{Context, Result};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

/// The range of ports to choose from. It lies below the ports that the kernel takes for outgoing connections,
/// so that none is taken while the API server restarts.
const RANGE: Range<u16> = 20_000..32_000;

/// Different ports on which nobody listens on the loopback address.
pub(crate) fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let first = RandomState::new().hash_one(()) % RANGE.len() as u64;
    let from = RANGE.start + u16::try_from(first)?;
    let candidates = (from..RANGE.end).chain(RANGE.start..from);
    let free = candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let ports: Vec<u16> = free.take(COUNT).collect();
    ports.try_into().ok().with_context(|| format!("no free ports in {RANGE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_listened_on() {
        let [one, two] = free().expect("two ports");
        assert_ne!(one, two);
        assert!(RANGE.contains(&one) && RANGE.contains(&two));
    }
}
