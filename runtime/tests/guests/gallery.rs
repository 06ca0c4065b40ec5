//! Every crime of the gallery in the real sandbox, beside a neighbour who wants to be on time.

use crate::{
    self as guests,
    support::{Subject, check, outcome, sandbox},
};
use aviary::{
    outcome::{Blame, Status, Verdict},
    sandbox::Sandbox,
};
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use test_guests::{Crime, End, GALLERY};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

/// The longest time that a crime may take: more than its limits and a busy machine explain.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most memory that this process may have, in KiB.
/// It is more than the daemon and its compiler need, and less than any bomb would take.
const MEMORY: usize = 600 * 1024;
/// The most bytes of a verdict's messages: more than the longest that there may be.
const LONGEST: usize = 5_000;

#[test]
fn every_crime_ends_as_it_should_and_a_neighbour_is_on_time() {
    let runtime = aviary::daemon::runtime().expect("a runtime");
    let sandbox = Arc::new(sandbox());
    let done = Arc::new(AtomicBool::new(false));
    let neighbour = runtime.spawn(be_punctual(Arc::clone(&sandbox), Arc::clone(&done)));
    let mut wrong = Vec::new();
    for crime in GALLERY {
        let committed = commit(crime, Arc::clone(&sandbox));
        let committed = runtime.spawn(async { timeout(PATIENCE, committed).await });
        let end = match runtime.block_on(committed) {
            Ok(Ok(verdict)) => judge(crime.end, &verdict),
            Ok(Err(_)) => Err(format!("is still going on after {PATIENCE:?}")),
            Err(panic) => Err(format!("makes the daemon panic: {panic}")),
        };
        wrong.extend(end.err().map(|why| format!("{} {why}", crime.name)));
    }
    assert!(wrong.is_empty(), "{} crimes end otherwise:\n{}", wrong.len(), wrong.join("\n"));
    done.store(true, Relaxed);
    let median = runtime.block_on(neighbour).expect("no panic");
    assert!(median < Duration::from_millis(100), "the neighbour's polls took {median:?}");
    let peak = peak_memory();
    assert!(peak < MEMORY, "the crimes took {} MiB", peak / 1024);
}

#[tokio::test]
async fn a_server_that_drips_or_never_ends_costs_a_check_its_deadline_and_no_memory() {
    for (endless, status, says) in
        [(false, Status::Fail, "timed out while reading the body"), (true, Status::Pass, "200 x")]
    {
        let address = server(endless).await;
        let url = format!("http://{address}");
        let spec = format!(
            "  timeout: 400ms\n  grants: {{ http: [{{ hosts: ['{url}'] }}] }}\n  settings: {{ urls: ['{url}/'], bodyLimit: 1000 }}"
        );
        let begun = Instant::now();
        let outcome = outcome(guests::CALLS_HTTP, &spec).await;
        let (target, took) = (&outcome.targets[0], begun.elapsed());
        assert!(target.status == status && target.message.contains(says), "{target:?}");
        assert!(took < PATIENCE, "took {took:?}");
    }
}

/// Answers with a body that never ends: at full speed, or a byte at a time.
async fn server(endless: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n").await;
        let (part, pause) = if endless { (65_536, 0) } else { (1, 20) };
        while stream.write_all(&vec![b'x'; part]).await.is_ok() {
            sleep(Duration::from_millis(pause)).await;
        }
    });
    address
}

/// Runs one round of a crime, and returns the first verdict that says anything.
async fn commit(crime: &Crime, sandbox: Arc<Sandbox>) -> Verdict {
    let spec: String = crime.spec.iter().map(|line| format!("  {line}\n")).collect();
    let subject = Subject::load_in(sandbox, check(&spec), crime.path).await?;
    let mut live = subject.try_live().await?;
    if let Err(verdict) = live.init().await.done() {
        return verdict;
    }
    let outcome = subject.poll(&mut live).await?;
    match live.cleanup().await {
        ended if ended.is_answered() => Ok(outcome),
        ended => ended.done().map_or_else(|verdict| verdict, |()| Ok(outcome)),
    }
}

/// Judges the end of a crime; the error says what is wrong with it.
fn judge(end: End, verdict: &Verdict) -> Result<(), String> {
    let (message, right) = match (end, verdict) {
        (End::Fault { reason, .. }, Err(fault)) => {
            (&fault.message, fault.reason.label() == reason && fault.reason.blame() == Blame::Guest)
        }
        (End::Outcome { .. }, Ok(outcome)) => (&outcome.message, true),
        _ => return Err(format!("ends with {verdict:?} and not with {end:?}")),
    };
    let (End::Fault { says, .. } | End::Outcome { says }) = end;
    let helpful = message.contains(says) && message.len() < LONGEST;
    let odd = |letter: char| letter.is_control() || ('\u{2028}'..='\u{202e}').contains(&letter);
    if right && helpful && !message.contains(odd) {
        return Ok(());
    }
    Err(format!("ends with {verdict:?} and not with {end:?}"))
}

/// Polls a good check every 10 ms, and returns the median of how long that took.
async fn be_punctual(sandbox: Arc<Sandbox>, done: Arc<AtomicBool>) -> Duration {
    let subject = Subject::load_in(sandbox, check(""), guests::PASSES).await.expect("loaded");
    let mut live = subject.live().await;
    live.init().await.done().expect("begun");
    let mut waits = Vec::new();
    while !done.load(Relaxed) {
        let begun = Instant::now();
        sleep(Duration::from_millis(10)).await;
        assert_eq!(subject.poll(&mut live).await.expect("an outcome").status, Status::Pass);
        waits.push(begun.elapsed());
    }
    waits.sort();
    waits[waits.len() / 2]
}

/// The most memory that this process had, in KiB.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
