//! The network bridge of the pods.

use crate::{certificates::SERVICE, program::run};
use anyhow::Result;
use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    process::Command,
};

/// The address of the API server. Pods look for it there, so that nothing needs to be translated.
pub(crate) const API: SocketAddrV4 = SocketAddrV4::new(SERVICE, 443);
/// The address of the node, as pods see it.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);
const PODS: &str = "10.213.0.0/16";
const BRIDGE: &str = "aviary0";
/// The hardware address of the bridge, which is locally administered.
const HARDWARE_ADDRESS: &str = "02:00:0a:d5:00:01";

pub(crate) fn exists() -> bool {
    Path::new("/sys/class/net").join(BRIDGE).exists()
}

pub(crate) fn create() -> Result<()> {
    let (node, api) = (format!("{NODE}/16"), format!("{SERVICE}/32"));
    // Otherwise the bridge takes the address of one of its pods, and after that pod nobody finds it for a
    // minute.
    ip("add a bridge", &["link", "add", BRIDGE, "address", HARDWARE_ADDRESS, "type", "bridge"])?;
    ip("give the bridge the node's address", &["address", "add", &node, "dev", BRIDGE])?;
    ip("give the bridge the API server's address", &["address", "add", &api, "dev", BRIDGE])?;
    ip("start the bridge", &["link", "set", BRIDGE, "up"])
}

pub(crate) fn remove() -> Result<()> {
    if !exists() {
        return Ok(());
    }
    ip("remove the bridge", &["link", "delete", BRIDGE])
}

/// The configuration of containerd's network plugin: each pod gets an address, and a way to the node and to
/// other pods. Nothing leads further.
pub(crate) fn cni(addresses: &Path) -> String {
    let ipam = serde_json::json!({
        "type": "host-local",
        "dataDir": addresses,
        "ranges": [[{"subnet": PODS, "gateway": NODE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    let bridge = serde_json::json!({"type": "bridge", "bridge": BRIDGE, "hairpinMode": true, "ipam": ipam});
    serde_json::json!({"cniVersion": "0.4.0", "name": "aviary", "plugins": [bridge]}).to_string()
}

fn ip(what: &str, arguments: &[&str]) -> Result<()> {
    run(what, Command::new("ip").args(arguments))
}
