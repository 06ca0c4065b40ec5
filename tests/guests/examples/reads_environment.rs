//! Tries to reach what WASI could offer, and fails if it reaches anything.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::{env, fs};

use aviary_guest::{Check, Outcome, Target};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadsEnvironment {
    /// An address `host:port` where somebody listens. Without the sandbox, this would connect.
    address: String,
}

impl Check for ReadsEnvironment {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::from_targets(vec![
            judge("variables", env::vars().next().is_some()),
            judge("arguments", env::args().next().is_some()),
            judge("working directory", fs::read_dir(".").is_ok()),
            judge("root directory", fs::read_dir("/").is_ok()),
            judge("file", fs::read("/etc/passwd").is_ok()),
            judge("new file", fs::write("made-by-a-guest", "x").is_ok()),
            judge("tcp connection", TcpStream::connect(&self.address).is_ok()),
            judge("tcp listener", TcpListener::bind("127.0.0.1:0").is_ok()),
            judge("udp socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
            judge("name", "localhost:80".to_socket_addrs().is_ok()),
        ]))
    }
}

fn judge(what: &str, was_reached: bool) -> Target {
    if was_reached { Target::fail(what, "was reached") } else { Target::pass(what, "out of reach") }
}

aviary_guest::export!(ReadsEnvironment);
