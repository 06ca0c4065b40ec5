//! Tests of requests that are not granted, or cannot be sent.

use super::*;
use crate::capability::testing::{name_server, network_with, within};
use hickory_resolver::proto::{
    op::Message,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
};
use std::net::Ipv6Addr;
use tokio::net::UdpSocket;

async fn refusal(yaml: &str, url: &str) -> String {
    let result = send(&network(), &authorization(yaml), &Connections::default(), get(url), soon()).await;
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
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "%31%32%37.0.0.1",
        "127\u{3002}0\u{ff0e}0.1",
        "\u{ff11}27.0.0.1",
        "1\t2\n7.0.0.1",
        "@127.0.0.1",
        "[::1]",
        "[0:0::0:1]",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::ffff:0:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fe80::1]",
        "[ff02::1]",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST.",
        "\u{24db}ocalhost",
    ] {
        let text = refusal(grants, &format!("http://{host}:1/")).await;
        assert!(text.contains("which has to be asked for and granted by itself"), "{host}: {text}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_denied() {
    let a = |address: [u8; 4]| RData::A(A(address.into()));
    let alias = |name: &str| RData::CNAME(CNAME(Name::from_ascii(name).expect("a name")));
    let records = vec![
        ("loop.test.", a([127, 0, 0, 1])),
        ("meta.test.", a([169, 254, 169, 254])),
        ("inside.test.", a([10, 0, 0, 5])),
        ("alias.test.", alias("chain.test.")),
        ("chain.test.", alias("meta.test.")),
    ];
    let network = network_with(name_server(records).await);
    let listed = "http: [{ hosts: [\"http://loop.test\", \"http://meta.test\"] }]";
    let wildcard = "http: [{ hosts: [\"http://*.test\"] }]";
    for (yaml, name, found) in [
        (listed, "loop.test", "at 127.0.0.1, a loopback address"),
        (listed, "meta.test", "at 169.254.169.254, a cloud metadata address"),
        (wildcard, "loop.test", "at 127.0.0.1, a loopback address"),
        (wildcard, "inside.test", "at 10.0.0.5, a private address"),
        (wildcard, "alias.test", "at 169.254.169.254, a cloud metadata address"),
    ] {
        let request = get(format!("http://{name}/"));
        let result = send(&network, &authorization(yaml), &Connections::default(), request, soon()).await;
        assert!(matches!(&result, Err(Error::Denied(text)) if text.contains(found)), "{name}: {result:?}");
    }
    let result =
        send(&network, &authorization(wildcard), &Connections::default(), get("http://no.test/"), soon())
            .await;
    assert!(matches!(result, Err(Error::Resolve(_))), "{result:?}");
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_what_was_judged_is_dialled() {
    // The address changes with each answer: first one that is granted, then one that is not.
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let network = network_with(socket.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut packet, mut addresses) =
            ([0; 512], vec![Ipv6Addr::LOCALHOST, "fd00::1".parse().expect("one")]);
        while let Ok((length, asker)) = socket.recv_from(&mut packet).await {
            let mut reply = Message::from_vec(&packet[..length]).expect("a question").into_response();
            let question = reply.queries[0].clone();
            if question.query_type() == RecordType::AAAA {
                let address = addresses.pop().unwrap_or(Ipv6Addr::LOCALHOST);
                reply.answers.push(Record::from_rdata(
                    question.name().clone(),
                    0,
                    RData::AAAA(AAAA(address)),
                ));
            }
            let _ = socket.send_to(&reply.to_vec().expect("an answer"), asker).await;
        }
    });
    let inside = listen_at("[::1]:0", async |_| panic!("nobody may come here")).await;
    let authorization = authorization("http: [{ hosts: [\"http://rebound.test:*\"] }]");
    let ask = async || {
        let url = format!("http://rebound.test:{}/", inside.port());
        let request = Request { ip_family: IpFamily::Ipv6, ..get(url) };
        send(&network, &authorization, &Connections::default(), request, within(200)).await
    };
    let first = ask().await;
    assert!(matches!(first, Err(Error::Timeout(Phase::Connect) | Error::Unreachable)), "{first:?}");
    let second = ask().await;
    assert!(matches!(&second, Err(Error::Denied(text)) if text.contains("at ::1")), "{second:?}");
}

#[tokio::test]
async fn what_was_judged_is_what_is_sent() {
    let address = listen(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{head}").as_bytes()).await;
    })
    .await;
    for (url, target) in [
        (format!("http:/{address}/a"), "/a"),
        (format!("HTTP:\\\\{address}\\a\\..\\b"), "/b"),
        (format!(" http://{address}/../../a "), "/a"),
        (format!("http://{address}//evil.test/x"), "//evil.test/x"),
        (format!("http://{address}/a\r\nHost: evil\r\n\r\nGET /b"), "/aHost:%20evilGET%20/b"),
        (format!("http://{address}/%0d%0aX:1?%0d%0a"), "/%0d%0aX:1?%0d%0a"),
        (format!("http://{address}?@evil.test/#@evil.test"), "/?@evil.test/"),
        (format!("http://{address}/http://evil.test"), "/http://evil.test"),
    ] {
        let response = fetch(get(url.as_str())).await.expect("a response");
        let head = text(&response);
        assert!(head.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{url}: {head}");
        assert_eq!(head.matches("\r\nhost: ").count(), 1, "{url}: {head}");
        assert!(head.contains(&format!("\r\nhost: {address}\r\n")), "{url}: {head}");
    }
}

#[tokio::test]
async fn what_is_no_url_is_invalid() {
    for url in [
        "",
        "/relative",
        "127.0.0.1:80",
        "http://",
        "http://:80/",
        "http://a:80:80/",
        "http://a:65536/",
        "http://a:0/",
        "http://a:-1/",
        "http://a b/",
        "http://a%00b/",
        "http://a%0d%0ab/",
        "http://a%2fb/",
        "http://a%40b/",
        "http://[fe80::1%eth0]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://[::1]x/",
        "http://::1/",
        "http://256.0.0.1/",
        "http://1.2.3.4.5/",
        "http://*/",
        "http://%2a.test/",
        "http://a.＊/",
        "http://0x100000000/",
        "http://user:secret@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://a:1@127.0.0.1:80\\@evil.test/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "unix:/run/x.sock",
        "data:,x",
    ] {
        let result = fetch(get(url)).await;
        assert!(
            matches!(&result, Err(Error::Invalid(text)) if !text.contains("secret")),
            "{url}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_invalid() {
    let header = |name: &str, value: &str| {
        let mut request = get("http://127.0.0.1:1/");
        request.headers = vec![(name.to_owned(), value.to_owned())];
        request
    };
    let mut requests = vec![
        get(format!("http://127.0.0.1:1/{}", "x".repeat(8 * 1024))),
        header("x", "a\r\nInjected: 1"),
        header("x", "a\nb"),
        header("x", "a\0b"),
        header("x\r\ny", "1"),
        header("", "1"),
        header(" Host", "other"),
        header("Host ", "other"),
        header("Host:", "other"),
        header(":authority", "other"),
        header("Host", "other"),
        header("Expect", "100-continue"),
        header("HTTP2-Settings", "x"),
        header("Proxy-Connection", "keep-alive"),
        header("Trailer", "x"),
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
        assert!(matches!(&result, Err(Error::Invalid(_))), "{shown}: {result:?}");
    }
}
