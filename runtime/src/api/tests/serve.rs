use super::*;
use crate::api::serve;
use axum::{Router, routing::get};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

const CLOSE_AFTER: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(router: Router, shutdown: CancellationToken) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(serve(listener, router, shutdown.clone(), CLOSE_AFTER));
    Server { address, shutdown, task }
}

async fn start_api() -> Server {
    let shutdown = CancellationToken::new();
    start(router(board(), shutdown.clone()), shutdown).await
}

impl Server {
    async fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("text can be sent");
        stream
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A server that drops a connection may reset it, which is an end as well.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).expect("text")
}

/// A router whose one path takes so long.
fn slow(seconds: u64) -> Router {
    let answer = move || async move {
        sleep(Duration::from_secs(seconds)).await;
        "done"
    };
    Router::new().route("/slow", get(answer))
}

#[tokio::test]
async fn requests_on_one_connection_are_answered() {
    let server = start_api().await;
    let request =
        "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = rest(server.open(request).await).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_its_request_is_cut_off() {
    let server = start_api().await;
    for beginning in ["", "GET /livez HTT", "GET /livez HTTP/1.1\r\nHost: x\r\n"] {
        let begun = Instant::now();
        let answer = rest(server.open(beginning).await).await;
        assert!(!answer.contains("200"), "{answer}");
        assert!(begun.elapsed() >= Duration::from_secs(10) && begun.elapsed() < Duration::from_secs(11));
    }
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let server = start_api().await;
    let request = "POST /api/v1/checks/a/b/run HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n";
    let mut stream = server.open(request).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_requests_finish_and_takes_no_more() {
    let server = start(slow(5), CancellationToken::new()).await;
    let stream = server.open("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    server.shutdown.cancel();
    let answer = rest(stream).await;
    assert!(answer.ends_with("done"), "{answer}");
    server.task.await.expect("the server ends");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn shutdown_drops_what_does_not_finish_in_time() {
    let server = start(slow(600), CancellationToken::new()).await;
    let stream = server.open("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    server.shutdown.cancel();
    server.task.await.expect("the server ends");
    assert_eq!(begun.elapsed(), CLOSE_AFTER);
    assert_eq!(rest(stream).await, "");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_idle_connections_and_streams_of_events_at_once() {
    let server = start_api().await;
    let idle = server.open("").await;
    let mut listener = server.open("GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut head = [0; 15];
    listener.read_exact(&mut head).await.expect("a head");
    let begun = Instant::now();
    server.shutdown.cancel();
    server.task.await.expect("the server ends");
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop((rest(idle).await, rest(listener).await));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    const SIZE: usize = 64 * 1024 * 1024;
    let router = Router::new().route("/large", get(async || vec![b'x'; SIZE]));
    let server = start(router, CancellationToken::new()).await;
    let stream = server.open("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(Duration::from_secs(31)).await;
    assert!(rest(stream).await.len() < SIZE);
}
