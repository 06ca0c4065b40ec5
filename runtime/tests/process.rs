//! The process of the daemon: what it takes, and how it ends.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

// Only one guest is needed here.
macro_rules! guest {
    (PASSES $path:literal) => {
        const PASSES: &str = $path;
    };
    ($name:ident $path:literal) => {};
}
test_guests::for_each!(guest);

struct Daemon {
    process: Child,
    log: Lines<BufReader<ChildStdout>>,
    /// Where it answers.
    address: String,
    checks: TempDir,
}

impl Daemon {
    /// Starts it with one check, after some words of the shell, and waits until the check has run.
    fn start(before: &str) -> Self {
        let mut daemon = Self::begin(before, &[]);
        let listening = daemon.await_word("listening");
        let address = listening.rsplit_once("address=").expect("an address").1;
        daemon.address = address.trim().to_owned();
        daemon.await_word("is=\"pass\"");
        daemon
    }

    /// Starts it with one check and further arguments, after some words of the shell.
    fn begin(before: &str, arguments: &[&str]) -> Self {
        let checks = tempfile::tempdir().expect("a directory");
        fs::copy(PASSES, checks.path().join("passes.wasm")).expect("copied");
        let run = format!("{before} exec \"$0\" run --listen 127.0.0.1:0 --checks \"$@\" 2>&1");
        let mut shell = Command::new("sh");
        shell.args(["-c", &run, env!("CARGO_BIN_EXE_aviary")]).arg(checks.path()).args(arguments);
        let mut process = shell.stdout(Stdio::piped()).spawn().expect("started");
        let log = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, log, address: String::new(), checks }
    }

    /// Waits for the line of the log that has this word.
    fn await_word(&mut self, word: &str) -> String {
        let found = self.log.by_ref().map(|line| line.expect("text")).find(|line| line.contains(word));
        found.unwrap_or_else(|| panic!("the daemon ended without saying {word}"))
    }

    /// How it answers, headers and all.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Asks until the answer has this status, and tells the answer.
    fn get_until(&self, path: &str, status: u16) -> String {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if answer.starts_with(&format!("HTTP/1.1 {status} ")) {
                return answer;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{answer}");
            sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// The signals that it ignores, as bits.
    fn ignored(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it lives");
        let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("signals");
        u64::from_str_radix(bits.trim(), 16).expect("bits")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, if the test went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_signal_that_asks_for_an_end_lets_checks_clean_up() {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let mut daemon = Daemon::start("");
        daemon.send(signal);
        daemon.await_word("cleaned up");
        assert_eq!(daemon.process.wait().expect("ended").code(), Some(0), "{signal}");
    }
}

#[test]
fn a_daemon_that_is_told_to_end_while_it_starts_ends_clean() {
    let key = "RWTOai1xfg21NlZIvpVLls/Kl8sD7K+O8R2SnGp/ic94rfxyeOb7/PtW";
    for _ in 0..5 {
        let mut daemon = Daemon::begin("", &["--require-signature", key]);
        daemon.await_word("modules have to be signed");
        daemon.send("TERM");
        assert_eq!(daemon.process.wait().expect("ended").code(), Some(0));
    }
}

#[test]
fn a_closed_terminal_does_not_end_a_daemon_that_was_started_with_nohup() {
    const HANGUP: u64 = 1;
    let mut daemon = Daemon::start("trap '' HUP;");
    assert_eq!(daemon.ignored() & HANGUP, HANGUP);
    daemon.send("TERM");
    assert_eq!(daemon.process.wait().expect("ended").code(), Some(0));
}

#[test]
fn the_daemon_opens_as_many_files_as_it_may_whatever_it_was_started_with() {
    let daemon = Daemon::start("ulimit -Sn 256;");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.process.id())).expect("it lives");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    let (soft, hard) = files.trim_start().split_once(' ').expect("two figures");
    assert_ne!(soft, "256");
    assert!(hard.trim_start().starts_with(soft), "{files}");
}

#[test]
fn nothing_looks_well_while_a_directory_of_checks_cannot_be_read_whole() {
    let daemon = Daemon::start("");
    daemon.get_until("/health", 200);
    // What is a link to itself cannot be looked at, whoever asks; so it is with every file of a directory that one
    // may list and not search.
    let module = daemon.checks.path().join("passes.wasm");
    fs::rename(&module, daemon.checks.path().join(".aside")).expect("laid aside");
    symlink("passes.wasm", &module).expect("a link");
    let answer = daemon.get_until("/health", 500);
    assert!(answer.contains("\"default/passes\":{\"ok\":true"), "it goes on: {answer}");
    assert!(
        answer.contains("\"default/unreadable-directory\":{\"ok\":false,\"error\":\"cannot read "),
        "{answer}"
    );
    assert!(daemon.get("/metrics").contains("aviary_source_connected{source=\"directory\"} 0"));
    fs::rename(daemon.checks.path().join(".aside"), &module).expect("put back");
    let answer = daemon.get_until("/health", 200);
    assert!(!answer.contains("unreadable-directory"), "{answer}");
}

#[test]
fn one_address_for_checks_and_for_probes_is_refused_by_what_it_is() {
    let checks = tempfile::tempdir().expect("a directory");
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let address = address.to_string();
    let run = ["run", "--listen", &address, "--probe-listen", &address, "--checks"];
    let ended = Command::new(env!("CARGO_BIN_EXE_aviary")).args(run).arg(checks.path()).output();
    let ended = ended.expect("started");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("--probe-listen and --listen have the same port"), "{said}");
}
