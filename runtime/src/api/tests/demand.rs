use super::*;
use futures_util::FutureExt;

#[tokio::test(start_paused = true)]
async fn run_waits_for_fresh_outcomes_and_skips_suspended_checks() {
    let board = board();
    let entry = enter_with(&board, "a/b", outcome(Status::Fail, "old"));
    let mut suspended = check("a/resting");
    suspended.suspend = true;
    enter(&board, suspended);
    let task = tokio::spawn(async move {
        entry.demanded().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        record(&entry, outcome(Status::Pass, "new"));
    });
    let start = Instant::now();
    assert_eq!(get(&board, "/health?run").await.0, StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    task.await.expect("the check's task");
}

/// Asks one router for runs of all checks: how long it took, and the age that it tells.
async fn sweep(router: &axum::Router) -> (Duration, String) {
    let start = Instant::now();
    let request = Request::get("/health?run").body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("an answer");
    (start.elapsed(), header_of(&response, header::AGE).to_owned())
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_all_checks_run_shares_that_and_is_told_how_old_it_may_be() {
    let board = board();
    let slow = enter_with(&board, "a/slow", outcome(Status::Pass, "old"));
    let router = router(Arc::clone(&board), CancellationToken::new());
    let first = tokio::spawn({
        let router = router.clone();
        async move { sweep(&router).await }
    });
    slow.demanded().await;
    let new = enter(&board, check("a/new"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let second = tokio::spawn(async move { sweep(&router).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(new.demanded().now_or_never().is_none(), "the board is not walked again");
    record(&slow, outcome(Status::Pass, "new"));
    assert_eq!(first.await.expect("no panic"), (Duration::from_secs(3), String::new()));
    assert_eq!(second.await.expect("no panic"), (Duration::from_secs(1), "3".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn all_checks_are_run_for_another_one_when_who_asked_first_leaves() {
    let board = board();
    let slow = enter_with(&board, "a/slow", outcome(Status::Pass, "old"));
    let router = router(board, CancellationToken::new());
    assert!(sweep(&router).now_or_never().is_none());
    let second = tokio::spawn(async move { sweep(&router).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    record(&slow, outcome(Status::Pass, "new"));
    assert_eq!(second.await.expect("no panic"), (Duration::from_secs(1), String::new()));
}

#[tokio::test(start_paused = true)]
async fn however_often_all_checks_are_to_run_the_board_is_walked_a_few_times_a_second() {
    let router = router(board(), CancellationToken::new());
    let pause = Duration::from_millis(250);
    for expected in [Duration::ZERO, pause, pause] {
        assert_eq!(sweep(&router).await, (expected, String::new()));
    }
    let many = futures_util::future::join_all((0..100).map(|_| sweep(&router))).await;
    assert!(many.iter().all(|(took, age)| *took == pause && age.is_empty()), "{many:?}");
}

#[tokio::test(start_paused = true)]
async fn run_gives_up_a_second_after_the_timeout_of_the_check() {
    let board = board();
    let entry = enter_with(&board, "a/b", outcome(Status::Pass, ""));
    let start = Instant::now();
    assert_eq!(get(&board, "/health/a/b?run=true").await.0, StatusCode::OK);
    assert_eq!(start.elapsed(), entry.view().check.timeout + Duration::from_secs(1));
}
