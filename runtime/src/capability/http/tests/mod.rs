//! Tests of requests to real servers on this machine.

mod fetch;
mod hostile;
mod many;
mod proxy;
mod redirects;
mod refused;
mod reuse;
mod tls;

use super::*;
use crate::{
    capability::{
        InFlightBytes,
        bindings::aviary::check::http::{IpFamily, Method, Phase, Protocol, TextOptions},
        dial::Network,
        testing::{authorization, listen, listen_at, network, soon},
    },
    grant::Authorization,
};
use axum::{Router, body::Bytes, http::HeaderMap, routing};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ALL: &str = "http: [{ hosts: [\"http://127.0.0.1:*\", \"https://127.0.0.1:*\", \"http://[::1]:*\", \
    \"http://localhost:*\", \"https://localhost:*\"], methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS] }]";

fn get(url: impl Into<String>) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: None,
        timeout_ms: None,
        redirects: 0,
        reuse_connection: false,
        ip_family: IpFamily::Any,
        body_limit: None,
        tls: None,
    }
}

/// A guest that may send to every server of the tests, and hold all of their answers.
struct Guest {
    network: Network,
    authorization: Authorization,
    connections: Connections,
    in_flight: InFlightBytes,
    open_bodies: Semaphore,
}

impl Guest {
    /// A guest that may keep so many bodies open.
    fn new(open_bodies: usize) -> Self {
        Self {
            network: network(),
            authorization: authorization(ALL),
            connections: Connections::default(),
            in_flight: InFlightBytes::new(None, Arc::default()),
            open_bodies: Semaphore::new(open_bodies),
        }
    }

    fn client(&self) -> Client<'_> {
        Client {
            network: &self.network,
            authorization: &self.authorization,
            connections: &self.connections,
            in_flight: &self.in_flight,
            open_bodies: &self.open_bodies,
        }
    }
}

/// Sends a request for a guest that may hold all of the answer.
async fn send(
    network: &Network,
    authorization: &Authorization,
    connections: &Connections,
    request: Request,
    deadline: Instant,
) -> Result<Response, Error> {
    let (in_flight, open_bodies) = (InFlightBytes::new(None, Arc::default()), Semaphore::new(0));
    let client =
        Client { network, authorization, connections, in_flight: &in_flight, open_bodies: &open_bodies };
    client.receive(request.into(), deadline, MOST_KEPT).await.map(Response::from)
}

/// Sends a request that may go to every server of the tests.
async fn fetch(request: Request) -> Result<Response, Error> {
    fetch_until(request, soon()).await
}

async fn fetch_until(request: Request, deadline: Instant) -> Result<Response, Error> {
    send(&network(), &authorization(ALL), &Connections::default(), request, deadline).await
}

/// Starts a server with these routes.
async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// Starts a server that reads one request, answers with these bytes and closes.
async fn script(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    listen(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_head(&mut stream).await;
            // The guest may be gone already.
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// Reads from a stream to the end of a request's head.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("text")
}

fn header<'a>(response: &'a Response, wanted: &str) -> Option<&'a str> {
    response.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// Answers with the headers and body of the request.
async fn echo(headers: HeaderMap, body: Bytes) -> String {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("text")));
    lines.collect::<String>() + "\n" + &String::from_utf8_lossy(&body)
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("text")
}

#[tokio::test]
async fn a_response_carries_all_that_was_seen() {
    let routes = Router::new().route("/a", routing::get(|| async { ([("X-Seen", "yes")], "hello") }));
    let address = serve(routes).await;
    let response = fetch(get(format!("http://{address}/a?b=c#d"))).await.expect("a response");
    assert_eq!((response.status, text(&response), response.truncated), (200, "hello", false));
    assert_eq!(header(&response, "x-seen"), Some("yes"));
    assert_eq!(response.url, format!("http://{address}/a?b=c"));
    assert_eq!((response.remote_address.as_str(), response.redirects), (address.to_string().as_str(), 0));
    assert_eq!(response.protocol, Protocol::Http11);
    assert!(response.certificate.is_none());
    let timings = response.timings;
    assert!(timings.connect_ns > 0 && timings.wait_ns > 0 && timings.transfer_ns > 0, "{timings:?}");
    assert_eq!(timings.tls_ns, 0);
}

#[tokio::test]
async fn a_request_arrives_as_the_guest_wrote_it() {
    let address = serve(Router::new().route("/", routing::post(echo))).await;
    let mut request = get(format!("http://{address}"));
    request.method = Method::Post;
    request.headers = vec![("X-One".to_owned(), "ä".to_owned()), ("x-two".to_owned(), "2".to_owned())];
    request.headers.remove(0);
    request.body = Some(b"body".to_vec());
    let response = fetch(request).await.expect("a response");
    let seen = text(&response);
    assert!(seen.ends_with("\n\nbody") && seen.contains("x-two: 2\n"), "{seen}");
    assert!(seen.contains(&format!("host: {address}\n")) && seen.contains("content-length: 4\n"), "{seen}");
    assert!(seen.contains(concat!("user-agent: aviary/", env!("CARGO_PKG_VERSION"), "\n")), "{seen}");
}

#[tokio::test]
async fn the_guests_own_user_agent_is_left_alone() {
    let address = serve(Router::new().route("/", routing::get(echo))).await;
    let mut request = get(format!("http://{address}"));
    request.headers = vec![("User-Agent".to_owned(), "mine".to_owned())];
    let response = fetch(request).await.expect("a response");
    assert_eq!(text(&response).matches("user-agent: ").count(), 1);
    assert!(text(&response).contains("user-agent: mine\n"));
}

#[tokio::test]
async fn names_and_ipv6_addresses_are_dialled() {
    let answer = "HTTP/1.0 204 No Content\r\n\r\n";
    let address = script(answer).await;
    let response = fetch(get(format!("http://localhost:{}", address.port()))).await.expect("by name");
    assert_eq!((response.status, response.protocol), (204, Protocol::Http10));
    assert!(response.timings.resolve_ns > 0);
    let address = listen_at("[::1]:0", move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let response = fetch(get(format!("http://{address}"))).await.expect("by IPv6 address");
    assert_eq!(response.remote_address, address.to_string());
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    for (method, head) in [
        (Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (Method::Get, "HTTP/1.1 204 No Content\r\n\r\n"),
        (Method::Get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        (
            Method::Get,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        let address = listen(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            // The connection stays open, so only the head says that nothing follows.
            std::future::pending::<()>().await;
        })
        .await;
        let mut request = get(format!("http://{address}"));
        request.method = method;
        let response = fetch(request).await.expect("a response");
        assert!(response.body.is_empty() && !response.truncated && response.status >= 200, "{head}");
    }
}

#[tokio::test]
async fn a_body_is_kept_up_to_the_limit() {
    let address = serve(Router::new().route("/", routing::get(|| async { "12345" }))).await;
    for (limit, kept, truncated) in
        [(0, "", true), (4, "1234", true), (5, "12345", false), (6, "12345", false)]
    {
        let mut request = get(format!("http://{address}"));
        request.body_limit = Some(limit);
        let response = fetch(request).await.expect("a response");
        assert_eq!((text(&response), response.truncated), (kept, truncated), "{limit}");
    }
}
