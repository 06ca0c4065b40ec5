//! Every limit, run into by a guest, and counted.

use crate::{
    self as guests,
    support::{Subject, check, check_in, sandbox},
};
use aviary::{
    grant::{Bounds, Ceiling},
    outcome::{Reason, Verdict},
    policy::Policy,
    sandbox::Sandbox,
    value::{Limit, Size},
};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Starts a server that answers every connection with a page of this many bytes.
async fn server(bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.read(&mut [0; 1024]).await;
            });
        }
    });
    address
}

/// Runs a guest once, under these limits.
async fn run(sandbox: &Arc<Sandbox>, guest: &str, spec: &str) -> (Subject, Verdict) {
    let subject = Subject::load_in(Arc::clone(sandbox), check(spec), guest).await.expect("loaded");
    let verdict = match subject.try_live().await {
        Ok(mut instance) => match instance.init().await.done() {
            Ok(()) => subject.poll(&mut instance).await,
            Err(verdict) => verdict,
        },
        Err(fault) => Err(fault),
    };
    (subject, verdict)
}

fn message(verdict: &Verdict) -> String {
    match verdict {
        Ok(outcome) => format!("{outcome:?}"),
        Err(fault) => fault.message.clone(),
    }
}

#[tokio::test]
async fn every_limit_is_held_and_counted_when_a_guest_runs_into_it() {
    let (address, sandbox) = (server(3000).await, Arc::new(sandbox()));
    let http = |limits: &str, more: &str| {
        let hosts = format!("grants: {{ http: [{{ hosts: ['http://{address}'], methods: [GET, POST] }}] }}");
        format!("  {hosts}\n  limits: {{ {limits} }}\n  settings: {{ {more} }}")
    };
    let page = format!("'http://{address}/'");
    let tcp = format!(
        "  grants: {{ tcp: [{{ targets: ['{address}'] }}] }}\n  limits: {{ handles: 4 }}\n  settings: {{ address: '{address}', connections: 9 }}"
    );
    let metrics = |more: &str| format!("  limits: {{ series: 3, labelBytes: 16 }}\n  settings: {{ {more} }}");
    let long = "x".repeat(17);
    let raises = |limit: Limit| format!("`limits: {{ {}: … }}` raises that", limit.key());
    let cases = [
        (
            Limit::Memory,
            guests::GROWS_MEMORY,
            "  limits: { memory: 16Mi }".to_owned(),
            "refused after".to_owned(),
        ),
        (Limit::Tables, guests::PASSES, "  limits: { tables: 1 }".to_owned(), raises(Limit::Tables)),
        (
            Limit::TableElements,
            guests::PASSES,
            "  limits: { tableElements: 1 }".to_owned(),
            raises(Limit::TableElements),
        ),
        (Limit::Instances, guests::PASSES, "  limits: { instances: 1 }".to_owned(), raises(Limit::Instances)),
        (Limit::Handles, guests::CALLS_TCP, tcp, raises(Limit::Handles)),
        (
            Limit::HostCallBytes,
            guests::LONG_MESSAGE,
            "  limits: { hostCallBytes: 64Ki }".to_owned(),
            raises(Limit::HostCallBytes),
        ),
        (
            Limit::Cpu,
            guests::SPINS_IN_POLL,
            "  limits: { cpu: 50ms }".to_owned(),
            "50ms of processor".to_owned(),
        ),
        (
            Limit::InitCpu,
            guests::SPINS_IN_INIT,
            "  limits: { initCpu: 50ms }".to_owned(),
            "init used up its 50ms".to_owned(),
        ),
        (
            Limit::HostCalls,
            guests::CALLS_HTTP,
            http("hostCalls: 1", &format!("urls: [{page}, {page}]")),
            "made its 1 host calls".to_owned(),
        ),
        (
            Limit::ConcurrentCalls,
            guests::CALLS_HTTP,
            http("concurrentCalls: 1", &format!("urls: [{page}, {page}]")),
            "200 x".to_owned(),
        ),
        (
            Limit::BytesIn,
            guests::CALLS_HTTP,
            http("bytesIn: 1Ki", &format!("urls: [{page}]")),
            "(\"truncated\", \"true\")".to_owned(),
        ),
        (
            Limit::BytesOut,
            guests::CALLS_HTTP,
            http("bytesOut: 1Ki", &format!("urls: [{page}], method: POST, body: '{}'", "x".repeat(1024))),
            "no more than 1Ki to send".to_owned(),
        ),
        (Limit::LogLines, guests::FLOODS_LOG, "  limits: { cpu: 50ms }".to_owned(), "processor".to_owned()),
        (
            Limit::LogBytes,
            guests::FLOODS_LOG,
            "  limits: { cpu: 50ms, logBytes: 1Ki }".to_owned(),
            "processor".to_owned(),
        ),
        (Limit::MessageBytes, guests::LONG_MESSAGE, String::new(), "mmm…".to_owned()),
        (Limit::Targets, guests::LONG_MESSAGE, String::new(), "more targets are not shown".to_owned()),
        (Limit::TargetBytes, guests::LONG_MESSAGE, String::new(), "more targets are not shown".to_owned()),
        (
            Limit::Series,
            guests::WRITES_METRICS,
            metrics("metrics: [{ kind: gauge, name: q, value: 3 }], series: 5"),
            "TooManySeries".to_owned(),
        ),
        (
            Limit::LabelBytes,
            guests::WRITES_METRICS,
            metrics(&format!("metrics: [{{ kind: gauge, name: q, value: 3, labels: {{ a: {long} }} }}]")),
            "more than 16 bytes".to_owned(),
        ),
        (
            Limit::Timeout,
            guests::SLEEPS_FOREVER,
            "  timeout: 100ms".to_owned(),
            "timed out after 100ms".to_owned(),
        ),
    ];
    let mut subjects = Vec::new();
    let mut seen = BTreeSet::new();
    for (limit, guest, spec, says) in cases {
        let (subject, verdict) = run(&sandbox, guest, &spec).await;
        assert!(subject.entry.usage.hits.get(limit) > 0, "{limit:?} is not counted: {verdict:?}");
        assert!(message(&verdict).contains(&says), "{limit:?}: {verdict:?}");
        seen.insert(limit);
        // A guest that is held is not compiled again.
        subjects.push(subject);
    }
    assert_eq!(seen, BTreeSet::from(Limit::ALL));
}

