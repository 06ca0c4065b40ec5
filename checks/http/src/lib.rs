//! Asks for pages and judges status, headers, body, latency and certificate.

use std::time::{Duration, SystemTime};

use aviary_guest::http::{self, Answer, BodyEnd, BodyText, Error, Fetch, Request};
use aviary_guest::targets::{LabelledTarget, TargetSeries};
use aviary_guest::tls::TlsClient;
use aviary_guest::{Check, Outcome, Target, url};

pub use judge::judge;
pub use settings::Settings;

pub mod auth;
pub mod document;
pub mod headers;
pub mod judge;
pub mod number;
pub mod rules;
pub mod settings;
pub mod status;

/// How long a body is read at first, where its start may be enough. Each time it is not, twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let request = match Prepared::new(self) {
            Ok(request) => request,
            // Without its credentials, no page can be asked for.
            Err(reason) => return Ok(refused(&self.urls, &reason)),
        };
        let fetches: Vec<_> = self.urls.iter().map(|page| request.fetch(self, &page.name)).collect();
        let mut answers = http::fetch_all(&fetches);
        for answer in answers.iter_mut().flatten() {
            read_on(self, &mut answer.body);
        }
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let mut targets = Vec::new();
        for (index, (page, answer)) in self.urls.iter().zip(&answers).enumerate() {
            let target = judge(&self.expect, page, answer, now);
            record(&mut self.series, index, &target.name, &page.labels, answer);
            targets.push(target);
        }
        Ok(Outcome::from_targets(targets))
    }
}

/// What the requests for all pages have in common, with the secrets.
struct Prepared {
    headers: Vec<(String, String)>,
    tls: Option<TlsClient>,
}

impl Prepared {
    fn new(settings: &mut Settings) -> Result<Self, String> {
        let mut headers = settings.headers.read()?;
        if let Some(auth) = &mut settings.auth {
            headers.push(("authorization".into(), auth.header(settings.timeout)?));
        }
        let tls = settings.tls.as_ref().map(|tls| tls.client("settings.tls")).transpose()?;
        Ok(Self { headers, tls })
    }

    fn fetch(&self, settings: &Settings, url: &str) -> Fetch {
        let mut request =
            Request::new(settings.method, url).redirects(settings.redirects).ip_family(settings.ip_family);
        request.headers.clone_from(&self.headers);
        request.body = settings.body.clone().map(Into::into);
        if let Some(timeout) = settings.timeout {
            request = request.timeout(timeout);
        }
        let mut fetch = Fetch::new(request);
        (fetch.tls, fetch.host, fetch.cookies) = (self.tls.clone(), settings.host.clone(), settings.cookies);
        match settings.expect.is_about_body() {
            true => {
                let pause = settings.expect.may_stop_early().then_some(FIRST_PAUSE);
                fetch.text(settings.expect.body.charset.as_deref(), pause)
            }
            false => fetch,
        }
    }
}

/// Reads on while a body goes on and more of it can change the verdict.
fn read_on(settings: &Settings, body: &mut BodyText) {
    let mut pause = FIRST_PAUSE;
    while let BodyEnd::Paused(_) = body.end
        && !settings.expect.is_settled(&body.text)
    {
        // The rest is dropped with the old end.
        let BodyEnd::Paused(rest) = std::mem::replace(&mut body.end, BodyEnd::Unread) else { return };
        pause *= 2;
        *body = rest.read_on(Some(pause));
    }
}

fn refused(pages: &[LabelledTarget], reason: &str) -> Outcome {
    let target = |page: &LabelledTarget| {
        let target = Target::fail(url::masked(&page.name), reason);
        page.labels.iter().fold(target, |target, (key, value)| target.label(key, value))
    };
    Outcome::from_targets(pages.iter().map(target).collect())
}

/// The most series of a page.
const SERIES: usize = 8;
/// The phases of a request, as values of the label `phase`.
const PHASES: [&str; 5] = ["resolve", "connect", "tls", "wait", "transfer"];

