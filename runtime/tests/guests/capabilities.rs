//! Guests that use what they are granted, against real servers.

use crate::{
    self as guests,
    support::{Subject, outcome},
};
use aviary::{grant::Capability, outcome::Status, usage::CallResult};
use std::{fs, net::SocketAddr, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers every connection with these bytes once it has sent something; with none it is silent.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            if answer.is_empty() {
                silent.push(stream);
            } else {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    address
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_page_is_fetched_and_described() {
    let address = server(HELLO).await;
    let spec = format!(
        "  grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}\n  settings: {{ urls: ['http://{address}/'] }}"
    );
    let subject = Subject::load(guests::CALLS_HTTP, &spec).await.expect("loaded");
    let outcome = subject.run().await.expect("an outcome");
    assert_eq!(outcome.targets[0].message, "200 hello");
    let label = |key: &str| {
        outcome.targets[0].labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    assert_eq!((label("bytes"), label("address")), (Some("5".into()), Some(address.to_string())));
    assert_eq!(subject.entry.usage.calls.get(Capability::Http, CallResult::Ok), 1);
}

#[tokio::test]
async fn proxies_of_the_environment_are_ignored_for_pages_and_for_the_api_server() {
    let address = server(HELLO).await;
    let directory = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: String| fs::write(directory.path().join(name), text).expect("written");
    fs::copy(guests::CALLS_HTTP, directory.path().join("subject.wasm")).expect("copied");
    put(
        "subject.yaml",
        format!(
            "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: subject }}\nspec:\n  module: subject.wasm\n  \
             grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}\n  settings: {{ urls: ['http://{address}/'] }}"
        ),
    );
    let kubeconfig = |proxy: &str| {
        format!(
            "{{ apiVersion: v1, kind: Config, current-context: a, users: [{{ name: a, user: {{}} }}], \
             clusters: [{{ name: a, cluster: {{ server: 'http://127.0.0.1:1'{proxy} }} }}], \
             contexts: [{{ name: a, context: {{ cluster: a, user: a }} }}] }}"
        )
    };
    put("plain", kubeconfig(""));
    put("proxied", kubeconfig(", proxy-url: 'http://127.0.0.1:2'"));
    let check = async |kubeconfig: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aviary"));
        command.current_dir(directory.path()).args(["check", "subject.yaml", "--kubeconfig", kubeconfig]);
        let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        command.envs(variables.map(|name| (name, "http://127.0.0.1:1")));
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("the command runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = check("plain").await;
    assert!(said.contains("200 hello"), "{said}");
    let said = check("proxied").await;
    assert!(said.contains("http://127.0.0.1:2") && !said.contains("200 hello"), "{said}");
}

#[tokio::test]
async fn many_pages_are_fetched_in_order_and_each_is_judged_by_the_grant() {
    let address = server(HELLO).await;
    let spec = format!(
        "  grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}\n  settings: {{ urls: ['http://{address}/a', 'http://127.0.0.1:1/', 'http://{address}/b'] }}"
    );
    let subject = Subject::load(guests::CALLS_HTTP, &spec).await.expect("loaded");
    let outcome = subject.run().await.expect("an outcome");
    let denials = subject.entry.usage.denials.take_new();
    assert!(denials.len() == 1 && denials[0].contains("http://127.0.0.1:1"), "{denials:?}");
    let statuses: Vec<_> = outcome.targets.iter().map(|target| target.status).collect();
    assert_eq!(statuses, [Status::Pass, Status::Fail, Status::Pass]);
    assert!(outcome.targets[1].message.contains("grant it with"), "{:?}", outcome.targets[1]);
    let count = |result| subject.entry.usage.calls.get(Capability::Http, result);
    assert_eq!((count(CallResult::Ok), count(CallResult::Denied)), (2, 1));
}

#[tokio::test]
async fn a_server_that_never_answers_leaves_the_guest_time_to_say_so() {
    let address = server("").await;
    let spec = format!(
        "  timeout: 400ms\n  grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}\n  settings: {{ urls: ['http://{address}/'] }}"
    );
    let subject = Subject::load(guests::CALLS_HTTP, &spec).await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    for _ in 0..2 {
        let outcome = subject.poll(&mut instance).await.expect("an outcome");
        assert_eq!(outcome.status, Status::Fail);
        assert!(outcome.targets[0].message.contains("Timeout"), "{:?}", outcome.targets);
    }
    assert_eq!(subject.entry.usage.calls.get(Capability::Http, CallResult::Timeout), 2);
}

#[tokio::test]
async fn the_readme_check_judges_a_page() {
    let address = server(HELLO).await;
    let spec = format!(
        "  grants: {{ http: [{{ hosts: ['http://{address}'] }}] }}\n  settings: {{ url: 'http://{address}/' }}"
    );
    let outcome = outcome(guests::MINIMAL, &spec).await;
    assert_eq!((outcome.status, outcome.message.as_str()), (Status::Pass, "status 200"));
}

#[tokio::test]
async fn a_conversation_over_tcp_is_held() {
    let address = server("welcome").await;
    let spec = format!(
        "  grants: {{ tcp: [{{ targets: ['{address}'] }}] }}\n  settings: {{ address: '{address}', send: hello, receive: 7 }}"
    );
    let outcome = outcome(guests::CALLS_TCP, &spec).await;
    assert_eq!(outcome.message, format!("connected to {address}, received \"welcome\""));
}

#[tokio::test]
async fn a_guest_holds_only_so_many_connections() {
    let address = server("").await;
    let spec = format!(
        "  grants: {{ tcp: [{{ targets: ['{address}'] }}] }}\n  settings: {{ address: '{address}', connections: 17 }}"
    );
    let outcome = outcome(guests::CALLS_TCP, &spec).await;
    assert_eq!(outcome.status, Status::Fail);
    assert!(outcome.message.contains("16"), "{}", outcome.message);
}

#[tokio::test]
async fn a_name_server_that_nobody_runs_refuses() {
    let spec = "  grants: { dns: { names: [x.test], servers: ['127.0.0.1:1'] } }\n  settings: { name: x.test, server: '127.0.0.1:1' }";
    let outcome = outcome(guests::CALLS_DNS, spec).await;
    assert!(outcome.status == Status::Fail && outcome.message.contains("Refused"), "{}", outcome.message);
}

#[tokio::test]
async fn a_secret_is_read_afresh_at_each_poll_and_only_under_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    fs::write(&file, "one\n").expect("written");
    let secrets = format!("  secrets: [{{ name: token, file: {} }}]\n", file.display());
    let spec = format!("{secrets}  settings: {{ name: token }}");
    let subject = Subject::load(guests::READS_SECRET, &spec).await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    assert_eq!(subject.poll(&mut instance).await.expect("an outcome").message, "\"one\"");
    fs::write(&file, "two\n").expect("written");
    assert_eq!(subject.poll(&mut instance).await.expect("an outcome").message, "\"two\"");
    fs::remove_file(&file).expect("removed");
    assert!(subject.poll(&mut instance).await.expect("an outcome").message.contains("Unavailable"));
    let other = outcome(guests::READS_SECRET, &format!("{secrets}  settings: {{ name: other }}")).await;
    assert!(other.message.contains("Denied"), "{}", other.message);
}

#[tokio::test]
async fn metrics_are_taken_up_to_the_cap_and_refusals_say_why() {
    let spec = "  limits: { hostCalls: 1000 }\n  settings: { metrics: [{ kind: gauge, name: queue, value: 3 }, { kind: counter, name: queue, value: 1 }, { kind: gauge, name: 'Bad Name', value: 1 }], series: 60 }";
    let outcome = outcome(guests::WRITES_METRICS, spec).await;
    let failed: Vec<_> = outcome.targets.iter().filter(|target| target.status == Status::Fail).collect();
    assert!(failed[0].message.contains("Conflict"), "{:?}", failed[0]);
    assert!(failed[1].message.contains("Invalid"), "{:?}", failed[1]);
    assert!(failed[2].message.contains("TooManySeries"), "{:?}", failed[2]);
    assert_eq!(failed.len(), 2 + 11, "one series stands already, and fifty are allowed");
}

#[tokio::test]
async fn the_built_in_checks_say_which_setting_is_wrong() {
    for (check, grants) in [
        (guests::CHECK_HTTP, "http: [{ hosts: ['http://localhost'] }]"),
        (guests::CHECK_DNS, "dns: { names: ['*'] }"),
        (guests::CHECK_TCP, "tcp: [{ targets: ['localhost:1'] }]"),
        (guests::CHECK_COMPUTE, ""),
        (guests::CHECK_RC_SCHEDULER, "kubernetes: [{ apiGroups: [''], resources: [pods], verbs: [list] }]"),
    ] {
        let spec = format!("  grants: {{ {grants} }}\n  settings: {{ nonsense: 1 }}");
        let subject = Subject::load(check, &spec).await.expect("loaded");
        let refusal = subject.live().await.init().await.done().expect_err("refused");
        assert!(refusal.as_ref().is_ok_and(|outcome| outcome.message.contains("nonsense")), "{refusal:?}");
    }
}

#[tokio::test]
async fn the_examples_of_the_sdk_run() {
    assert_eq!(outcome(guests::GAUGE, "").await.message, "1 polls");
    let trouble = outcome(guests::TROUBLE, "").await;
    assert_eq!(trouble.status, Status::Fail);
    assert!(trouble.message.contains("`secrets` list no \"trouble\""), "{}", trouble.message);
}
