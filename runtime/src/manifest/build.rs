//! From what was written to what is meant: every rule that concerns more than one value.

use crate::{
    grant::{Authorization, Ceiling, Grants},
    lifecycle::DEFAULT_TTL,
    manifest::{Check, Error, Secret, check::INTERVAL, raw},
    schedule::{Schedule, ScheduleError},
    text::{is_subdomain, quote},
    value::{Key, KeyError, Limit, Limits, Module, TimeSpan, WrittenLimits},
};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::{collections::HashSet, num::NonZeroU32, sync::Arc, time::Duration};

/// The most bytes of settings, as JSON.
const MOST_SETTINGS: usize = 64 * 1024;

const MOST_RETRIES: u32 = 10;
const LONGEST_OWNER: usize = 128;

/// The check that a manifest means, with a ceiling for what it may reach.
pub(super) fn build(
    manifest: raw::Manifest,
    default_namespace: &str,
    ceiling: &Arc<Ceiling>,
) -> Result<Check, Error> {
    let raw::Manifest { metadata, spec, .. } = manifest;
    let key = key(&metadata, default_namespace, ceiling)?;
    let schedule = schedule(&spec)?;
    let timeout = timeout(spec.timeout.as_ref(), &schedule, ceiling)?;
    let ttl = ttl(spec.ttl.as_ref(), &schedule)?;
    Ok(Check {
        timeout,
        ttl,
        startup_grace: startup_grace(spec.startup_grace.as_ref(), ttl)?,
        schedule,
        digest: spec.digest,
        failure_threshold: threshold("failureThreshold", spec.failure_threshold.as_ref())?,
        success_threshold: threshold("successThreshold", spec.success_threshold.as_ref())?,
        retries: retries(spec.retries.as_ref())?,
        suspend: spec.suspend,
        severity: spec.severity,
        owner: spec.owner.as_ref().map(owner).transpose()?,
        settings: spec.settings.as_ref().map_or_else(|| Ok("{}".into()), settings)?,
        secrets: secrets(&spec.secrets, ceiling)?,
        authorization: authorization(&key, spec.grants, spec.service_account.as_ref(), ceiling)?,
        limits: limits(&spec.limits, ceiling)?,
        ..Check::bare(key, spec.module)
    })
}

/// The check of a module without a manifest, under a ceiling: every 30 s, no settings, no grants.
///
/// # Errors
/// When the ceiling leaves no way to run it.
pub fn alone(key: Key, module: Module, ceiling: &Arc<Ceiling>) -> Result<Check, Error> {
    let bare = Check::bare(key, module);
    Ok(Check {
        timeout: timeout(None, &bare.schedule, ceiling)?,
        authorization: authorization(&bare.key, Grants::default(), None, ceiling)?,
        limits: limits(&WrittenLimits::default(), ceiling)?,
        ..bare
    })
}

pub(super) fn key(
    metadata: &raw::Metadata,
    default_namespace: &str,
    ceiling: &Ceiling,
) -> Result<Key, Error> {
    let namespace = metadata.namespace.as_ref();
    let key =
        Key::new(namespace.map_or(default_namespace, |namespace| &namespace.value), &metadata.name.value)
            .map_err(|error| {
                let at = match (&error, namespace) {
                    (KeyError::Namespace(_), Some(namespace)) => namespace.referenced,
                    _ => metadata.name.referenced,
                };
                Error::at(at, error)
            })?;
    match ceiling.home() {
        Some(home) if key.namespace() != home => {
            let at = namespace.map_or(metadata.name.referenced, |namespace| namespace.referenced);
            Err(Error::at(
                at,
                format!("a check that lies in namespace {home} cannot be in another: remove `namespace`"),
            ))
        }
        _ => Ok(key),
    }
}

fn authorization(
    key: &Key,
    grants: Grants,
    account: Option<&Spanned<String>>,
    ceiling: &Arc<Ceiling>,
) -> Result<Authorization, Error> {
    let refuse = |error: String| {
        account.map_or_else(|| Error::whole(&error), |account| Error::at(account.referenced, &error))
    };
    if let Some(account) = account.filter(|account| !is_subdomain(&account.value)) {
        return Err(refuse(format!(
            "serviceAccount {} is not valid: use lower-case letters, digits, dashes and dots",
            quote(&account.value)
        )));
    }
    let named = account.map(|account| account.value.as_str());
    Authorization::new(key.namespace(), grants, named, ceiling).map_err(|denied| refuse(denied.to_string()))
}

fn schedule(spec: &raw::Spec) -> Result<Schedule, Error> {
    let (text, location) = match (&spec.interval, &spec.schedule, &spec.time_zone) {
        (Some(_), Some(schedule), _) => {
            return Err(Error::at(
                schedule.referenced,
                "interval and schedule exclude each other: remove one of them",
            ));
        }
        (_, None, Some(zone)) => return Err(Error::at(zone.referenced, ScheduleError::ZoneWithoutCron)),
        (None, None, None) => return Ok(Schedule::Interval(INTERVAL)),
        (Some(interval), None, None) => {
            return Schedule::every(interval.value.get())
                .map_err(|error| Error::at(interval.referenced, error));
        }
        (None, Some(schedule), _) => (&schedule.value, schedule.referenced),
    };
    let zone = spec.time_zone.as_ref();
    Schedule::cron(text, zone.map(|zone| zone.value.as_str())).map_err(|error| {
        let at = match (&error, zone) {
            (ScheduleError::UnknownZone(_) | ScheduleError::ZoneWithoutCron, Some(zone)) => zone.referenced,
            _ => location,
        };
        Error::at(at, error)
    })
}

