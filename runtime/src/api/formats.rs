//! The three formats of `/health`.

use super::{answer::write_json, judgement::Judgement};
use crate::{
    board::{CheckState, View},
    history::Run,
    outcome::Target,
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// The most checks that are not well which the text format of `/health` names.
const NAMED: usize = 5;

/// A format of the body of `/health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthFormat {
    /// A JSON object with an entry for each check.
    Json,
    /// One line of plain text.
    Text,
    /// The IETF draft "Health Check Response Format for HTTP APIs" (draft-inadarei-api-health-check).
    Draft,
}

impl HealthFormat {
    /// The formats of `/health` by media type, the preferred one first.
    pub(super) const OFFERS: [(&str, Self); 3] = [
        ("application/json", Self::Json),
        ("text/plain", Self::Text),
        ("application/health+json", Self::Draft),
    ];

    /// The value of the header `Content-Type` for this format.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Draft => "application/health+json; charset=utf-8",
        }
    }
}

/// One check in the body of `/health`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CheckHealth<'a> {
    /// Whether the check passes, warns or is suspended.
    ok: bool,
    /// Why the check is not well; empty if it is.
    error: String,
    status: CheckState,
    /// When the check got its present status; for a stale check, when it got the status before.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What the latest run saw, if the check is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    /// The targets that the latest run looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    targets: &'a [Target],
    /// Why the newest manifest or module is not the one that runs, where `error` does not say so already.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'a str>,
}

impl<'a> CheckHealth<'a> {
    fn entry(view: &'a View) -> (String, Self) {
        (view.check.key.to_string(), Self::of(view))
    }

    fn of(view: &'a View) -> Self {
        let outcome = view.latest.as_ref().and_then(|run| run.verdict.as_ref().as_ref().ok());
        let error = view.error();
        let rejected = view.rejected.as_ref().map(|fault| fault.message.as_str());
        Self {
            ok: view.standing.is_ok(),
            status: view.standing,
            since: view.since,
            message: outcome.filter(|_| view.standing.is_ok()).map_or("", |outcome| &outcome.message),
            targets: outcome.map_or(&[], |outcome| &outcome.targets),
            rejected: rejected.filter(|rejected| *rejected != error),
            error,
        }
    }
}

/// Writes the body of `/health` about the checks of `views` in this format.
pub(super) fn write(
    out: &mut impl Write,
    format: HealthFormat,
    views: &[View],
    judgement: Judgement,
) -> io::Result<()> {
    match format {
        HealthFormat::Json => write_json(out, &ByCheck { views, entry: CheckHealth::entry }),
        HealthFormat::Text => out.write_all(line(views, judgement).as_bytes()),
        HealthFormat::Draft => write_json(out, &Draft::of(views, judgement)),
    }
}

/// A JSON object with an entry for each check, serialized without being collected first.
struct ByCheck<'a, F> {
    views: &'a [View],
    entry: F,
}

impl<'a, T: Serialize, F: Fn(&'a View) -> (String, T)> Serialize for ByCheck<'a, F> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.views.iter().map(&self.entry))
    }
}

/// The one line of `/health` in plain text: for one check the words of khealth, for many checks a summary.
fn line(views: &[View], judgement: Judgement) -> String {
    let text = match (views, judgement) {
        ([view], _) => words(view),
        (_, Judgement::NotReady) => "not ready".to_owned(),
        (_, Judgement::Healthy) => format!("poll success: {}", count(views)),
        (_, Judgement::Failing | Judgement::Unsure) => format!("poll error: {}", unwell(views)),
    };
    text.replace(char::is_control, " ") + "\n"
}

fn words(view: &View) -> String {
    let has_run = view.latest.is_some() || view.excused.is_some() || view.rejected.is_some();
    match view.standing {
        CheckState::Pass | CheckState::Warn => "poll success".to_owned(),
        CheckState::Suspended => "suspended".to_owned(),
        CheckState::Unknown if !has_run => "routine is not polling yet".to_owned(),
        CheckState::Fail | CheckState::Unknown | CheckState::Stale => format!("poll error: {}", view.error()),
    }
}

fn count(views: &[View]) -> String {
    let well = views.iter().filter(|view| view.standing.is_ok()).count();
    format!("{well} of {} checks are well", views.len())
}

fn unwell(views: &[View]) -> String {
    let unwell: Vec<&View> = views.iter().filter(|view| !view.standing.is_ok()).collect();
    let named: Vec<String> =
        unwell.iter().take(NAMED).map(|view| format!("{}: {}", view.check.key, view.error())).collect();
    let more = unwell.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}; {}{more}", count(views), named.join("; "))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Draft<C> {
    status: &'static str,
    release_id: &'static str,
    service_id: &'static str,
    checks: C,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    component_id: String,
    component_type: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    output: String,
}

impl Draft<()> {
    fn of(views: &[View], judgement: Judgement) -> Draft<impl Serialize> {
        let all_pass =
            views.iter().all(|view| matches!(view.standing, CheckState::Pass | CheckState::Suspended));
        let status = match judgement {
            Judgement::Healthy if all_pass => "pass",
            Judgement::Healthy => "warn",
            Judgement::Unsure | Judgement::Failing | Judgement::NotReady => "fail",
        };
        let checks = ByCheck { views, entry: Component::entry };
        Draft { status, release_id: env!("CARGO_PKG_VERSION"), service_id: "aviary", checks }
    }
}

impl Component {
    fn entry(view: &View) -> (String, [Self; 1]) {
        (format!("{}:responseTime", view.check.key), [Self::of(view)])
    }

    fn of(view: &View) -> Self {
        let status = match view.standing {
            CheckState::Pass | CheckState::Suspended => "pass",
            CheckState::Warn => "warn",
            CheckState::Fail | CheckState::Unknown | CheckState::Stale => "fail",
        };
        let output = match (view.standing, view.latest.as_ref().map(|run| run.verdict.as_ref())) {
            (CheckState::Suspended, _) => "suspended".to_owned(),
            (CheckState::Warn, Some(Ok(outcome))) => outcome.message.clone(),
            _ => view.error(),
        };
        Self {
            component_id: view.check.key.to_string(),
            component_type: "component",
            status,
            time: view.latest.as_ref().map(Run::ended),
            observed_value: view.latest.as_ref().map(|run| run.duration.as_secs_f64() * 1e3),
            observed_unit: view.latest.as_ref().map(|_| "ms"),
            output,
        }
    }
}
