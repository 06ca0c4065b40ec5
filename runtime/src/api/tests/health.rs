use super::*;
use crate::{
    manifest::Severity,
    outcome::{Fault, Reason, Target},
};
use serde_json::json;

const JSON: &str = "application/json; charset=utf-8";

async fn code(board: &Arc<Board>, uri: &str) -> u16 {
    get(board, uri).await.0.as_u16()
}

/// The JSON body of an answer, without the field `since` of each check.
async fn body(board: &Arc<Board>, uri: &str, accept: &str) -> serde_json::Value {
    let text = text(send(board, Method::GET, uri, accept).await).await;
    let mut body: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for check in body.as_object_mut().expect("an object").values_mut() {
        if let Some(check) = check.as_object_mut() {
            assert!(check.remove("since").is_none_or(|since| since.is_string()));
        }
    }
    body
}

async fn line(board: &Arc<Board>, uri: &str) -> (u16, String) {
    let response = send(board, Method::GET, uri, "text/plain").await;
    assert_eq!(header_of(&response, header::CONTENT_TYPE), "text/plain; charset=utf-8");
    (response.status().as_u16(), text(response).await)
}

#[tokio::test]
async fn all_passing_and_warning_checks_are_200_with_an_entry_for_each() {
    let board = board();
    enter_with(&board, "a/s3", outcome(Status::Pass, "fine"));
    enter_with(&board, "b/slow", outcome(Status::Warn, ""));
    let response = send(&board, Method::GET, "/health", "*/*").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header_of(&response, header::CONTENT_TYPE), JSON);
    assert_eq!(header_of(&response, header::CACHE_CONTROL), "no-store");
    let expected = json!({
        "a/s3": { "ok": true, "error": "", "status": "pass", "message": "fine" },
        "b/slow": { "ok": true, "error": "", "status": "warn" },
    });
    assert_eq!(body(&board, "/health", "*/*").await, expected);
}

#[tokio::test]
async fn a_failing_critical_check_is_503_even_beside_an_unknown_one() {
    let board = board();
    enter(&board, check("a/new"));
    enter_with(&board, "b/bad", outcome(Status::Fail, "refused"));
    assert_eq!(code(&board, "/health").await, 503);
    let expected = json!({
        "a/new": { "ok": false, "error": "has not run yet", "status": "unknown" },
        "b/bad": { "ok": false, "error": "refused", "status": "fail" },
    });
    assert_eq!(body(&board, "/health", "*/*").await, expected);
}

#[tokio::test]
async fn an_unknown_critical_check_is_500_if_none_fails() {
    let board = board();
    enter_with(&board, "a/good", outcome(Status::Pass, ""));
    enter_with(&board, "b/lost", Err(Fault::new(Reason::Trap, "unreachable")));
    assert_eq!(code(&board, "/health").await, 500);
    assert_eq!(code(&board, "/health/a/good").await, 200);
    assert_eq!(code(&board, "/health/b/lost").await, 500);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_just_arrived_is_unknown_and_has_two_seconds_before_it_alarms() {
    let board = board();
    enter_with(&board, "a/old", outcome(Status::Pass, ""));
    let new = board.enter(&Arc::new(check("b/new")), &origin());
    new.reject(Fault::new(Reason::Module, "the module is still on its way"));
    let codes = async || {
        [code(&board, "/health").await, code(&board, "/health/b").await, code(&board, "/health/b/new").await]
    };
    assert_eq!(codes().await, [200, 200, 500]);
    assert_eq!(body(&board, "/health", "*/*").await["b/new"]["ok"], json!(false));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(codes().await, [500, 500, 500]);
}

#[tokio::test]
async fn a_check_of_the_start_alarms_until_it_has_run() {
    let board = Arc::new(Board::default());
    let entry = enter(&board, check("a/b"));
    board.set_ready(true);
    assert_eq!(code(&board, "/health").await, 500);
    record(&entry, outcome(Status::Pass, ""));
    assert_eq!(code(&board, "/health").await, 200);
}

#[tokio::test]
async fn a_fault_of_a_check_that_has_just_arrived_alarms() {
    let board = board();
    enter_with(&board, "a/b", Err(Fault::new(Reason::Trap, "unreachable")));
    assert_eq!(code(&board, "/health").await, 500);
}

#[tokio::test]
async fn failures_within_the_grace_are_the_error_of_a_check_that_has_nothing_else_to_say() {
    let board = board();
    let entry = enter(&board, check("a/b"));
    let excuse = || {
        entry.excuse(Timestamp::now(), Duration::from_millis(12), outcome(Status::Fail, "no"), in_an_hour());
    };
    excuse();
    let expected = (500, "poll error: not well within its startupGrace: no\n".to_owned());
    assert_eq!(line(&board, "/health/a/b").await, expected);
    record(&entry, outcome(Status::Pass, "fine"));
    excuse();
    assert_eq!(line(&board, "/health/a/b").await, (200, "poll success\n".to_owned()));
    assert_eq!(body(&board, "/health/a/b", "*/*").await["a/b"]["message"], json!("fine"));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_stopped_running_is_stale_and_500() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, ""));
    tokio::time::advance(Duration::from_secs(3601)).await;
    assert_eq!(code(&board, "/health").await, 500);
    let expected =
        json!({ "a/b": { "ok": false, "error": "has not run for three intervals", "status": "stale" } });
    assert_eq!(body(&board, "/health", "*/*").await, expected);
}

