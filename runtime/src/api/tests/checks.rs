use super::*;
use crate::{
    board::{Demand, EventKind, Quarantine},
    grant::Capability,
    outcome::{Fault, Reason},
    usage::CallResult,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tokio::time::sleep;

async fn run(board: &Arc<Board>, key: &str) -> (u16, String) {
    let uri = format!("/api/v1/checks/{key}/run");
    let response = send(board, Method::POST, &uri, "*/*").await;
    (response.status().as_u16(), text(response).await)
}

#[tokio::test]
async fn checks_are_listed_in_order_and_can_be_chosen() {
    let board = board();
    for key in ["b/x", "a/z", "a/y"] {
        enter(&board, check(key));
    }
    let names = |list: serde_json::Value| -> Vec<String> {
        let checks = list["checks"].as_array().expect("a list").clone();
        checks.iter().map(|check| check["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(json(&board, "/api/v1/checks").await), ["y", "z", "x"]);
    assert_eq!(names(json(&board, "/api/v1/checks?namespace=b").await), ["x"]);
    assert_eq!(names(json(&board, "/api/v1/checks?owner=nobody").await), [""; 0]);
    assert_eq!(get(&board, "/api/v1/checks?run").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_check_is_told_with_its_module_calls_and_latest_runs_first() {
    let board = board();
    let entry = enter_with(&board, "a/b", outcome(Status::Pass, "first"));
    record(&entry, Err(Fault::new(Reason::Cpu, "busy")));
    entry.usage.calls.count(Capability::Http, CallResult::Timeout);
    entry.reject(Fault::new(Reason::Module, "not wasm"));
    entry.excuse(Timestamp::now(), Duration::ZERO, Ok(Outcome::fail("not yet")), in_an_hour());
    let body = json(&board, "/api/v1/checks/a/b").await;
    assert_eq!((&body["status"], &body["severity"]), (&json!("unknown"), &json!("critical")));
    assert_eq!((&body["module"]["sizeBytes"], &body["schedule"]), (&json!(42), &json!("every 30s")));
    assert_eq!(body["hostCalls"], json!({ "http": { "timeout": 1 } }));
    assert_eq!(body["rejected"], json!({ "blame": "guest", "reason": "module", "message": "not wasm" }));
    assert_eq!(
        (&body["history"][0]["status"], &body["history"][0]["inGrace"]),
        (&json!("fail"), &json!(true))
    );
    assert_eq!(body["history"][1]["fault"]["reason"], json!("cpu"));
    assert_eq!((&body["history"][2]["status"], &body["history"][2].get("inGrace")), (&json!("pass"), &None));
    let time =
        |time: &serde_json::Value| -> Timestamp { time.as_str().expect("a time").parse().expect("a time") };
    assert_eq!(time(&body["lastRun"]), time(&body["history"][1]["started"]) + Duration::from_millis(12));
    assert!(time(&body["nextRun"]) > Timestamp::now());
    assert_eq!(get(&board, "/api/v1/checks/a/c").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn running_a_check_answers_with_its_fresh_state_and_shares_the_run() {
    let board = board();
    let entry = enter(&board, check("a/b"));
    let task = tokio::spawn(async move {
        entry.demanded().await;
        sleep(Duration::from_secs(2)).await;
        record(&entry, outcome(Status::Pass, "fresh"));
    });
    let answers = tokio::join!(run(&board, "a/b"), run(&board, "a/b"));
    for (code, body) in [answers.0, answers.1] {
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((code, &body["history"][0]["message"]), (200, &json!("fresh")));
    }
    task.await.expect("the check's task");
}

/// Puts a check on the board whose guest broke down five times.
fn quarantine(board: &Board) -> Arc<Entry> {
    let entry = enter(board, check("a/b"));
    let rest = Quarantine {
        breakdowns: 5,
        until: "2026-11-21T12:00:00.5Z".parse().expect("a time"),
        demand_from: Instant::now() + Duration::from_secs(60),
    };
    let next = Next { quarantine: Some(rest), ..in_an_hour() };
    entry.record(Timestamp::now(), Duration::ZERO, Err(Fault::new(Reason::Trap, "unreachable")), next);
    entry
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_is_told_with_the_last_fault_and_lifted_by_a_new_version() {
    let board = board();
    let mut events = board.listen();
    let entry = quarantine(&board);
    let error = "unreachable; quarantined until 2026-11-21T12:00:00Z after 5 faults in a row";
    let told = |event: &crate::board::Event| event.kind == EventKind::Quarantined && event.message == error;
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|event| told(&event)));
    let body = json(&board, "/api/v1/checks/a/b").await;
    assert_eq!((&body["error"], &body["status"]), (&json!(error), &json!("unknown")));
    assert_eq!(body["quarantine"], json!({ "until": "2026-11-21T12:00:00.5Z", "faults": 5 }));
    assert_eq!(get(&board, "/health/a/b").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let metric = r#"aviary_check_quarantined{namespace="a",check="b"}"#;
    assert!(get(&board, "/metrics").await.1.contains(&format!("{metric} 1\n")));
    enter(&board, check("a/b"));
    assert!(entry.view().quarantine.is_none());
    assert!(get(&board, "/metrics").await.1.contains(&format!("{metric} 0\n")));
}

#[tokio::test(start_paused = true)]
async fn a_check_in_quarantine_is_not_run_again_at_once_whoever_asks() {
    let board = board();
    let entry = quarantine(&board);
    let (code, body) = run(&board, "a/b").await;
    assert!(code == 429 && body.contains("quarantined until"), "{code} {body}");
    let wait = Duration::from_secs(60);
    assert_eq!(entry.run_now(Duration::from_secs(3600)).await, Demand::TooSoon(wait));
    tokio::time::advance(Duration::from_secs(60)).await;
    let task = tokio::spawn({
        let entry = Arc::clone(&entry);
        async move {
            entry.demanded().await;
            record(&entry, outcome(Status::Pass, "well again"));
        }
    });
    assert_eq!(run(&board, "a/b").await.0, 200);
    task.await.expect("the check's task");
    assert!(entry.view().quarantine.is_none());
}

#[tokio::test]
async fn a_quarantine_does_not_wait_for_the_failure_threshold() {
    let board = board();
    let patient = Check { failure_threshold: std::num::NonZeroU32::MAX, ..check("a/b") };
    record(&enter(&board, patient), outcome(Status::Pass, "well"));
    assert_eq!(json(&board, "/api/v1/checks/a/b").await["status"], json!("pass"));
    let entry = board.get(&"a/b".parse().expect("a key")).expect("the check");
    let rest = Quarantine { breakdowns: 5, until: Timestamp::now(), demand_from: Instant::now() };
    let next = Next { quarantine: Some(rest), ..in_an_hour() };
    entry.record(Timestamp::now(), Duration::ZERO, Err(Fault::new(Reason::Trap, "unreachable")), next);
    assert_eq!(json(&board, "/api/v1/checks/a/b").await["status"], json!("unknown"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_or_does_not_end_says_so() {
    let board = board();
    assert_eq!(run(&board, "a/b").await.0, 404);
    enter(&board, check("a/b"));
    assert_eq!(run(&board, "a/b").await.0, 504);
    let mut suspended = check("a/resting");
    suspended.suspend = true;
    enter(&board, suspended);
    let (code, body) = run(&board, "a/resting").await;
    assert_eq!(code, 409);
    assert!(body.contains("suspend: false"), "{body}");
    let refused = board.enter(&Arc::new(check("a/broken")), &origin());
    refused.reject(Fault::new(Reason::Module, "test.wasm is not WebAssembly"));
    let (code, body) = run(&board, "a/broken").await;
    assert_eq!(code, 409);
    assert!(body.contains("a/broken is not loaded: test.wasm is not WebAssembly"), "{body}");
}

/// Puts a check on the board that runs on every demand. Returns the counter of its runs.
fn obliging(board: &Board, key: &str) -> Arc<AtomicU32> {
    let (entry, runs) = (enter(board, check(key)), Arc::new(AtomicU32::new(0)));
    tokio::spawn({
        let runs = Arc::clone(&runs);
        async move {
            loop {
                entry.demanded().await;
                runs.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(10)).await;
                record(&entry, outcome(Status::Pass, ""));
            }
        }
    });
    runs
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_wishes_runs_a_check_every_five_seconds_at_most() {
    let board = board();
    let runs = [obliging(&board, "a/b"), obliging(&board, "a/c")];
    let begun = Instant::now();
    let mut codes = BTreeSet::new();
    while begun.elapsed() < Duration::from_secs(20) {
        let path = "/health/a/b?run";
        let (posted, ..) = tokio::join!(
            run(&board, "a/b"),
            run(&board, "a/c"),
            get(&board, path),
            get(&board, "/health?run"),
            sleep(Duration::from_millis(190))
        );
        codes.insert(posted.0);
    }
    assert_eq!(codes, [200, 429].into());
    for runs in runs {
        let runs = runs.load(Relaxed);
        assert!((3..=4).contains(&runs), "{runs} runs in 20 s");
    }
}

#[tokio::test(start_paused = true)]
async fn soon_after_a_run_on_demand_its_outcome_is_told_with_its_age_and_a_post_is_told_to_wait() {
    let board = board();
    let runs = obliging(&board, "a/b");
    let send = async |method, uri| send(&board, method, uri, "*/*").await;
    assert_eq!(header_of(&send(Method::GET, "/health/a/b?run").await, header::AGE), "");
    sleep(Duration::from_millis(1500)).await;
    for uri in ["/health/a/b?run", "/health?run"] {
        let again = send(Method::GET, uri).await;
        assert_eq!((again.status(), header_of(&again, header::AGE)), (StatusCode::OK, "0"));
    }
    let refused = send(Method::POST, "/api/v1/checks/a/b/run").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header_of(&refused, header::RETRY_AFTER), "4");
    assert!(text(refused).await.contains("a/b has run a moment ago"));
    sleep(Duration::from_millis(3500)).await;
    assert_eq!(run(&board, "a/b").await.0, 200);
    assert_eq!(runs.load(Relaxed), 2);
}
