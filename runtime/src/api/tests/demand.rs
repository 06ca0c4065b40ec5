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

/// Requests a run of all checks. Returns how long the answer took, and its header `Age`, empty if there is
/// none.
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
async fn who_waits_for_all_checks_goes_on_with_what_was_begun_when_who_asked_first_leaves() {
    let board = board();
    let slow = enter_with(&board, "a/slow", outcome(Status::Pass, "old"));
    let router = router(board, CancellationToken::new());
    let ask = || {
        let router = router.clone();
        tokio::spawn(async move { sweep(&router).await })
    };
    let first = ask();
    slow.demanded().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = ask();
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    record(&slow, outcome(Status::Pass, "new"));
    assert_eq!(second.await.expect("no panic"), (Duration::from_secs(2), "3".to_owned()));
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

/// Puts the check `a/b` on the board, whose latest run passed 100 seconds ago.
fn enter_old(board: &Board, timeout: Duration) -> Arc<Entry> {
    let mut check = check("a/b");
    Arc::make_mut(&mut check.program).timeout = timeout;
    let entry = enter(board, check);
    let started = Timestamp::now() - Duration::from_secs(100);
    entry.record(started, Duration::ZERO, outcome(Status::Pass, "old"), in_an_hour());
    entry
}

/// Sends a request. Returns the status code, the header `Age` in tens of seconds, and how long the answer
/// took.
async fn ask(board: &Arc<Board>, method: Method, uri: &str) -> (u16, Option<u64>, Duration) {
    let start = Instant::now();
    let response = send(board, method, uri, "*/*").await;
    let age = header_of(&response, header::AGE).parse::<u64>().ok();
    (response.status().as_u16(), age.map(|age| age / 10), start.elapsed())
}

const SELECTIONS: [&str; 4] = ["/health?run", "/health/a?run", "/health?run&namespace=a", "/health/a/b?run"];

#[tokio::test(start_paused = true)]
async fn an_outcome_that_no_new_run_replaced_in_time_is_told_with_its_age() {
    let board = board();
    enter_old(&board, Duration::from_secs(10));
    for (uri, patience) in SELECTIONS.into_iter().zip([60, 60, 60, 21]) {
        let expected = (200, Some(10), Duration::from_secs(patience));
        assert_eq!(ask(&board, Method::GET, uri).await, expected, "{uri}");
    }
    let post = ask(&board, Method::POST, "/api/v1/checks/a/b/run").await;
    assert_eq!(post, (504, None, Duration::from_secs(21)));
}

#[tokio::test(start_paused = true)]
async fn a_run_is_waited_for_as_long_as_its_check_may_take() {
    let hung = Duration::from_secs(45);
    let post = (Method::POST, "/api/v1/checks/a/b/run", 200);
    for (method, uri, code) in SELECTIONS.into_iter().map(|uri| (Method::GET, uri, 503)).chain([post]) {
        let board = board();
        let entry = enter_old(&board, hung);
        let task = tokio::spawn(async move {
            entry.demanded().await;
            tokio::time::sleep(hung).await;
            record(&entry, outcome(Status::Fail, "poll timed out"));
        });
        assert_eq!(ask(&board, method, uri).await, (code, None, hung), "{uri}");
        task.await.expect("the check's task");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_count_makes_no_old_outcome_new() {
    let board = board();
    let entry = enter_old(&board, Duration::from_secs(10));
    let task = tokio::spawn(async move {
        entry.demanded().await;
        entry.excuse(Timestamp::now(), Duration::ZERO, outcome(Status::Fail, "no"), in_an_hour());
    });
    assert_eq!(ask(&board, Method::GET, "/health/a/b?run").await, (200, Some(10), Duration::ZERO));
    task.await.expect("the check's task");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_run_is_answered_a_second_after_the_daemon_begins_to_stop() {
    let board = board();
    enter_old(&board, Duration::from_secs(10));
    for (method, uri, code) in
        [(Method::GET, "/health?run", 200), (Method::POST, "/api/v1/checks/a/b/run", 504)]
    {
        let stop = CancellationToken::new();
        let router = router(Arc::clone(&board), stop.clone());
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).expect("a request");
        let asking = tokio::spawn(router.oneshot(request));
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
        let begun = Instant::now();
        let response = asking.await.expect("no panic").expect("an answer");
        assert_eq!((response.status().as_u16(), begun.elapsed()), (code, Duration::from_secs(1)), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_one_namespace_shares_its_runs_and_leaves_the_others_alone() {
    let board = board();
    let (own, other) = (enter_old(&board, Duration::from_secs(10)), enter(&board, check("b/other")));
    let router = router(board, CancellationToken::new());
    let ask = |uri: &str| {
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        tokio::spawn(router.clone().oneshot(request))
    };
    let first = ask("/health/a?run");
    own.demanded().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let second = ask("/health?namespace=a&run");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(other.demanded().now_or_never().is_none(), "nobody asked for it");
    record(&own, outcome(Status::Pass, "new"));
    for (asking, age) in [(first, ""), (second, "3")] {
        let response = asking.await.expect("no panic").expect("an answer");
        assert_eq!(header_of(&response, header::AGE), age);
        assert!(text(response).await.contains("\"new\""));
    }
}
