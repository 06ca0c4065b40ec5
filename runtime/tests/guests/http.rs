//! The `http` check, in the sandbox and with a server on this machine whose answers are odd.

use crate::{self as guests, support};
use aviary::outcome::{Outcome, Status};
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

/// Starts a server that answers each path as [`answer`] says, and tells the request in the answer of `/echo`.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("text");
    let path = head.split(' ').nth(1).expect("a path");
    // The guest may be gone already.
    let _ = stream.write_all(&answer(path, &head)).await;
    while path == "/endless" && stream.write_all(b"event: tick\n\n").await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("gzip")
}

fn answer(path: &str, request: &str) -> Vec<u8> {
    let html = b"<title>shop</title><p>database is down</p>";
    let (headers, body): (&str, Vec<u8>) = match path {
        "/gzip" => ("Content-Encoding: gzip\r\n", gzip(html)),
        "/bomb" => ("Content-Encoding: gzip\r\n", gzip(&vec![b'a'; 20 << 20])),
        "/lie" => ("Content-Encoding: gzip\r\n", html.to_vec()),
        "/latin" => ("Content-Type: text/html; charset=latin1\r\n", b"gest\xf6rt".to_vec()),
        "/undeclared" => ("", b"gest\xf6rt".to_vec()),
        "/long" => ("", [vec![b'a'; 1 << 20], html.to_vec()].concat()),
        "/broken" => return b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        "/endless" => return b"HTTP/1.1 200 OK\r\n\r\nevent: ready\n\n".to_vec(),
        "/json" => (
            "",
            br#"{"id": 123456789012345678901234567890, "ok": 1.0, "items": [{"n": 1}, {"n": 2}]}"#.to_vec(),
        ),
        "/comma" => ("", b"{\"ok\":4,}".to_vec()),
        "/echo" => ("", request.as_bytes().to_vec()),
        _ => ("", b"fine".to_vec()),
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.into_bytes(), body].concat()
}

/// The outcome of a check that asks for one path of the server and expects this.
async fn judged(path: &str, expect: &str) -> Outcome {
    judged_with(path, expect, "", "").await
}

async fn judged_with(path: &str, expect: &str, settings: &str, spec: &str) -> Outcome {
    subject(path, expect, settings, spec).await.run().await.expect("an outcome")
}

/// A check that asks for one path of a server of its own.
async fn subject(path: &str, expect: &str, settings: &str, spec: &str) -> support::Subject {
    let origin = format!("http://{}", server().await);
    let spec = format!(
        "  timeout: 2s\n  grants: {{ http: [{{ hosts: ['{origin}'] }}] }}\n{spec}  settings: {{ urls: ['{origin}{path}'], \
         {settings} expect: {{ {expect} }} }}"
    );
    support::Subject::load(guests::CHECK_HTTP, &spec).await.expect("a guest")
}

async fn fails(path: &str, expect: &str, words: &str) {
    let outcome = judged(path, expect).await;
    assert_eq!(outcome.status, Status::Fail, "{path}: {}", outcome.message);
    assert!(outcome.message.contains(words), "{path}: {}", outcome.message);
}

async fn passes(path: &str, expect: &str) {
    let outcome = judged(path, expect).await;
    assert_eq!(outcome.status, Status::Pass, "{path}: {}", outcome.message);
}

#[tokio::test]
async fn a_negative_rule_never_passes_on_a_body_that_nobody_understood() {
    let rule = "body: { notMatches: ['database is down', 'gestört'] }";
    for (path, words) in [
        ("/gzip", "the body matches /database is down/"),
        ("/bomb", "it is a decompression bomb"),
        ("/lie", "it is no gzip"),
        ("/latin", "the body matches /gestört/"),
        ("/undeclared", "it is not UTF-8 at byte 4, and no charset is declared"),
        ("/long", "the body goes on beyond what is read of it (1048576 bytes came)"),
        ("/broken", "status 503; the body broke off after 5 bytes"),
    ] {
        fails(path, rule, words).await;
    }
    passes("/", rule).await;
    fails("/undeclared", "body: { notMatches: ['gestört'], charset: latin1 }", "the body matches").await;
}

#[tokio::test]
async fn a_page_is_judged_at_its_head_where_no_rule_is_about_the_body() {
    for path in ["/bomb", "/lie", "/undeclared", "/long", "/endless"] {
        passes(path, "").await;
    }
    passes("/broken", "status: [503]").await;
}

#[tokio::test]
async fn an_endless_body_is_read_until_all_is_found_that_has_to_be() {
    let rule = "body: { matches: ['event: ready', 'tick'] }";
    let subject = subject("/endless", rule, "", "").await;
    let since = Instant::now();
    let outcome = subject.run().await.expect("an outcome");
    assert!(since.elapsed() < Duration::from_millis(1_500), "{:?}", since.elapsed());
    assert_eq!(outcome.status, Status::Pass, "{}", outcome.message);
    fails("/endless", "body: { notMatches: ['down'] }", "the body had not ended in time").await;
}

#[tokio::test]
async fn json_is_compared_by_value_with_all_digits_of_the_manifest() {
    passes("/json", "json: { /id: 123456789012345678901234567890, /ok: 1 }").await;
    fails("/json", "json: { /id: 123456789012345678901234567891 }", "/id is 123456789012345678901234567890")
        .await;
    passes(
        "/json",
        "jsonRules: [{ path: '/items/*/n', atLeast: 1 }, { path: /items, length: { atMost: 2 } }]",
    )
    .await;
    fails("/json", "jsonRules: [{ path: '/items/*/n', above: 1 }]", "/items/0/n is 1, not greater than 1")
        .await;
    fails("/comma", "json: { /ok: 4 }", "the body is no JSON: line 1 column 9: trailing comma").await;
}

#[tokio::test]
async fn credentials_come_from_secrets_and_show_nowhere() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "s3cr3t\n").expect("written");
    let secrets = format!("  secrets: [{{ name: token, file: {} }}]\n", file.path().display());
    for (settings, sent) in [
        ("auth: { bearer: { secret: token } },", "authorization: Bearer s3cr3t"),
        (
            "auth: { basic: { username: ops, password: { secret: token } } },",
            "authorization: Basic b3BzOnMzY3IzdA==",
        ),
        ("headers: { X-Key: { secret: token, prefix: 'Key ' } },", "x-key: Key s3cr3t"),
    ] {
        let expect = format!("body: {{ matches: ['(?i){sent}'] }}");
        let outcome = judged_with("/echo", &expect, settings, &secrets).await;
        assert_eq!(outcome.status, Status::Pass, "{}", outcome.message);
        let outcome = judged_with("/echo", "body: { matches: [nothing] }", settings, &secrets).await;
        assert!(!format!("{outcome:?}").contains("s3cr3t"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_module_that_reads_no_secrets_is_refused_where_the_manifest_lists_some() {
    let spec = "  secrets: [{ name: token, env: TOKEN }]\n  grants: { dns: { names: ['*'] } }\n  settings: { names: [a] }";
    let refused = support::Subject::load(guests::CHECK_DNS, spec).await.err().expect("refused");
    assert!(refused.message.contains("lists the secret token"), "{}", refused.message);
}
