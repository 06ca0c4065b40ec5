//! Tries to reach what WASI could offer, and fails if it reaches anything.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::{env, fs, thread};

use aviary_guest::{Check, Outcome, Target};

#[derive(serde::Deserialize)]
struct ReadsEnvironment {}

impl Check for ReadsEnvironment {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::from_targets(vec![
            judge("variables", env::vars().next()),
            judge("arguments", env::args().next()),
            judge("working directory", fs::read_dir(".").ok()),
            judge("root directory", fs::read_dir("/").ok()),
            judge("file", fs::read("/etc/passwd").ok()),
            judge("new file", fs::write("made-by-a-guest", "x").ok()),
            judge("tcp connection", TcpStream::connect("127.0.0.1:1").ok()),
            judge("tcp listener", TcpListener::bind("127.0.0.1:0").ok()),
            judge("udp socket", UdpSocket::bind("127.0.0.1:0").ok()),
            judge("name", std::net::ToSocketAddrs::to_socket_addrs("localhost:80").ok()),
            judge("thread", thread::Builder::new().spawn(|| {}).ok()),
        ]))
    }
}

fn judge<T>(what: &str, reached: Option<T>) -> Target {
    match reached {
        None => Target::pass(what, "out of reach"),
        Some(_) => Target::fail(what, "was reached"),
    }
}

aviary_guest::export!(ReadsEnvironment);
