//! Makes a check from what was written: every rule that concerns more than one value.

use crate::{
    grant::{Authorization, Ceiling, Grants},
    lifecycle::DEFAULT_TTL,
    manifest::{
        Check, CheckSpec, Problem, Program, Secret,
        check::INTERVAL,
        problem::Step,
        setting_file,
        spec::{CheckDocument, Metadata, SecretSpec},
    },
    schedule::{Schedule, ScheduleError},
    text::{is_subdomain, quote},
    value::{Key, KeyError, Limit, Limits, Module, TimeSpan, WrittenLimits},
};
use serde_json::{Map, Value};
use std::{collections::HashSet, fmt::Display, num::NonZeroU32, sync::Arc, time::Duration};

/// The most bytes of a check's settings, as JSON.
pub(super) const MOST_SETTINGS: usize = 64 * 1024;

const MOST_RETRIES: u32 = 10;
const LONGEST_OWNER: usize = 128;

/// The check that a manifest means, under a ceiling for what it may reach. `exact` is the settings as JSON, where they
/// have numbers that the document does not hold with all their digits.
pub(super) fn build(
    document: CheckDocument,
    exact: Option<String>,
    default_namespace: &str,
    ceiling: &Arc<Ceiling>,
) -> Result<Check, Problem> {
    let CheckDocument { metadata, spec, .. } = document;
    let key = key(&metadata, default_namespace, ceiling)?;
    let schedule = schedule(&spec)?;
    let timeout = timeout(spec.timeout, &schedule, ceiling)?;
    let ttl = ttl(spec.ttl, &schedule)?;
    let module = spec.module.file().map_err(|error| Problem::in_spec("module", error))?;
    let check = Check {
        ttl,
        startup_grace: startup_grace(spec.startup_grace, ttl)?,
        schedule,
        failure_threshold: threshold("failureThreshold", spec.failure_threshold)?,
        success_threshold: threshold("successThreshold", spec.success_threshold)?,
        retries: retries(spec.retries)?,
        suspend: spec.suspend,
        severity: spec.severity,
        owner: spec.owner.as_deref().map(owner).transpose()?,
        ..Check::bare(key, module.clone())
    };
    let settings =
        spec.settings.as_ref().map_or_else(|| Ok("{}".into()), |written| settings(written, exact))?;
    let files = setting_file::parse(&spec.settings_from, &settings)?;
    let program = Program {
        module,
        digest: spec.digest,
        settings,
        secrets: secrets(&spec.secrets, ceiling)?,
        authorization: authorization(&check.key, spec.grants, spec.service_account.as_deref(), ceiling)?,
        limits: limits(&spec.limits, ceiling)?,
        timeout,
    };
    Ok(Check { program: Arc::new(program), files, ..check })
}

/// The check of a module without a manifest, under a ceiling. It runs every 30 s, without settings or grants.
///
/// # Errors
/// When the ceiling leaves no way to run it.
pub fn alone(key: Key, module: Module, ceiling: &Arc<Ceiling>) -> Result<Check, Problem> {
    let bare = Check::bare(key, module.clone());
    let program = Program {
        authorization: authorization(&bare.key, Grants::default(), None, ceiling)?,
        limits: limits(&WrittenLimits::default(), ceiling)?,
        timeout: timeout(None, &bare.schedule, ceiling)?,
        ..Program::bare(bare.key.namespace(), module)
    };
    Ok(Check { program: Arc::new(program), ..bare })
}

pub(super) fn key(metadata: &Metadata, default_namespace: &str, ceiling: &Ceiling) -> Result<Key, Problem> {
    let namespace = metadata.namespace.as_deref();
    let named = if namespace.is_some() { "namespace" } else { "name" };
    let wrong = |key, why: &dyn Display| Problem::at([Step::Key("metadata"), Step::Key(key)], why);
    let key = Key::new(namespace.unwrap_or(default_namespace), &metadata.name).map_err(|error| {
        let key = if matches!(error, KeyError::Namespace(_)) { named } else { "name" };
        wrong(key, &error)
    })?;
    match ceiling.home() {
        Some(home) if key.namespace() != home => {
            let why =
                format!("a check that lies in namespace {home} cannot be in another: remove `namespace`");
            Err(wrong(named, &why))
        }
        _ => Ok(key),
    }
}

fn authorization(
    key: &Key,
    grants: Grants,
    account: Option<&str>,
    ceiling: &Arc<Ceiling>,
) -> Result<Authorization, Problem> {
    let refuse = |error: String| match account {
        Some(_) => Problem::in_spec("serviceAccount", error),
        None => Problem::at([], error),
    };
    if let Some(account) = account.filter(|account| !is_subdomain(account)) {
        return Err(refuse(format!(
            "serviceAccount {} is not valid: use lower-case letters, digits, dashes and dots",
            quote(account)
        )));
    }
    Authorization::new(key.namespace(), grants, account, ceiling).map_err(|denied| refuse(denied.to_string()))
}

fn schedule(spec: &CheckSpec) -> Result<Schedule, Problem> {
    let zone = spec.time_zone.as_deref();
    let text = match (spec.interval, &spec.schedule) {
        (Some(_), Some(_)) => {
            let why = "interval and schedule exclude each other: remove one of them";
            return Err(Problem::in_spec("schedule", why));
        }
        (_, None) if zone.is_some() => {
            return Err(Problem::in_spec("timeZone", ScheduleError::ZoneWithoutCron));
        }
        (None, None) => return Ok(Schedule::Interval(INTERVAL)),
        (Some(interval), None) => {
            return Schedule::every(interval.get()).map_err(|error| Problem::in_spec("interval", error));
        }
        (None, Some(schedule)) => schedule,
    };
    Schedule::cron(text, zone).map_err(|error| match (&error, zone) {
        (ScheduleError::UnknownZone(_) | ScheduleError::ZoneWithoutCron, Some(_)) => {
            Problem::in_spec("timeZone", error)
        }
        _ => Problem::in_spec("schedule", error),
    })
}

