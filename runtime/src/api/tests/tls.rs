use super::{
    serve::{rest, start_with},
    *,
};
use crate::api::{ReloadingFile, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use std::{fs, net::SocketAddr, path::PathBuf};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{pause, resume, sleep},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A temporary directory with the files of a certificate for localhost and its key.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self { directory: tempfile::tempdir().expect("a directory") };
        let certificate = files.replace();
        (files, certificate)
    }

    fn paths(&self) -> Vec<PathBuf> {
        ["tls.crt", "tls.key"].map(|name| self.directory.path().join(name)).to_vec()
    }

    fn replace(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        for (path, pem) in self.paths().iter().zip([cert.pem(), signing_key.serialize_pem()]) {
            fs::write(path, pem).expect("a file");
        }
        cert.der().clone()
    }
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn over_tls_clients_are_answered_in_http_1_1_and_without_it_they_are_told() {
    let (files, certificate) = Files::new();
    let shutdown = CancellationToken::new();
    let tls = Arc::new(ReloadingFile::read(files.paths()).expect("a certificate"));
    let server = start_with(Some(tls), router(board(), shutdown.clone()), shutdown).await;
    let mut stream = connect(server.address, &certificate, "http/1.1").await.expect("a handshake");
    let request = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(connect(server.address, &certificate, "h2").await.is_err());
    let plain = server.get("/health", "").await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("ask it with https://"), "{plain}");
    let mut silent = server.open("").await;
    silent.shutdown().await.expect("an end");
    assert_eq!(rest(silent).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_ends() {
    let (files, _) = Files::new();
    let shutdown = CancellationToken::new();
    let tls = Arc::new(ReloadingFile::read(files.paths()).expect("a certificate"));
    let server = start_with(Some(tls), router(board(), shutdown.clone()), shutdown).await;
    for beginning in ["", "\u{16}\u{3}\u{1}"] {
        let begun = Instant::now();
        rest(server.open(beginning).await).await;
        assert!(begun.elapsed() >= Duration::from_secs(10) && begun.elapsed() < Duration::from_secs(11));
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_rubbish_is_kept_out() {
    let (files, old) = Files::new();
    let (board, stop) = (board(), CancellationToken::new());
    let tls = Arc::new(ReloadingFile::<Tls>::read(files.paths()).expect("a certificate"));
    let keeping = tokio::spawn({
        let (tls, board, stop) = (Arc::clone(&tls), Arc::clone(&board), stop.clone());
        async move { tls.keep(&board, &stop).await }
    });
    let server = start_with(Some(tls), router(Arc::clone(&board), stop.clone()), stop.clone()).await;
    let a_while = async || {
        pause();
        sleep(Duration::from_secs(6)).await;
        resume();
    };
    let metrics = async || get(&board, "/metrics").await.1;
    let mut open = connect(server.address, &old, "http/1.1").await.expect("a handshake");
    let new = files.replace();
    a_while().await;
    connect(server.address, &new, "http/1.1").await.expect("a handshake with the new certificate");
    assert!(connect(server.address, &old, "http/1.1").await.is_err());
    assert!(metrics().await.contains("aviary_file_last_reload_successful{file=\"tls\"} 1\n"));
    assert!(metrics().await.contains("\naviary_tls_certificate_expiry_timestamp_seconds "));

    let (other, _) = Files::new();
    fs::copy(&other.paths()[1], &files.paths()[1]).expect("the key of another certificate");
    a_while().await;
    connect(server.address, &new, "http/1.1").await.expect("a handshake as before");
    assert!(metrics().await.contains("aviary_file_last_reload_successful{file=\"tls\"} 0\n"));

    let request = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    open.write_all(request.as_bytes()).await.expect("a connection outlives its certificate");
    stop.cancel();
    keeping.await.expect("keeping ends");
}

#[test]
fn what_is_no_certificate_with_its_key_is_refused_with_the_reason() {
    let (files, _) = Files::new();
    let (other, _) = Files::new();
    let read = |paths: &[PathBuf]| ReloadingFile::<Tls>::read(paths.to_vec()).err().expect("refused");
    let ([cert, key], [other_cert, _]) =
        ([0, 1].map(|at| files.paths()[at].clone()), [0, 1].map(|at| other.paths()[at].clone()));
    for (paths, reason) in [
        ([other_cert, key.clone()], "cannot be used together"),
        ([key.clone(), key.clone()], "no certificate in PEM"),
        ([cert.clone(), cert], "the key is not PEM"),
    ] {
        let error = read(&paths);
        assert!(error.contains(reason) && error.contains("tls."), "{error}");
        assert!(!error.contains("BEGIN"), "{error}");
    }
}
