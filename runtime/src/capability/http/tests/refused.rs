//! What is not granted, or cannot be sent.

use super::*;
use crate::capability::testing::{name_server, network_with};
use hickory_resolver::proto::rr::{RData, rdata::A};

async fn refusal(yaml: &str, url: &str) -> String {
    let result = send(&network(), &permit(yaml), &Connections::default(), get(url), soon()).await;
    match result {
        Err(Error::Denied(text)) => text,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied_with_the_line_that_grants_it() {
    let text = refusal("{}", "https://api.example.com/a").await;
    assert!(text.contains("http: [{ hosts: [\"https://api.example.com\"], methods: [GET] }]"), "{text}");
}

#[tokio::test]
async fn no_spelling_of_a_loopback_or_metadata_address_slips_through_a_wildcard() {
    let grants = "http: [{ hosts: [\"http://*:*\"], private: true }]";
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "localhost",
    ] {
        let text = refusal(grants, &format!("http://{host}:1/")).await;
        assert!(text.contains("which has to be asked for and granted by itself"), "{host}: {text}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_denied() {
    let a = |address: [u8; 4]| RData::A(A(address.into()));
    let records = vec![
        ("loop.test.", a([127, 0, 0, 1])),
        ("meta.test.", a([169, 254, 169, 254])),
        ("inside.test.", a([10, 0, 0, 5])),
    ];
    let network = network_with(name_server(records).await);
    let listed = "http: [{ hosts: [\"http://loop.test\", \"http://meta.test\"] }]";
    let wildcard = "http: [{ hosts: [\"http://*.test\"] }]";
    for (yaml, name, found) in [
        (listed, "loop.test", "at 127.0.0.1, a loopback address"),
        (listed, "meta.test", "at 169.254.169.254, a cloud metadata address"),
        (wildcard, "loop.test", "at 127.0.0.1, a loopback address"),
        (wildcard, "inside.test", "at 10.0.0.5, a private address"),
    ] {
        let request = get(format!("http://{name}/"));
        let result = send(&network, &permit(yaml), &Connections::default(), request, soon()).await;
        assert!(matches!(&result, Err(Error::Denied(text)) if text.contains(found)), "{name}: {result:?}");
    }
    let result =
        send(&network, &permit(wildcard), &Connections::default(), get("http://no.test/"), soon()).await;
    assert!(matches!(result, Err(Error::Resolve(_))), "{result:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_invalid() {
    let header = |name: &str, value: &str| {
        let mut request = get("http://127.0.0.1:1/");
        request.headers = vec![(name.to_owned(), value.to_owned())];
        request
    };
    let mut requests = vec![
        get("http://user:secret@127.0.0.1:1/"),
        get("ftp://127.0.0.1/"),
        get("/relative"),
        get("http://127.0.0.1:0/"),
        get(format!("http://127.0.0.1:1/{}", "x".repeat(8 * 1024))),
        header("x", "a\r\nInjected: 1"),
        header("x", "a\nb"),
        header("x", "a\0b"),
        header("x\r\ny", "1"),
        header("", "1"),
        header("Host", "other"),
        header("proxy-authorization", "x"),
        header("Transfer-Encoding", "chunked"),
        header("Content-Length", "5"),
        header("Connection", "keep-alive"),
        header("Keep-Alive", "1"),
        header("Upgrade", "x"),
        header("TE", "trailers"),
        header("big", &"x".repeat(64 * 1024)),
    ];
    let mut many = get("http://127.0.0.1:1/");
    many.headers = (0..101).map(|number| (format!("x-{number}"), String::new())).collect();
    let mut large = get("http://127.0.0.1:1/");
    large.body = Some(vec![0; 256 * 1024 + 1]);
    let mut eager = get("http://127.0.0.1:1/");
    eager.redirects = 11;
    requests.extend([many, large, eager]);
    for request in requests {
        let shown =
            format!("{} {:?}", request.url.get(..40).unwrap_or(&request.url), request.headers.first());
        let result = fetch(request).await;
        assert!(
            matches!(&result, Err(Error::Invalid(text)) if !text.contains("secret")),
            "{shown}: {result:?}"
        );
    }
}