fn timeout(timeout: Option<TimeSpan>, schedule: &Schedule, ceiling: &Ceiling) -> Result<Duration, Problem> {
    let wrong = |why: &dyn Display| Problem::in_spec("timeout", why);
    let gap = schedule.shortest_gap();
    let Some(timeout) = timeout else {
        let most = Limit::Timeout.default().min(ceiling.most(Limit::Timeout));
        return Ok(Duration::from_millis(most).min(gap));
    };
    let milliseconds = Limit::Timeout.parse(timeout.milliseconds()).map_err(|error| wrong(&error))?;
    ceiling.limit(Limit::Timeout, milliseconds).map_err(|denied| wrong(&denied))?;
    if timeout.get() > gap {
        let gap = TimeSpan::from(gap);
        return Err(wrong(&format!(
            "timeout {timeout} does not fit: the check runs every {gap}, so choose a shorter timeout or fewer runs"
        )));
    }
    Ok(timeout.get())
}

fn ttl(ttl: Option<TimeSpan>, schedule: &Schedule) -> Result<Option<Duration>, Problem> {
    let gap = schedule.shortest_gap();
    match ttl {
        Some(ttl) if ttl.get() < gap => {
            let gap = TimeSpan::from(gap);
            let why = format!("ttl {ttl} is shorter than the {gap} between two runs: choose at least {gap}");
            Err(Problem::in_spec("ttl", why))
        }
        ttl => Ok(ttl.map(TimeSpan::get)),
    }
}

fn startup_grace(grace: Option<TimeSpan>, ttl: Option<Duration>) -> Result<Duration, Problem> {
    let grace = grace.unwrap_or_default();
    let round = ttl.unwrap_or(DEFAULT_TTL);
    if grace.get() < round {
        return Ok(grace.get());
    }
    let (round, unsaid) = (TimeSpan::from(round), if ttl.is_none() { ", which is the default" } else { "" });
    let why = format!(
        "startupGrace {grace} is not shorter than the ttl of {round}{unsaid}: no failure would ever count"
    );
    Err(Problem::in_spec("startupGrace", why))
}

fn threshold(key: &'static str, count: Option<u32>) -> Result<NonZeroU32, Problem> {
    let Some(count) = count else { return Ok(NonZeroU32::MIN) };
    NonZeroU32::new(count).ok_or_else(|| Problem::in_spec(key, format!("{key} is 0: choose at least 1")))
}

fn retries(retries: Option<u32>) -> Result<u32, Problem> {
    match retries.unwrap_or_default() {
        retries if retries > MOST_RETRIES => {
            let why = format!("retries is {retries}: choose at most {MOST_RETRIES}");
            Err(Problem::in_spec("retries", why))
        }
        retries => Ok(retries),
    }
}

fn owner(owner: &str) -> Result<Arc<str>, Problem> {
    if owner.is_empty() || owner.len() > LONGEST_OWNER || owner.contains(char::is_control) {
        let why =
            format!("owner {} is not valid: write 1 to {LONGEST_OWNER} bytes in one line", quote(owner));
        return Err(Problem::in_spec("owner", why));
    }
    Ok(owner.into())
}

fn settings(settings: &Map<String, Value>, exact: Option<String>) -> Result<Arc<str>, Problem> {
    let wrong = |why: &dyn Display| Problem::in_spec("settings", why);
    let text = exact.map_or_else(|| serde_json::to_string(settings), Ok).map_err(|error| wrong(&error))?;
    match text.len() {
        0..=MOST_SETTINGS => Ok(text.into()),
        size => Err(wrong(&format!("settings are {size} bytes as JSON: {MOST_SETTINGS} are the most"))),
    }
}

fn secrets(secrets: &[SecretSpec], ceiling: &Ceiling) -> Result<Vec<Secret>, Problem> {
    let mut names = HashSet::new();
    let parse = |(item, written): (usize, &SecretSpec)| {
        let wrong =
            |why: &dyn Display| Problem::at([Step::Key("spec"), Step::Key("secrets"), Step::Item(item)], why);
        if !names.insert(written.name.clone()) {
            return Err(wrong(&format!("secret {} is named twice", quote(&written.name))));
        }
        let secret = Secret::new(written).map_err(|error| wrong(&error))?;
        ceiling.secret(secret.from.kind()).map_err(|denied| wrong(&denied))?;
        Ok(secret)
    };
    secrets.iter().enumerate().map(parse).collect()
}

/// The limits of a check: what the manifest asks for, or else the default. The ceiling refuses the first and
/// lowers the second.
fn limits(written: &WrittenLimits, ceiling: &Ceiling) -> Result<Arc<Limits>, Problem> {
    let mut limits = Limits::default();
    for (limit, amount) in &written.0 {
        let wrong = |why: &dyn Display| {
            Problem::at([Step::Key("spec"), Step::Key("limits"), Step::Key(limit.key())], why)
        };
        limits.set(*limit, *amount).map_err(|error| wrong(&error))?;
        ceiling.limit(*limit, *amount).map_err(|denied| wrong(&denied))?;
    }
    let asks = |limit| written.0.iter().any(|(asked, _)| *asked == limit);
    if !asks(Limit::InitCpu) {
        limits.raise(Limit::InitCpu, limits.get(Limit::Cpu));
    }
    for limit in Limit::ALL {
        limits.lower(limit, ceiling.most(limit));
    }
    let shared = Limits::shared();
    Ok(if limits == *shared { shared } else { Arc::new(limits) })
}
