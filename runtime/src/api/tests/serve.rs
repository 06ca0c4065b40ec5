use super::*;
use crate::{
    api::{Entrance, ReloadingFile, Tls, listen, probes, serve},
    capability::sockets::allow_as_many_as_possible,
};
use axum::{Router, routing::get};
use std::{fs, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

const CLOSE_AFTER: Duration = Duration::from_secs(60);

pub(super) struct Server {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) async fn start(router: Router, shutdown: CancellationToken) -> Server {
    start_with(None, router, shutdown).await
}

fn listen_anywhere() -> TcpListener {
    listen("127.0.0.1:0".parse().expect("an address")).expect("a free port")
}

pub(super) async fn start_with(
    tls: Option<Arc<ReloadingFile<Tls>>>,
    router: Router,
    shutdown: CancellationToken,
) -> Server {
    let listener = listen_anywhere();
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(serve(
        listener,
        Entrance { tls, ..Entrance::default() },
        router,
        shutdown.clone(),
        CLOSE_AFTER,
    ));
    Server { address, shutdown, task }
}

async fn start_api() -> Server {
    let shutdown = CancellationToken::new();
    start(router(board(), shutdown.clone()), shutdown).await
}

impl Server {
    /// Sends a GET request over a connection of its own, with `more` header lines. Returns the whole answer.
    pub(super) async fn get(&self, path: &str, more: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        rest(self.open(&request).await).await
    }

    pub(super) async fn open(&self, text: &str) -> TcpStream {
        self.open_from(1, text).await
    }

    /// Opens a connection from 127.0.0.`address`, and sends `text`.
    async fn open_from(&self, address: u8, text: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, address], 0))).expect("another address");
        let mut stream = socket.connect(self.address).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("text can be sent");
        stream
    }
}

pub(super) async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A server that drops a connection may reset it, which is an end as well.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).expect("text")
}

/// A router whose only path, `/slow`, answers after this many seconds.
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

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_in_drips_is_cut_off() {
    const SIZE: usize = 64 * 1024 * 1024;
    let router = Router::new().route("/large", get(async || vec![b'x'; SIZE]));
    let server = start(router, CancellationToken::new()).await;
    let mut stream = server.open("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut taken = 0;
    for _ in 0..8 {
        sleep(Duration::from_secs(5)).await;
        taken += stream.read(&mut [0; 4096]).await.expect("a drip");
    }
    assert!(taken + rest(stream).await.len() < SIZE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_holds_nobody_up() {
    let server = start_api().await;
    let begun = Instant::now();
    let request = "POST /api/v1/checks/a/b/run HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx";
    let answer = rest(server.open(request).await).await;
    assert!(answer.starts_with("HTTP/1.1 404") && begun.elapsed() < Duration::from_secs(1), "{answer}");
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// A request for a run of `a/hung` of [`start_hung`], which is answered only after a long time.
const HUNG: &str = "GET /health/a/hung?run HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server with the check `a/hung`, which nothing runs.
async fn start_hung() -> (Server, Arc<Entry>) {
    let board = board();
    let hung = enter_with(&board, "a/hung", outcome(Status::Pass, ""));
    let shutdown = CancellationToken::new();
    (start(router(board, shutdown.clone()), shutdown).await, hung)
}

#[tokio::test]
async fn a_client_with_too_many_requests_under_way_is_told_so_and_others_are_answered() {
    let (server, _hung) = start_hung().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(server.open(HUNG).await);
    }
    // The server may not have read all requests yet.
    while server.get("/health", "").await.starts_with("HTTP/1.1 200") {}
    let answer = server.get("/health", "").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("retry-after: 1\r\n") && answer.contains("too many requests under way"),
        "{answer}"
    );
    let other = server.open_from(2, HEALTH).await;
    assert!(rest(other).await.starts_with("HTTP/1.1 200"));
    drop(held);
    while server.get("/health", "").await.starts_with("HTTP/1.1 503") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_that_say_nothing_lock_nobody_out_wherever_they_come_from() {
    allow_as_many_as_possible();
    let server = start_api().await;
    let mut held = Vec::new();
    for address in 2..22 {
        for beginning in ["", "GET /metrics HTTP/1.1\r\n"].repeat(30) {
            held.push(server.open_from(address, beginning).await);
        }
    }
    for _ in 0..40 {
        let answer = server.get("/metrics", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_whose_connections_say_nothing_any_more_is_answered_on_another_one() {
    let server = start_api().await;
    let mut held = Vec::new();
    for _ in 0..70 {
        let mut stream = server.open("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        held.push(stream);
    }
    assert!(server.get("/health", "").await.starts_with("HTTP/1.1 200"));
    assert!(rest(held.remove(0)).await.ends_with("ok\n"), "the oldest has made room");
}

#[tokio::test]
async fn a_request_under_way_keeps_its_seat_however_many_connections_come() {
    let (server, hung) = start_hung().await;
    let asked = server.open(HUNG).await;
    hung.demanded().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(server.open("").await);
    }
    assert!(server.get("/health", "").await.starts_with("HTTP/1.1 200"));
    record(&hung, outcome(Status::Pass, "done"));
    let mut answer = [0; 15];
    let mut asked = asked;
    asked.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_burst_of_connections_waits_to_be_accepted_and_none_is_lost() {
    allow_as_many_as_possible();
    let allowed = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("a setting of the kernel");
    let burst = allowed.trim().parse::<usize>().expect("a number").min(1000);
    let listener = listen_anywhere();
    let address = listener.local_addr().expect("an address");
    let burst = (0..burst).map(|_| TcpStream::connect(address));
    // Where the queue is full, the kernel drops connections, and nothing here accepts any.
    let connected = timeout(Duration::from_secs(10), futures_util::future::try_join_all(burst)).await;
    assert!(connected.is_ok_and(|connected| connected.is_ok()));
}

#[tokio::test]
async fn a_flood_of_connections_that_say_nothing_leaves_room_for_the_kubelet() {
    let server = start_api().await;
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(server.open("").await);
    }
    assert!(server.get("/livez", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_kubelet_is_answered_on_its_own_listener_and_about_nothing_else() {
    let (board, shutdown) = (board(), CancellationToken::new());
    let server = start(probes(Arc::clone(&board)), shutdown).await;
    assert!(server.get("/livez", "").await.ends_with("\r\n\r\nok\n"));
    assert!(server.get("/readyz", "").await.starts_with("HTTP/1.1 200"));
    board.set_ready(false);
    assert!(server.get("/readyz", "").await.starts_with("HTTP/1.1 503"));
    for path in ["/", "/health", "/metrics", "/api/v1/checks"] {
        let answer = server.get(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("--listen"), "{answer}");
    }
}

#[tokio::test]
async fn readers_that_do_not_read_keep_nobody_from_the_metrics() {
    let board = board();
    for index in 0..2_000 {
        enter_with(&board, &format!("a/{index}"), outcome(Status::Pass, ""));
    }
    let shutdown = CancellationToken::new();
    let server = start(router(board, shutdown.clone()), shutdown).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(server.open("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await);
        sleep(Duration::from_millis(20)).await;
    }
    let answer = server.get("/metrics", "").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n0\r\n\r\n"));
    assert!(answer.contains("check=\"1999\""));
}
