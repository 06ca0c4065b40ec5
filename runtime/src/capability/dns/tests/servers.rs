//! Tests of which server is asked for which name.

use super::*;

#[tokio::test]
async fn the_clusters_own_server_is_asked_when_none_is_named() {
    let server = name_server(vec![("a.test.", RData::A(A::new(10, 0, 0, 1)))]).await;
    let authorization = authorization("dns: { names: [\"*.test\"] }");
    let network = network_with(server);
    let answer = lookup(&network, &authorization, &query("a.test", RecordType::A, None), soon()).await;
    assert_eq!(answer.expect("an answer").server, server.to_string());
    let refusal =
        lookup(&network, &authorization, &query("a.test", RecordType::A, Some(server)), soon()).await;
    assert!(matches!(refusal, Err(Error::Denied(text)) if text.contains(&server.to_string())));
    let refusal = lookup(&network, &authorization, &query("b.example", RecordType::A, None), soon()).await;
    assert!(matches!(refusal, Err(Error::Denied(text)) if text.contains("names: [\"b.example\"]")));
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_reverse_name() {
    let server = liar(|packet| vec![reply(packet, |_| {})]).await;
    let authorization = authorization(&format!("dns: {{ names: [10.1.2.3], servers: [\"{server}\"] }}"));
    for (name, granted) in [("10.1.2.3", true), ("3.2.1.10.in-addr.arpa", true), ("10.1.2.4", false)] {
        let result =
            lookup(&network(), &authorization, &query(name, RecordType::Ptr, Some(server)), soon()).await;
        assert_eq!(result.is_ok(), granted, "{name}: {result:?}");
    }
}

#[tokio::test]
async fn a_silent_server_times_out_and_a_closed_port_is_refused() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let server = silent.local_addr().expect("an address");
    let since = Instant::now();
    let result = look_up(query("a.test", RecordType::A, Some(server)), within(50)).await;
    assert!(matches!(result, Err(Error::Timeout)), "{result:?}");
    assert!(since.elapsed() < Duration::from_millis(500));
    let closed = closed_port();
    for transport in [Transport::Udp, Transport::Tcp] {
        let query = Query { transport, ..query("a.test", RecordType::A, Some(closed)) };
        let result = look_up(query, soon()).await;
        assert!(matches!(result, Err(Error::Refused)), "{result:?}");
    }
}

#[tokio::test]
async fn what_is_no_name_or_server_is_invalid() {
    for name in [
        "",
        "a..b",
        "a\\.b.test",
        "evil。example.test",
        "*",
        "*.test",
        "＊.test",
        &"a".repeat(64),
        &"a.".repeat(200),
    ] {
        let result = look_up(query(name, RecordType::A, Some(([127, 0, 0, 1], 1).into())), soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{name}: {result:?}");
    }
    let everything = authorization("dns: { names: [\"*\"], servers: [cluster] }");
    for server in
        ["", "dns.example", "10.0.0.1:0", "10.0.0.1:99999", "[::1", "[fe80::1%2]:53", "127.1", "0x7f.0.0.1"]
    {
        let query = Query { server: Some(server.to_owned()), ..query("a.test", RecordType::A, None) };
        let result = lookup(&network(), &everything, &query, soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{server}: {result:?}");
    }
}

/// A network whose own name server knows the name of a server at 127.0.0.1, and that server.
async fn named_server() -> (Network, SocketAddr) {
    let own = name_server(vec![
        ("ns.test.", RData::A(A::new(127, 0, 0, 1))),
        ("six.test.", RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))),
        ("two.test.", RData::A(A::new(10, 0, 0, 53))),
        ("two.test.", RData::A(A::new(127, 0, 0, 1))),
    ])
    .await;
    let server = liar(|packet| vec![reply(packet, |_| {})]).await;
    (network_with(own), server)
}

