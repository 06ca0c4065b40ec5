//! Redirects.

use super::*;
use axum::http::StatusCode;

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
    for (location, expected) in [
        ("http://169.254.169.254/latest/meta-data", "hosts: [\"http://169.254.169.254\"]"),
        ("http://intra.example.com/", "hosts: [\"http://intra.example.com\"]"),
    ] {
        let address = serve(Router::new().route("/", redirect(302, location))).await;
        let mut request = get(format!("http://{address}/"));
        request.redirects = 5;
        let result = fetch(request).await;
        assert!(matches!(&result, Err(Error::Denied(text)) if text.contains(expected)), "{result:?}");
    }
    for location in ["file:///etc/passwd", "http://user:pw@127.0.0.1/", "javascript:1"] {
        let address = serve(Router::new().route("/", redirect(302, location))).await;
        let mut request = get(format!("http://{address}/"));
        request.redirects = 5;
        let result = fetch(request).await;
        assert!(matches!(&result, Err(Error::Invalid(_))), "{location}: {result:?}");
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = serve(Router::new().route("/", routing::get(echo))).await;
    let routes = Router::new()
        .route("/stay", redirect(302, "/here"))
        .route("/here", routing::get(echo))
        .route("/leave", redirect(302, format!("http://{other}/")));
    let address = serve(routes).await;
    for (path, kept) in [("stay", true), ("leave", false)] {
        let mut request = get(format!("http://{address}/{path}"));
        request.redirects = 1;
        request.headers = [("Authorization", "Bearer s3cret"), ("cookie", "s3cret"), ("x-other", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let response = fetch(request).await.expect("a response");
        assert_eq!(text(&response).matches("s3cret").count(), if kept { 2 } else { 0 }, "{path}");
        assert!(text(&response).contains("x-other: 1"));
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