#[tokio::test]
async fn a_check_within_its_limits_runs_into_none() {
    let (subject, verdict) = run(&Arc::new(sandbox()), guests::PASSES, "").await;
    assert!(verdict.is_ok());
    assert_eq!(subject.entry.usage.hits.all().count(), 0);
}

#[tokio::test]
async fn a_run_that_has_received_its_share_is_refused_further_calls() {
    let (address, sandbox) = (server(3000).await, Arc::new(sandbox()));
    let spec = format!(
        "  grants: {{ tcp: [{{ targets: ['{address}'] }}] }}\n  limits: {{ bytesIn: 1Ki }}\n  settings: {{ address: '{address}', send: x, receive: 3000 }}"
    );
    let (subject, verdict) = run(&sandbox, guests::CALLS_TCP, &spec).await;
    assert!(message(&verdict).contains("this run has received its 1Ki"), "{verdict:?}");
    assert!(subject.entry.usage.hits.get(Limit::BytesIn) > 0);
}

#[tokio::test]
async fn guests_of_a_tenant_hold_no_more_memory_together_than_the_policy_allows() {
    let sandbox = Arc::new(sandbox());
    let bounds = Arc::new(Bounds { memory: Some(Size::mebibytes(2)), ..Bounds::default() });
    let load = async |namespace: &str| {
        let check =
            check_in(namespace, "", &Ceiling::tenant(namespace, "cluster.local", Arc::clone(&bounds)));
        Subject::load_in(Arc::clone(&sandbox), check, guests::PASSES).await.expect("loaded")
    };
    let (first, second, other) = (load("team-a").await, load("team-a").await, load("team-b").await);
    let live = first.live().await;
    let fault = second.try_live().await.err().expect("no room");
    assert_eq!(fault.reason, Reason::Memory, "{fault}");
    assert!(
        fault.message.contains("the guests of the namespace team-a may hold 2 MiB of memory together"),
        "{fault}"
    );
    assert_eq!(second.entry.usage.hits.get(Limit::Memory), 1);
    other.live().await;
    drop(live);
    second.live().await;
}

#[tokio::test]
async fn answers_on_their_way_count_as_memory_of_a_tenants_guests() {
    let address = server(1 << 20).await;
    let grants = format!("grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}");
    let spec = format!("  {grants}\n  settings: {{ urls: ['http://{address}/'] }}");
    let answers = async |mebibytes, polls| {
        let rules = format!("rules: [{{ namespaces: [team-a], memory: {mebibytes}Mi, {grants} }}]");
        let policy = format!("apiVersion: aviary.dev/v1alpha1\nkind: Policy\n{rules}");
        let policy = Policy::parse(&policy, None, "cluster.local").expect("a policy");
        let check = check_in("team-a", &spec, &policy.ceiling_for("team-a"));
        let subject = Subject::load_in(Arc::new(sandbox()), check, guests::CALLS_HTTP).await.expect("loaded");
        let mut instance = subject.live().await;
        instance.init().await.done().expect("a round");
        let mut latest = String::new();
        for _ in 0..polls {
            latest = message(&subject.poll(&mut instance).await);
        }
        (latest, subject.entry.usage.hits.get(Limit::Memory))
    };
    let (crowded, refused) = answers(2, 2).await;
    let refusal = "the guests of this namespace hold all of the memory that they may have together, 2 MiB";
    assert!(crowded.contains(refusal) && refused == 2, "{refused} times: {crowded:.500}");
    let (spacious, refused) = answers(16, 20).await;
    assert!(spacious.contains("200") && refused == 0, "{refused} times: {spacious:.500}");
}
