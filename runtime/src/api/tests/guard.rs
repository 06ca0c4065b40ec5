use super::{
    serve::{Server, start},
    *,
};
use crate::api::{Basic, Bearer, FileContent, Guard, ReloadingFile};
use std::{fs, path::Path};
use tempfile::TempDir;
use tokio::time::sleep;

/// How long tests wait for a file to be read again, which happens every five seconds.
const A_WHILE: Duration = Duration::from_secs(6);

pub(super) fn reloading_file<T: FileContent>(directory: &TempDir, text: &str) -> Arc<ReloadingFile<T>> {
    let file = directory.path().join(T::WHAT);
    fs::write(&file, text).expect("a file");
    Arc::new(ReloadingFile::read(vec![file]).expect("tokens"))
}

async fn start_behind(guard: Guard) -> Server {
    let shutdown = CancellationToken::new();
    start(guard.protect(router(board(), shutdown.clone())), shutdown).await
}

fn code(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[tokio::test]
async fn only_who_shows_a_token_is_answered_and_others_are_told_what_to_show() {
    let directory = tempfile::tempdir().expect("a directory");
    let (bearer, basic) =
        (reloading_file(&directory, "hunter2\n"), reloading_file(&directory, "test:test\n"));
    let server = start_behind(Guard::new(Some(bearer), Some(basic), None)).await;
    for path in ["/health", "/metrics", "/api/v1/checks", "/api/v1/openapi.json", "/nothing"] {
        let answer = server.get(path, "").await;
        assert_eq!(code(&answer), "401", "{path}: {answer}");
        for part in
            ["www-authenticate: Bearer realm=", "www-authenticate: Basic realm=", "{\"error\":\"this path"]
        {
            assert!(answer.contains(part), "{answer}");
        }
    }
    for wrong in [
        "Bearer hunter",
        "Bearer hunter22",
        "Basic hunter2",
        "Bearer dGVzdDp0ZXN0",
        "Basic dGVzdDp0ZXN",
        "hunter2",
    ] {
        let answer = server.get("/health", &format!("Authorization: {wrong}\r\n")).await;
        assert_eq!(code(&answer), "401", "{wrong}");
        assert!(answer.contains("not known here") && !answer.contains("hunter"), "{answer}");
    }
    for right in ["Bearer hunter2", "bearer hunter2", "Basic dGVzdDp0ZXN0"] {
        let answer = server.get("/health", &format!("Authorization: {right}\r\n")).await;
        assert_eq!(code(&answer), "200", "{right}");
    }
    assert_eq!(code(&server.get("/livez", "").await), "200");
    assert_eq!(code(&server.get("/readyz", "").await), "200");
}

#[tokio::test]
async fn a_file_that_would_let_nobody_in_ends_the_start_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens");
    let read = || ReloadingFile::<Bearer>::read(vec![file.clone()]).err().expect("an error");
    assert!(read().contains("cannot read") && read().contains("tokens"), "{}", read());
    fs::write(&file, "# later\n").expect("a file");
    assert!(read().contains("tokens: it has no line"), "{}", read());
}

/// Whether a request with this bearer token is answered with 200.
async fn is_known(router: &axum::Router, token: &str) -> bool {
    let request = Request::get("/health").header(header::AUTHORIZATION, format!("Bearer {token}"));
    let response = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
    response.expect("an answer").status() == StatusCode::OK
}

fn swap(link: &Path, target: &str) {
    let fresh = link.with_file_name("fresh");
    std::os::unix::fs::symlink(target, &fresh).expect("a link");
    fs::rename(fresh, link).expect("the link is swapped");
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_read_again_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    for (version, text) in [("v1", "old"), ("v2", "new"), ("v3", "not a token")] {
        fs::create_dir(at(version)).expect("a directory");
        fs::write(at(version).join("tokens"), text).expect("a file");
    }
    swap(&at("..data"), "v1");
    let board = board();
    let kept = Arc::new(ReloadingFile::read(vec![at("..data").join("tokens")]).expect("tokens"));
    let stop = CancellationToken::new();
    let keeping = tokio::spawn({
        let (kept, board, stop) = (Arc::clone(&kept), Arc::clone(&board), stop.clone());
        async move { kept.keep(&board, &stop).await }
    });
    let router = Guard::new(Some(kept), None, None).protect(router(Arc::clone(&board), stop.clone()));
    assert!(is_known(&router, "old").await && !is_known(&router, "new").await);
    let metric = |value| format!("aviary_file_last_reload_successful{{file=\"bearer\"}} {value}\n");
    for (version, value) in [("v2", 1), ("v3", 0), ("v2", 1)] {
        swap(&at("..data"), version);
        sleep(A_WHILE).await;
        assert!(!is_known(&router, "old").await && is_known(&router, "new").await, "{version}");
        assert!(get(&board, "/metrics").await.1.contains(&metric(value)), "{version}");
    }
    fs::remove_file(at("..data")).expect("the link goes");
    sleep(A_WHILE).await;
    assert!(is_known(&router, "new").await);
    assert!(get(&board, "/metrics").await.1.contains(&metric(0)));
    stop.cancel();
    keeping.await.expect("keeping ends");
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_again_and_the_kubelet_is_not() {
    let rate = Some("3-H".parse().expect("a rate"));
    let server = start_behind(Guard::new(None, None, rate)).await;
    for _ in 0..3 {
        assert_eq!(code(&server.get("/health", "").await), "200");
    }
    let answer = server.get("/health", "X-Forwarded-For: 10.9.8.7\r\n").await;
    assert_eq!(code(&answer), "429", "{answer}");
    assert!(answer.contains("retry-after: 1200\r\n") && answer.contains("too many requests"), "{answer}");
    for _ in 0..10 {
        assert_eq!(code(&server.get("/livez", "").await), "200");
    }
}

#[tokio::test]
async fn whoever_guesses_tokens_is_limited_as_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let rate = Some("2-H".parse().expect("a rate"));
    let server = start_behind(Guard::new(None, Some(reloading_file::<Basic>(&directory, "a:b")), rate)).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(code(&server.get("/health", "Authorization: Basic eA==\r\n").await).to_owned());
    }
    assert_eq!(codes, ["401", "401", "429"]);
}