#[tokio::test]
async fn a_check_of_severity_warning_is_shown_and_never_decides() {
    let board = board();
    for (key, verdict) in
        [("a/bad", outcome(Status::Fail, "no")), ("a/lost", Err(Fault::new(Reason::Cpu, "busy")))]
    {
        let mut check = check(key);
        check.severity = Severity::Warning;
        record(&enter(&board, check), verdict);
    }
    assert_eq!((code(&board, "/health").await, code(&board, "/health/a/bad").await), (200, 200));
    let body = body(&board, "/health", "*/*").await;
    assert_eq!((&body["a/bad"]["ok"], &body["a/lost"]["status"]), (&json!(false), &json!("unknown")));
}

#[tokio::test]
async fn a_suspended_check_is_well() {
    let board = board();
    let mut check = check("a/b");
    check.suspend = true;
    enter(&board, check);
    assert_eq!(line(&board, "/health").await, (200, "suspended\n".to_owned()));
}

#[tokio::test]
async fn without_checks_it_is_healthy_once_the_sources_have_been_read() {
    let board = Arc::new(Board::default());
    assert_eq!(line(&board, "/health").await, (503, "not ready\n".to_owned()));
    board.set_ready(true);
    let (code, body) = get(&board, "/health").await;
    assert_eq!((code.as_u16(), body.as_str()), (200, "{}\n"));
}

#[tokio::test]
async fn a_rejected_module_is_shown_while_the_good_one_goes_on() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, "")).reject(Fault::new(Reason::Module, "not wasm"));
    assert_eq!(code(&board, "/health").await, 200);
    assert_eq!(body(&board, "/health", "*/*").await["a/b"]["rejected"], json!("not wasm"));
}

#[tokio::test]
async fn a_rejection_that_is_the_error_already_is_not_told_twice() {
    let board = board();
    let check = Arc::new(check("a/b"));
    board.enter(&check, &origin()).reject(Fault::new(Reason::Module, "not wasm"));
    let expected = json!({ "a/b": { "ok": false, "error": "not wasm", "status": "unknown" } });
    assert_eq!(body(&board, "/health/a/b", "*/*").await, expected);
}

#[tokio::test]
async fn targets_are_listed_under_their_check() {
    let board = board();
    let target =
        Target { name: "db".to_owned(), status: Status::Fail, message: "down".to_owned(), labels: vec![] };
    let outcome = Outcome { status: Status::Fail, message: "1 of 1".to_owned(), targets: vec![target] };
    enter_with(&board, "a/b", Ok(outcome));
    let targets = &body(&board, "/health/a/b", "*/*").await["a/b"]["targets"];
    assert_eq!(*targets, json!([{ "name": "db", "status": "fail", "message": "down" }]));
}

#[tokio::test]
async fn head_gives_the_same_code_and_no_body() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Fail, "no"));
    for uri in ["/health", "/health/a/b"] {
        let response = send(&board, Method::HEAD, uri, "*/*").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header_of(&response, header::CONTENT_TYPE), JSON);
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn text_for_one_check_is_the_line_of_khealth() {
    let board = board();
    let entry = enter(&board, check("a/b"));
    assert_eq!(line(&board, "/health/a/b").await, (500, "routine is not polling yet\n".to_owned()));
    record(&entry, outcome(Status::Pass, "3 of 3"));
    assert_eq!(line(&board, "/health").await, (200, "poll success\n".to_owned()));
    record(&entry, outcome(Status::Fail, "2 of 3\npods"));
    assert_eq!(line(&board, "/health/a/b").await, (503, "poll error: 2 of 3 pods\n".to_owned()));
}