/// Sets the series of a page. Without an answer they are 0, as those of blackbox_exporter are.
fn record(
    series: &mut TargetSeries,
    index: usize,
    shown: &str,
    labels: &[(String, String)],
    answer: &Result<Answer, Error>,
) {
    let answer = answer.as_ref().ok();
    let mut set = |number, metric, kind, value| {
        series.gauge(index * SERIES + number, metric, shown, labels, kind, value);
    };
    let duration = ("http_duration_seconds", "How long each phase of the latest answer took.");
    let times = answer.map(|answer| answer.timings).map_or([0; PHASES.len()], |timings| {
        [timings.resolve_ns, timings.connect_ns, timings.tls_ns, timings.wait_ns, timings.transfer_ns]
    });
    for (number, (phase, time)) in PHASES.into_iter().zip(times).enumerate() {
        set(number, duration, Some(("phase", phase)), Duration::from_nanos(time).as_secs_f64());
    }
    let status = ("http_status_code", "The status of the latest answer; 0 without an answer.");
    set(5, status, None, answer.map_or(0.0, |answer| f64::from(answer.status)));
    let bytes = ("http_response_bytes", "How many bytes of the body of the latest answer were received.");
    set(6, bytes, None, answer.map_or(0.0, |answer| answer.body.received as f64));
    if let Some(session) = answer.and_then(|answer| answer.tls.as_ref()) {
        let end = (
            "http_certificate_expiry_timestamp_seconds",
            "When the certificate of the server, or one of its path, ends; Unix seconds.",
        );
        set(7, end, None, session.first_to_end.not_after as f64);
    }
}

aviary_guest::export!(Settings);

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn init(settings: aviary_guest::json::Value) -> Result<(), String> {
        from_value::<Settings>(settings).expect("settings").init()
    }

    #[test]
    fn more_urls_than_are_asked_for_together_are_refused_by_number() {
        assert_eq!(init(json!({"urls": vec!["http://a/"; 100]})), Ok(()));
        let error = init(json!({"urls": vec!["http://a/"; 101]})).expect_err("too many");
        assert!(error.contains("101 URLs are more than the 100 of one check"), "{error}");
    }

    #[test]
    fn a_password_in_a_url_is_refused_at_init_and_not_repeated() {
        let error = init(json!({"urls": ["http://a/", "http://ops:s3cr3t@a/"]})).expect_err("a password");
        assert!(
            error.starts_with("settings.urls[1]: http://***@a/ holds a user name or password"),
            "{error}"
        );
        assert!(init(json!({"urls": ["http://010.0.0.1/"]})).is_err());
    }

    #[test]
    fn what_would_not_do_what_it_looks_like_is_refused_at_init() {
        let url = "http://a/";
        for (settings, key) in [
            (json!({"urls": [url], "headers": {"A": "Bearer ${token}"}}), "settings.headers.A: `${…}`"),
            (json!({"urls": ["http://a/${x}"]}), "settings.urls[0]: `${…}`"),
            (
                json!({"urls": [url], "body": "${x}"}),
                "settings.body: `${…}` is not replaced by anything; write",
            ),
            (
                json!({"urls": [url], "headers": {"A": {"secret": "a", "prefix": "${x} "}}}),
                "settings.headers.A.prefix: `${…}`",
            ),
            (
                json!({"urls": [url], "auth": {"basic": {"username": "${x}", "password": {"secret": "a"}}}}),
                "settings.auth: `${…}`",
            ),
            (
                json!({"urls": [url], "auth": {"oauth2": {
                    "tokenUrl": "http://a/${x}", "clientId": "a", "clientSecret": {"secret": "a"}}}}),
                "settings.auth: `${…}`",
            ),
            (
                json!({"urls": [url], "expect": {"json": {"status": "ok"}}}),
                "settings.expect.json: \"status\"",
            ),
            (
                json!({"urls": [url], "headers": {"authorization": "a"}, "auth": {"bearer": {"secret": "b"}}}),
                "settings.auth: there is an `authorization` header",
            ),
            (
                json!({"urls": [url], "method": "HEAD", "expect": {"body": {"notMatches": ["a"]}}}),
                "settings.expect: an answer to HEAD has no body",
            ),
            (json!({"urls": [{"url": url, "labels": {"le": "1"}}]}), "settings.urls[0]: labels: \"le\""),
        ] {
            let error = init(settings).expect_err(key);
            assert!(error.starts_with(key), "{error}");
        }
    }

    #[test]
    fn the_body_is_asked_for_only_where_a_rule_is_about_it() {
        for (expect, reads, pauses) in [
            (json!({}), false, false),
            (json!({"status": [200], "headers": {"etag": "present"}}), false, false),
            (json!({"body": {"matches": ["a"]}}), true, true),
            (json!({"body": {"matches": ["a"], "notMatches": ["b"]}}), true, false),
            (json!({"json": {"/a": 1}}), true, false),
            (json!({"jsonRules": [{"path": "/a"}]}), true, false),
        ] {
            let settings: Settings =
                from_value(json!({"urls": ["http://a/"], "expect": expect})).expect("settings");
            let fetch = Prepared { headers: Vec::new(), tls: None }.fetch(&settings, "http://a/");
            assert_eq!(fetch.text.is_some(), reads, "{expect}");
            assert_eq!(fetch.text.is_some_and(|text| text.pause_ms.is_some()), pauses, "{expect}");
        }
    }
}
