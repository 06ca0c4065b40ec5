use super::*;
use crate::{
    grant::{Authorization, Capability, Ceiling, Grants},
    manifest::Severity,
    outcome::{Fault, Reason, Target},
    usage::CallResult,
    value::Limit,
};
use std::collections::{BTreeMap, BTreeSet};

const OPEN: &str =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// The name of a sample and its labels, which have no order.
type Series = (String, BTreeMap<String, String>);

/// The parsed text of `/metrics`: the samples, and the type of every metric.
#[derive(Debug, Default)]
struct Parsed {
    samples: BTreeMap<Series, f64>,
    types: BTreeMap<String, String>,
}

impl Parsed {
    fn value(&self, sample: &str) -> Option<f64> {
        self.samples.get(&series(sample)).copied()
    }
}

/// Reads the name and labels of a sample. The bounds `1` and `1.0` in the label `le` read the same.
fn series(text: &str) -> Series {
    let (name, inner) = text.split_once('{').unwrap_or((text, "}"));
    let mut labels = labels(inner.strip_suffix('}').expect("a closing brace"));
    if let Some(bound) = labels.get_mut("le") {
        *bound = format!("{:?}", bound.parse::<f64>().expect("a number"));
    }
    (name.to_owned(), labels)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
}

/// Reads the labels between braces; panics where quotes or escapes are wrong.
fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once("=\"").expect("a label with a quoted value");
        assert!(is_name(key), "label {key}");
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next().expect("a closing quote") {
                (end, '"') => break end,
                (_, '\\') => value.push(match letters.next().expect("an escaped letter").1 {
                    'n' => '\n',
                    letter @ ('\\' | '"') => letter,
                    letter => panic!("\\{letter} is no escape"),
                }),
                (_, letter) => value.push(letter),
            }
        };
        assert!(labels.insert(key.to_owned(), value).is_none(), "label {key} comes twice");
        let rest = &rest[end + 1..];
        text = rest.strip_prefix(',').unwrap_or(rest);
        assert!(rest.is_empty() || rest.len() > text.len(), "a comma between labels");
    }
    labels
}

/// Reads `/metrics` in either format, and panics where the text is not valid. Each metric has a help and a
/// type, its samples stand together, and none comes twice.
fn parse(text: &str, is_open: bool) -> Parsed {
    let mut parsed = Parsed::default();
    let (mut name, mut kind) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (metric, help) = rest.split_once(' ').expect("a help");
            assert!(is_name(metric) && !help.contains(['"', '\\']), "{line}");
            assert!(!parsed.types.contains_key(metric), "{metric} comes twice");
            name = metric.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (metric, word) = rest.split_once(' ').expect("a type");
            assert_eq!(metric, name, "help and type belong together");
            kind = word.to_owned();
            parsed.types.insert(name.clone(), kind.clone());
        } else if line != "# EOF" {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (sample, labels) = self::series(series);
            let ending = sample.strip_prefix(&*name).unwrap_or_else(|| panic!("{line} is not of {name}"));
            let expected: &[&str] = match (kind.as_str(), is_open) {
                ("counter", true) => &["_total"],
                ("counter" | "gauge", _) => &[""],
                ("histogram", _) => &["_bucket", "_sum", "_count"],
                (other, _) => panic!("unexpected type {other}"),
            };
            assert!(expected.contains(&ending), "{line}");
            assert!(kind != "counter" || sample.ends_with("_total"), "{line}");
            let value = value.parse().expect("a number");
            assert!(parsed.samples.insert((sample, labels), value).is_none(), "{line} comes twice");
        }
    }
    assert_eq!(text.ends_with("# EOF\n"), is_open);
    parsed
}

async fn scrape(board: &Arc<Board>) -> Parsed {
    let open = send(board, Method::GET, "/metrics", OPEN).await;
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(header_of(&open, header::CONTENT_TYPE), expected);
    let open = parse(&text(open).await, true);
    let classic = send(board, Method::GET, "/metrics", "*/*").await;
    assert_eq!(header_of(&classic, header::CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
    let classic = parse(&text(classic).await, false);
    let names = |parsed: &Parsed| parsed.samples.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&open), names(&classic));
    classic
}

