//! Tests with `promtool` whether Prometheus understands the answers of `/metrics`.

use super::*;
use crate::{
    grant::Capability,
    outcome::{Fault, Reason, Target},
    usage::CallResult,
};
use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};

fn check_metrics(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        assert!(env::var_os("CI").is_none(), "promtool is not installed, which checks the metrics");
        return eprintln!("SKIPPED: promtool is not installed, which checks the metrics");
    };
    let mut input = promtool.stdin.take().expect("it reads");
    input.write_all(text.as_bytes()).expect("it reads everything");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let complaints = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&complaints));
}

#[tokio::test]
async fn promtool_has_nothing_to_say_against_the_metrics() {
    let board = board();
    let targets = vec![Target {
        name: "db \"one\"\n".to_owned(),
        status: Status::Pass,
        message: String::new(),
        labels: Vec::new(),
    }];
    let verdict = Ok(Outcome { status: Status::Pass, message: String::new(), targets });
    let entry = enter_with(&board, "a/b", verdict);
    entry.usage.calls.count(Capability::Http, CallResult::Denied);
    entry.usage.metrics.counter("seen_total", "Seen.", &[], 2.0).expect("a counter");
    entry.usage.metrics.histogram("wait_seconds", "Wait.", &[], 3.0, &[1.0, 5.0]).expect("a histogram");
    record(&enter(&board, check("a/c")), Err(Fault::new(Reason::Trap, "unreachable")));
    board.lag.observe(Duration::from_millis(2));
    check_metrics(&get(&board, "/metrics").await.1);
}