#[tokio::test]
async fn a_named_server_is_asked_at_the_address_of_its_name_if_both_are_granted() {
    let (network, server) = named_server().await;
    let ask = async |name: &str, grants: &str| {
        let named = format!("{name}:{}", server.port());
        ask(&network, &authorization(grants), &any_query("a.test", 1, Some(named)), soon()).await
    };
    let granted = format!("dns: {{ names: [\"*.test\"], servers: [cluster, \"{server}\"] }}");
    for name in ["ns.test", "NS.test.", "two.test"] {
        let heard = ask(name, &granted).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(heard.server, server.to_string(), "{name}");
    }
    for (grants, line) in [
        // To look the name up is a lookup that has to be granted.
        (
            format!("dns: {{ names: [a.test], servers: [cluster, \"{server}\"] }}"),
            "names: [\"ns.test\"], servers: [\"cluster\"]",
        ),
        (
            format!("dns: {{ names: [\"*.test\"], servers: [\"{server}\"] }}"),
            "names: [\"ns.test\"], servers: [\"cluster\"]",
        ),
        // The address has to be granted, and for the name of the question.
        (
            "dns: { names: [\"*.test\"], servers: [cluster] }".to_owned(),
            "names: [\"a.test\"], servers: [\"127.0.0.1:",
        ),
        (
            format!("dns: {{ names: [ns.test], servers: [cluster, \"{server}\"] }}"),
            "names: [\"a.test\"], servers: [\"127.0.0.1:",
        ),
        (
            "dns: { names: [\"*.test\"], servers: [cluster, 127.0.0.1] }".to_owned(),
            "names: [\"a.test\"], servers: [\"127.0.0.1:",
        ),
    ] {
        let result = ask("ns.test", &grants).await;
        assert!(matches!(&result, Err(Error::Denied(text)) if text.contains(line)), "{grants}: {result:?}");
    }
}

#[tokio::test]
async fn the_family_chooses_among_the_addresses_of_a_named_server() {
    let (network, server) = named_server().await;
    let everything = format!("dns: {{ names: [\"*\"], servers: [cluster, \"{server}\"] }}");
    let ask = async |name: &str, family| {
        let question =
            GuestQuestion { family, ..any_query("a.test", 1, Some(format!("{name}:{}", server.port()))) };
        ask(&network, &authorization(&everything), &question, soon()).await
    };
    assert!(ask("ns.test", AddressFamily::Ipv4).await.is_ok());
    for (name, family, words) in [
        ("ns.test", AddressFamily::Ipv6, "ns.test was not resolved: ns.test has no address of that family"),
        ("no.test", AddressFamily::Any, "no.test was not resolved: there is no such name"),
    ] {
        let result = ask(name, family).await;
        assert!(matches!(&result, Err(Error::Protocol(text)) if text.ends_with(words)), "{result:?}");
    }
    let result = ask("six.test", AddressFamily::Ipv6).await;
    assert!(matches!(&result, Err(Error::Denied(text)) if text.contains("[::1]")), "{result:?}");
}

#[tokio::test]
async fn a_name_that_nobody_resolves_in_time_is_told_as_that() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let network = network_with(silent.local_addr().expect("an address"));
    let everything = authorization("dns: { names: [\"*\"], servers: [cluster, 127.0.0.1] }");
    let question = any_query("a.test", 1, Some("ns.test".to_owned()));
    let result = ask(&network, &everything, &question, within(50)).await;
    let words = "the name of the server ns.test was not resolved: no answer came in time";
    assert!(matches!(&result, Err(Error::Protocol(text)) if text == words), "{result:?}");
}

#[tokio::test]
async fn what_is_neither_a_name_nor_an_address_is_no_server() {
    let everything = authorization("dns: { names: [\"*\"], servers: [cluster] }");
    for server in [
        "",
        ":53",
        "ns.test:0",
        "ns.test:99999",
        "ns.test:",
        "10.0.0.1:0",
        "10.0.0.1.",
        "[::1",
        "[fe80::1%2]:53",
        "127.1",
        "0x7f.0.0.1",
        "*.test",
        "a\\.b.test",
        "evil。example.test",
        "a b.test",
        "a..b",
    ] {
        let result =
            ask(&network(), &everything, &any_query("a.test", 1, Some(server.to_owned())), soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{server}: {result:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_for_the_name_of_a_server_without_a_grant() {
    let own = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let network = network_with(own.local_addr().expect("an address"));
    let grants = authorization("dns: { names: [a.test], servers: [cluster, 127.0.0.1] }");
    let question = any_query("a.test", 1, Some("secret.evil.test".to_owned()));
    let result = ask(&network, &grants, &question, soon()).await;
    assert!(matches!(result, Err(Error::Denied(_))), "{result:?}");
    let heard = own.try_recv(&mut [0; 512]);
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}
