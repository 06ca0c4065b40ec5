//! The process of the daemon: what it takes, and how it ends.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
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
    _checks: TempDir,
}

impl Daemon {
    /// Starts it with one check, after some words of the shell, and waits until the check has run.
    fn start(before: &str) -> Self {
        let mut daemon = Self::begin(before, &[]);
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
        Self { process, log, _checks: checks }
    }

    fn await_word(&mut self, word: &str) {
        let found = self.log.any(|line| line.expect("text").contains(word));
        assert!(found, "the daemon ended without saying {word}");
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