#[tokio::test]
async fn text_for_many_checks_is_one_line_that_names_a_few() {
    let board = board();
    enter_with(&board, "a/good", outcome(Status::Pass, ""));
    enter_with(&board, "a/better", outcome(Status::Pass, ""));
    assert_eq!(line(&board, "/health").await, (200, "poll success: 2 of 2 checks are well\n".to_owned()));
    for index in 0..7 {
        enter_with(&board, &format!("b/{index}"), outcome(Status::Fail, "no"));
    }
    let expected =
        "poll error: 2 of 9 checks are well; b/0: no; b/1: no; b/2: no; b/3: no; b/4: no; and 2 more\n";
    assert_eq!(line(&board, "/health").await, (503, expected.to_owned()));
}

#[tokio::test]
async fn the_draft_of_the_ietf_has_a_component_per_check() {
    let board = board();
    enter_with(&board, "a/good", outcome(Status::Pass, "fine"));
    enter_with(&board, "b/slow", outcome(Status::Warn, "3 s"));
    let response = send(&board, Method::GET, "/health", "application/health+json").await;
    assert_eq!(header_of(&response, header::CONTENT_TYPE), "application/health+json; charset=utf-8");
    let mut body: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!((&body["status"], &body["serviceId"]), (&json!("warn"), &json!("aviary")));
    let slow = body["checks"]["b/slow:responseTime"][0].as_object_mut().expect("a component");
    assert!(slow.remove("time").is_some_and(|time| time.is_string()));
    let expected = json!({
        "componentId": "b/slow", "componentType": "component", "status": "warn",
        "observedValue": 12.0, "observedUnit": "ms", "output": "3 s",
    });
    assert_eq!(json!(slow), expected);
    assert_eq!(body["checks"]["a/good:responseTime"][0].get("output"), None);
    enter_with(&board, "c/bad", outcome(Status::Fail, "no"));
    let response = send(&board, Method::GET, "/health", "application/health+json").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(response).await.starts_with(r#"{"status":"fail""#));
}

#[tokio::test]
async fn only_the_checks_asked_for_count() {
    let board = board();
    let mut owned = check("a/bad");
    owned.owner = Some("storage".into());
    record(&enter(&board, owned), outcome(Status::Fail, "no"));
    enter_with(&board, "b/good", outcome(Status::Pass, ""));
    assert_eq!(code(&board, "/health?namespace=b").await, 200);
    assert_eq!(code(&board, "/health?namespace=a").await, 503);
    assert_eq!(code(&board, "/health?owner=storage").await, 503);
    assert_eq!(code(&board, "/health?namespace=b&owner=storage").await, 404);
    assert_eq!(code(&board, "/health/b").await, 200);
    assert_eq!(code(&board, "/health/a").await, 503);
    assert_eq!(code(&board, "/health/c").await, 404);
}

#[tokio::test]
async fn unknown_query_keys_are_refused_with_the_known_ones() {
    let (code, body) = get(&board(), "/health?namespce=a").await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    for word in ["namespce", "run", "namespace", "owner"] {
        assert!(body.contains(&format!("`{word}`")), "{body}");
    }
    assert_eq!(get(&board(), "/health?run=maybe").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_check_that_is_not_there_is_404() {
    let (code, body) = get(&board(), "/health/a/b").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(body.contains("no check a/b; /api/v1/checks lists"), "{body}");
    assert_eq!(get(&board(), "/health/A/b%2Fc").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn checks_that_are_not_there_are_named_as_they_were_asked_for() {
    for (uri, words) in [
        ("/health/a", "no check has the namespace a;"),
        ("/health?namespace=a&owner=b", "no check has the namespace a and the owner b;"),
    ] {
        let (code, body) = get(&board(), uri).await;
        assert!(code == StatusCode::NOT_FOUND && body.contains(words), "{body}");
    }
}

#[tokio::test]
async fn livez_is_always_well_and_readyz_once_the_sources_have_been_read() {
    let board = Arc::new(Board::default());
    assert_eq!((code(&board, "/livez").await, code(&board, "/readyz").await), (200, 503));
    board.set_ready(true);
    assert_eq!(get(&board, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
}
