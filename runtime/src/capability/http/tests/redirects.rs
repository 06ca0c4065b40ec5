//! Tests of redirects.

use super::*;
use crate::capability::testing::{name_server, network_with};
use axum::{extract::RawQuery, http::StatusCode, response::IntoResponse};
use hickory_resolver::proto::rr::{RData, rdata::A};

fn redirect(status: u16, location: impl Into<String>) -> routing::MethodRouter {
    let location = location.into();
    routing::any(move || {
        let location = location.clone();
        async move { (StatusCode::from_u16(status).expect("a status"), [("location", location)]) }
    })
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_the_guest_wants() {
    let routes = Router::new()
        .route("/a", redirect(302, "b"))
        .route("/b", redirect(301, "/c?d"))
        .route("/c", routing::get(|| async { "there" }));
    let address = serve(routes).await;
    let mut request = get(format!("http://{address}/a"));
    let response = fetch(request).await.expect("a response");
    assert_eq!((response.status, response.redirects), (302, 0));
    request = get(format!("http://{address}/a"));
    request.redirects = 2;
    let response = fetch(request).await.expect("a response");
    assert_eq!((response.status, text(&response), response.redirects), (200, "there", 2));
    assert_eq!(response.url, format!("http://{address}/c?d"));
    request = get(format!("http://{address}/a"));
    request.redirects = 1;
    let result = fetch(request).await;
    let next = format!("http://{address}/c?d");
    assert!(matches!(&result, Err(Error::TooManyRedirects(url)) if *url == next), "{result:?}");
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let address = serve(Router::new().route("/", redirect(307, "/"))).await;
    let mut request = get(format!("http://{address}/"));
    request.redirects = 10;
    assert!(matches!(fetch(request).await, Err(Error::TooManyRedirects(_))));
}

#[tokio::test]
async fn each_hop_is_judged_again() {
    let metadata = RData::A(A([169, 254, 169, 254].into()));
    let network = network_with(name_server(vec![("meta.test.", metadata)]).await);
    for (location, expected) in [
        ("http://169.254.169.254/latest/meta-data", "\"http://169.254.169.254\""),
        ("//0xa9fea9fe/", "\"http://169.254.169.254\""),
        ("\\\\0251.0376.0251.0376\\x", "\"http://169.254.169.254\""),
        ("http:\\\\[::ffff:a9fe:a9fe]/", "\"http://[::ffff:a9fe:a9fe]\""),
        ("http://intra.example.com/", "\"http://intra.example.com\""),
        ("http://127.0.0.1:1/", "\"http://127.0.0.1:1\""),
        ("https://127.0.0.1/", "\"https://127.0.0.1\""),
        ("http://meta.test/", "at 169.254.169.254, a cloud metadata address"),
    ] {
        let address = serve(Router::new().route("/", redirect(302, location))).await;
        let authorization =
            authorization(&format!("http: [{{ hosts: [\"http://{address}\", \"http://meta.test\"] }}]"));
        let request = Request { redirects: 5, ..get(format!("http://{address}/")) };
        let result = send(&network, &authorization, &Connections::default(), request, soon()).await;
        assert!(
            matches!(&result, Err(Error::Denied(text)) if text.contains(expected)),
            "{location}: {result:?}"
        );
    }
    for location in [
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
        "//user@127.0.0.1/",
        "javascript:1",
        "//127.0.0.1:0/",
    ] {
        let address = serve(Router::new().route("/", redirect(302, location))).await;
        let request = Request { redirects: 5, ..get(format!("http://{address}/")) };
        let result = fetch(request).await;
        assert!(matches!(&result, Err(Error::Invalid(_))), "{location}: {result:?}");
    }
}

#[tokio::test]
async fn the_method_is_judged_at_each_hop() {
    let there = serve(Router::new().route("/", routing::any(echo))).await;
    let address = serve(Router::new().route("/", redirect(307, format!("http://{there}/")))).await;
    let authorization = authorization(&format!(
        "http: [{{ hosts: [\"http://{address}\"], methods: [POST] }}, {{ hosts: [\"http://{there}\"] }}]"
    ));
    let request = Request { method: Method::Post, redirects: 1, ..get(format!("http://{address}/")) };
    let result = send(&network(), &authorization, &Connections::default(), request, soon()).await;
    assert!(matches!(&result, Err(Error::Denied(text)) if text.contains("POST")), "{result:?}");
}

/// Starts a server that redirects everybody to the URL in the query, and echoes what comes without one.
async fn signpost(status: u16) -> SocketAddr {
    let turn = move |RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes| async move {
        match query {
            Some(url) => {
                (StatusCode::from_u16(status).expect("a status"), [("location", url)]).into_response()
            }
            None => echo(headers, body).await.into_response(),
        }
    };
    serve(Router::new().route("/", routing::any(turn))).await
}

#[tokio::test]
async fn what_tells_who_asks_stays_with_its_origin() {
    let secrets = ["authorization", "cookie", "x-api-key", "private-token", "referer"];
    for (status, method) in [(302, Method::Get), (307, Method::Post), (308, Method::Put)] {
        let (first, second) = (signpost(status).await, signpost(status).await);
        for (path, kept) in [
            (format!("?http://{first}/"), true),
            (format!("?http://{second}/"), false),
            (format!("?http://localhost:{}/", first.port()), false),
            // First to another server and then back again.
            (format!("?http://{second}/?http://{first}/"), false),
        ] {
            let mut request = Request { method, redirects: 2, ..get(format!("http://{first}/{path}")) };
            request.headers = secrets.map(|name| (name.to_owned(), "s3cret".to_owned())).to_vec();
            request.headers.push(("Accept".to_owned(), "text/plain".to_owned()));
            request.headers.push(("Content-Type".to_owned(), "text/csv".to_owned()));
            request.body = (method != Method::Get).then(|| b"a,b".to_vec());
            let response = fetch(request).await.expect("a response");
            let seen = text(&response);
            assert_eq!(
                seen.matches("s3cret").count(),
                if kept { secrets.len() } else { 0 },
                "{path}: {seen}"
            );
            for harmless in ["accept: text/plain\n", "content-type: text/csv\n", "user-agent: aviary/"] {
                assert!(seen.contains(harmless), "{path}: {seen}");
            }
            assert_eq!(seen.ends_with("\n\na,b"), method != Method::Get, "{path}: {seen}");
        }
    }
}

#[tokio::test]
async fn methods_and_bodies_change_as_in_browsers() {
    for (status, method, seen, body) in [
        (301, Method::Post, "GET", ""),
        (302, Method::Post, "GET", ""),
        (303, Method::Put, "GET", ""),
        (303, Method::Head, "HEAD", ""),
        (302, Method::Put, "PUT", "body"),
        (307, Method::Post, "POST", "body"),
        (308, Method::Patch, "PATCH", "body"),
    ] {
        let there = |method: axum::http::Method, headers: HeaderMap, body: Bytes| async move {
            let kind = headers.contains_key("content-type").to_string();
            ([("x-method", method.to_string()), ("x-kind", kind)], body)
        };
        let routes =
            Router::new().route("/", redirect(status, "/there")).route("/there", routing::any(there));
        let mut request = get(format!("http://{}/", serve(routes).await));
        request.method = method;
        request.redirects = 1;
        request.headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        request.body = (method != Method::Head).then(|| b"body".to_vec());
        let response = fetch(request).await.expect("a response");
        assert_eq!((header(&response, "x-method"), text(&response)), (Some(seen), body), "{status}");
        let keeps_kind = !body.is_empty() || method == Method::Head;
        assert_eq!(header(&response, "x-kind"), Some(keeps_kind.to_string().as_str()), "{status} {method:?}");
    }
}