fn timeout(
    timeout: Option<&Spanned<TimeSpan>>,
    schedule: &Schedule,
    ceiling: &Ceiling,
) -> Result<Duration, Error> {
    let gap = schedule.shortest_gap();
    let Some(Spanned { value, referenced, .. }) = timeout else {
        let most = Limit::Timeout.default().min(ceiling.most(Limit::Timeout));
        return Ok(Duration::from_millis(most).min(gap));
    };
    let milliseconds =
        Limit::Timeout.parse(value.milliseconds()).map_err(|error| Error::at(*referenced, error))?;
    ceiling.limit(Limit::Timeout, milliseconds).map_err(|denied| Error::at(*referenced, denied))?;
    if value.get() > gap {
        let gap = TimeSpan::from(gap);
        let why = format!(
            "timeout {value} does not fit: the check runs every {gap}, so choose a shorter timeout or fewer runs"
        );
        return Err(Error::at(*referenced, why));
    }
    Ok(value.get())
}

fn ttl(ttl: Option<&Spanned<TimeSpan>>, schedule: &Schedule) -> Result<Option<Duration>, Error> {
    let Some(Spanned { value, referenced, .. }) = ttl else { return Ok(None) };
    let gap = schedule.shortest_gap();
    if value.get() < gap {
        let gap = TimeSpan::from(gap);
        return Err(Error::at(
            *referenced,
            format!("ttl {value} is shorter than the {gap} between two runs: choose at least {gap}"),
        ));
    }
    Ok(Some(value.get()))
}

fn startup_grace(grace: Option<&Spanned<TimeSpan>>, ttl: Option<Duration>) -> Result<Duration, Error> {
    let Some(Spanned { value, referenced, .. }) = grace else { return Ok(Duration::ZERO) };
    let round = ttl.unwrap_or(DEFAULT_TTL);
    if value.get() < round {
        return Ok(value.get());
    }
    let (round, unsaid) = (TimeSpan::from(round), if ttl.is_none() { ", which is the default" } else { "" });
    let why = format!(
        "startupGrace {value} is not shorter than the ttl of {round}{unsaid}: no failure would ever count"
    );
    Err(Error::at(*referenced, why))
}

fn threshold(key: &str, count: Option<&Spanned<u32>>) -> Result<NonZeroU32, Error> {
    let Some(Spanned { value, referenced, .. }) = count else { return Ok(NonZeroU32::MIN) };
    NonZeroU32::new(*value).ok_or_else(|| Error::at(*referenced, format!("{key} is 0: choose at least 1")))
}

fn retries(retries: Option<&Spanned<u32>>) -> Result<u32, Error> {
    match retries {
        Some(retries) if retries.value > MOST_RETRIES => Err(Error::at(
            retries.referenced,
            format!("retries is {}: choose at most {MOST_RETRIES}", retries.value),
        )),
        _ => Ok(retries.map_or(0, |retries| retries.value)),
    }
}

fn owner(owner: &Spanned<String>) -> Result<Arc<str>, Error> {
    let text = owner.value.as_str();
    if text.is_empty() || text.len() > LONGEST_OWNER || text.contains(char::is_control) {
        let message =
            format!("owner {} is not valid: write 1 to {LONGEST_OWNER} bytes in one line", quote(text));
        return Err(Error::at(owner.referenced, message));
    }
    Ok(text.into())
}

fn settings(settings: &Spanned<Map<String, Value>>) -> Result<Arc<str>, Error> {
    let text =
        serde_json::to_string(&settings.value).map_err(|error| Error::at(settings.referenced, error))?;
    match text.len() {
        0..=MOST_SETTINGS => Ok(text.into()),
        size => Err(Error::at(
            settings.referenced,
            format!("settings are {size} bytes as JSON: {MOST_SETTINGS} are the most"),
        )),
    }
}

fn secrets(secrets: &[Spanned<raw::WrittenSecret>], ceiling: &Ceiling) -> Result<Vec<Secret>, Error> {
    let mut names = HashSet::new();
    secrets
        .iter()
        .map(|Spanned { value, referenced, .. }| {
            if !names.insert(&value.name) {
                return Err(Error::at(*referenced, format!("secret {} is named twice", quote(&value.name))));
            }
            let secret = Secret::new(value).map_err(|error| Error::at(*referenced, error))?;
            ceiling.secret(secret.from.kind()).map_err(|denied| Error::at(*referenced, denied))?;
            Ok(secret)
        })
        .collect()
}

/// What the manifest asks for, as far as the ceiling allows it; where it does not ask, the default or the ceiling.
fn limits(written: &WrittenLimits, ceiling: &Ceiling) -> Result<Arc<Limits>, Error> {
    let mut limits = Limits::default();
    for (limit, Spanned { value, referenced, .. }) in &written.0 {
        limits.set(*limit, *value).map_err(|error| Error::at(*referenced, error))?;
        ceiling.limit(*limit, *value).map_err(|denied| Error::at(*referenced, denied))?;
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