#[tokio::test]
async fn a_check_has_all_its_series() {
    let board = board();
    let entry = enter_with(&board, "a/b", outcome(Status::Pass, ""));
    record(&entry, Err(Fault::new(Reason::Resources, "no memory")));
    entry.skip(3);
    entry.set_memory(65536);
    entry.usage.calls.count(Capability::Http, CallResult::Denied);
    board.lag.observe(Duration::from_millis(2));
    let metrics = scrape(&board).await;
    let of =
        |name: &str, more: &str| metrics.value(&format!(r#"aviary_{name}{{namespace="a",check="b"{more}}}"#));
    assert_eq!(of("check_info", r#",severity="critical""#), Some(1.0));
    assert_eq!(of("check_success", ""), Some(0.0));
    assert_eq!(of("check_stale", ""), Some(0.0));
    assert_eq!(of("check_consecutive_failures", ""), Some(1.0));
    assert_eq!(of("check_runs_total", r#",outcome="pass""#), Some(1.0));
    assert_eq!(of("check_runs_total", r#",outcome="fail""#), Some(0.0));
    assert_eq!(of("check_runs_total", r#",outcome="unknown""#), Some(1.0));
    assert_eq!(of("check_faults_total", r#",blame="host",reason="resources""#), Some(1.0));
    assert_eq!(of("check_skipped_total", ""), Some(3.0));
    assert_eq!(of("check_duration_seconds_bucket", r#",le="0.005""#), Some(0.0));
    assert_eq!(of("check_duration_seconds_bucket", r#",le="0.025""#), Some(2.0));
    assert_eq!(of("check_duration_seconds_bucket", r#",le="+Inf""#), Some(2.0));
    assert_eq!(of("check_duration_seconds_count", ""), Some(2.0));
    assert_eq!(of("check_duration_seconds_sum", ""), Some(0.024));
    let now = Timestamp::now().as_second() as f64;
    assert!(of("check_last_run_timestamp_seconds", "").is_some_and(|time| (time - now).abs() < 60.0));
    assert!(of("check_last_success_timestamp_seconds", "").is_some_and(|time| (time - now).abs() < 60.0));
    assert_eq!(of("module_last_reload_successful", ""), Some(1.0));
    assert_eq!(of("module_info", &format!(r#",digest="{}""#, Digest::of(b"http"))), Some(1.0));
    assert_eq!(of("guest_memory_bytes", ""), Some(65536.0));
    assert_eq!(of("host_calls_total", r#",capability="http",result="denied""#), Some(1.0));
    assert_eq!(of("grant_denied_total", r#",capability="http""#), Some(1.0));
    assert_eq!(metrics.value(r#"aviary_scheduler_lag_seconds_bucket{le="0.001"}"#), Some(0.0));
    assert_eq!(metrics.value("aviary_scheduler_lag_seconds_count"), Some(1.0));
    assert_eq!(metrics.value("aviary_cluster_healthy"), Some(0.0));
}

#[tokio::test]
async fn a_check_that_has_not_run_has_a_severity_and_a_zero_for_each_outcome() {
    let board = board();
    enter(&board, Check { severity: Severity::Warning, ..check("a/b") });
    let metrics = scrape(&board).await;
    let of = |name: &str, more: &str| {
        metrics.value(&format!(r#"aviary_check_{name}{{namespace="a",check="b",{more}}}"#))
    };
    assert_eq!(of("info", r#"severity="warning""#), Some(1.0));
    for outcome in ["pass", "warn", "fail", "unknown"] {
        assert_eq!(of("runs_total", &format!(r#"outcome="{outcome}""#)), Some(0.0));
    }
}

#[tokio::test]
async fn the_limits_that_a_check_runs_into_are_counted_by_their_keys() {
    let board = board();
    let mut check = check("a/b");
    Arc::make_mut(&mut Arc::make_mut(&mut check.program).limits).set(Limit::LogLines, 3).expect("in range");
    let entry = enter(&board, check);
    let admitted = (0..5).filter(|_| entry.usage.log.admits(1)).count();
    assert_eq!(admitted, 3);
    let metrics = scrape(&board).await;
    assert_eq!(metrics.types["aviary_limit_hits_total"], "counter");
    let hits = |limit: &str| {
        metrics.value(&format!(r#"aviary_limit_hits_total{{namespace="a",check="b",limit="{limit}"}}"#))
    };
    assert_eq!((hits("logLines"), hits("logBytes")), (Some(2.0), None));
}

#[tokio::test]
async fn the_daemon_tells_about_itself() {
    let metrics = scrape(&board()).await;
    let version = format!(r#"aviary_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"));
    assert_eq!(metrics.value(&version), Some(1.0));
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(metrics.value(name).is_some_and(|value| value > 0.0), "{name}");
    }
    assert!(metrics.value("process_cpu_seconds_total").is_some());
}

#[tokio::test]
async fn the_cluster_is_healthy_exactly_when_health_answers_200() {
    let board = Arc::new(Board::default());
    assert_eq!(scrape(&board).await.value("aviary_cluster_healthy"), Some(0.0));
    board.set_ready(true);
    assert_eq!(scrape(&board).await.value("aviary_cluster_healthy"), Some(1.0));
    enter_with(&board, "a/b", outcome(Status::Fail, ""));
    assert_eq!(scrape(&board).await.value("aviary_cluster_healthy"), Some(0.0));
}

#[tokio::test]
async fn the_series_of_a_removed_check_vanish_at_once() {
    let board = board();
    let entry = enter_with(&board, "gone/away", outcome(Status::Pass, ""));
    board.remove(&entry.key);
    assert!(!get(&board, "/metrics").await.1.contains("gone"));
}

#[tokio::test]
async fn hostile_target_names_stay_within_their_quotes() {
    let board = board();
    let names = ["a\"} 1\nb", "# HELP x", "back\\slash", "ünï"];
    let target = |name: &str| Target {
        name: name.to_owned(),
        status: Status::Pass,
        message: String::new(),
        labels: Vec::new(),
    };
    let targets = names.map(target).to_vec();
    enter_with(&board, "a/b", Ok(Outcome { status: Status::Pass, message: String::new(), targets }));
    let metrics = scrape(&board).await;
    let targets: BTreeSet<String> = metrics
        .samples
        .keys()
        .filter(|(name, _)| name == "aviary_target_success")
        .map(|(_, labels)| labels["target"].clone())
        .collect();
    assert_eq!(targets, names.map(str::to_owned).into());
}

#[tokio::test]
async fn messages_are_never_in_the_metrics() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Fail, "hunter2")).reject(Fault::new(Reason::Module, "hunter2"));
    assert!(!get(&board, "/metrics").await.1.contains("hunter2"));
}

#[tokio::test]
async fn guests_have_metrics_of_their_own() {
    let board = board();
    let entry = enter_with(&board, "a/b", outcome(Status::Pass, ""));
    let colour = [("colour".to_owned(), "re\"d".to_owned())];
    entry.usage.metrics.gauge("depth", "Depth.", &colour, -0.5).expect("a gauge");
    entry.usage.metrics.counter("seen_total", "Seen.", &[], 2.0).expect("a counter");
    entry.usage.metrics.histogram("wait", "Wait.", &colour, 3.0, &[1.0, 5.0]).expect("a histogram");
    let metrics = scrape(&board).await;
    let of = |name: &str, more: &str| {
        metrics.value(&format!(r#"aviary_custom_{name}{{namespace="a",check="b"{more}}}"#))
    };
    assert_eq!(of("depth", r#",colour="re\"d""#), Some(-0.5));
    assert_eq!(of("seen_total", ""), Some(2.0));
    assert_eq!(of("wait_bucket", r#",colour="re\"d",le="1.0""#), Some(0.0));
    assert_eq!(of("wait_bucket", r#",colour="re\"d",le="+Inf""#), Some(1.0));
    assert_eq!(of("wait_sum", r#",colour="re\"d""#), Some(3.0));
}

#[tokio::test]
async fn where_checks_disagree_about_a_name_the_first_user_decides_and_the_others_are_counted() {
    let board = board();
    let first = enter_with(&board, "b/first", outcome(Status::Pass, ""));
    let second = enter_with(&board, "a/second", outcome(Status::Pass, ""));
    let third = enter_with(&board, "a/third", outcome(Status::Pass, ""));
    first.usage.metrics.gauge("x", "First.", &[], 1.0).expect("a gauge");
    second.usage.metrics.counter("x", "Second.", &[], 1.0).expect("a counter");
    third.usage.metrics.gauge("x", "Third.", &[], 3.0).expect("a gauge");
    let metrics = scrape(&board).await;
    assert_eq!(metrics.types["aviary_custom_x"], "gauge");
    assert_eq!(metrics.value(r#"aviary_custom_x{namespace="b",check="first"}"#), Some(1.0));
    assert_eq!(metrics.value(r#"aviary_custom_x{namespace="a",check="third"}"#), Some(3.0));
    assert!(!metrics.types.contains_key("aviary_custom_x_total"));
    let conflicts = r#"aviary_check_metric_conflicts{namespace="a",check="second"}"#;
    assert_eq!(metrics.value(conflicts), Some(1.0));
}

/// Puts a check on the board whose namespace is not trusted.
fn enter_tenant(board: &Board, key: &str) -> Arc<Entry> {
    let mut check = check(key);
    let ceiling = Ceiling::tenant(check.key.namespace(), "cluster.local", Arc::default());
    let authorization = Authorization::new(check.key.namespace(), Grants::default(), None, &ceiling);
    Arc::make_mut(&mut check.program).authorization = authorization.expect("an authorization");
    enter(board, check)
}

#[tokio::test]
async fn who_is_trusted_decides_about_a_name_whoever_used_it_first() {
    let board = board();
    let tenant = enter_tenant(&board, "a/tenant");
    let trusted = enter(&board, check("b/trusted"));
    tenant.usage.metrics.gauge("x", "Tenant.", &[], 1.0).expect("a gauge");
    trusted.usage.metrics.counter("x", "Trusted.", &[], 2.0).expect("a counter");
    let metrics = scrape(&board).await;
    assert_eq!(metrics.value(r#"aviary_custom_x_total{namespace="b",check="trusted"}"#), Some(2.0));
    let conflicts = r#"aviary_check_metric_conflicts{namespace="a",check="tenant"}"#;
    assert_eq!(metrics.value(conflicts), Some(1.0));
}

/// Makes fifty histograms of one check; false if one of them is refused.
fn make_many(entry: &Entry) -> bool {
    (0..50).all(|index| entry.usage.metrics.histogram(&format!("x{index}"), "", &[], 1.0, &[]).is_ok())
}

#[test]
fn one_tenant_cannot_drown_the_metrics_of_others_with_many_checks() {
    let board = board();
    let key = |namespace: &str, index: usize| format!("{namespace}/{index}");
    assert!(!(0..40).all(|index| make_many(&enter_tenant(&board, &key("a", index)))));
    assert!(make_many(&enter_tenant(&board, "b/other")));
    assert!((0..40).all(|index| make_many(&enter(&board, check(&key("c", index))))));
}

#[test]
fn a_check_that_was_refused_at_first_shares_the_bounds_of_its_namespace_as_well() {
    let board = board();
    let key = |index: usize| format!("a/{index}");
    (0..40).for_each(|index| drop(board.enter(&Arc::new(check(&key(index))), &origin())));
    assert!(!(0..40).all(|index| make_many(&enter_tenant(&board, &key(index)))));
}

#[test]
fn five_hundred_checks_of_a_tenant_may_have_ten_numbers_and_a_histogram_each() {
    let board = board();
    let node = [("node".to_owned(), "worker-17.example.com".to_owned())];
    for index in 0..500 {
        let series = &enter_tenant(&board, &format!("a/{index}")).usage.metrics;
        series.histogram("answer_seconds", "How long answers took.", &[], 1.0, &[]).expect("a histogram");
        for number in 0..10 {
            let name = format!("depth_{number}");
            series.gauge(&name, "How deep it is.", &node, 1.0).expect("a gauge");
        }
    }
}
