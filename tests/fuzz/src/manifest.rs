//! The promise about manifests.

use super::judge_error;
use aviary::{
    grant::{Ceiling, Grants},
    manifest::{Check, MAX_DOCUMENTS, Refused, documents, parse},
    schedule::{Due, Now},
    value::{Key, Limit, Module},
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Whatever is accepted is in its ranges, and means the same when it is written and read again. Whatever is
/// refused has its place named.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (open, tenant) = (Ceiling::open(), Ceiling::tenant("team-a", "cluster.local", Default::default()));
    judge_documents(text, &open);
    match parse(text, "default", &open) {
        Err(error) => judge_error(text, &error),
        Ok(checks) => {
            checks.iter().for_each(judge);
            let keys: HashSet<&Key> = checks.iter().map(|check| &check.key).collect();
            assert!(keys.len() == checks.len() && checks.len() <= MAX_DOCUMENTS);
            assert_eq!(parse(text, "default", &open).as_ref(), Ok(&checks));
        }
    }
    match parse(text, "team-a", &tenant) {
        Err(error) => judge_error(text, &error),
        Ok(checks) => assert!(checks.iter().all(|check| check.key.namespace() == "team-a")),
    }
}

/// Each document is one check or one refusal. A refused document leaves the others as they would be without
/// it.
fn judge_documents(text: &str, ceiling: &Arc<Ceiling>) {
    let documents = documents(text, "default", ceiling);
    assert!((1..=MAX_DOCUMENTS).contains(&documents.len()));
    for document in &documents {
        match document {
            Ok(check) => judge(check),
            Err(Refused { error, .. }) => judge_error(text, error),
        }
    }
}

fn judge(check: &Check) {
    assert_eq!(Key::new(check.key.namespace(), check.key.name()).as_ref(), Ok(&check.key));
    assert_eq!(check.program.module.file_name().parse::<Module>().as_ref(), Ok(&check.program.module));
    let gap = check.schedule.shortest_gap();
    assert!(
        check.program.timeout > Duration::ZERO && check.program.timeout <= gap,
        "{:?} in {gap:?}",
        check.program.timeout
    );
    assert!(check.program.timeout <= Duration::from_secs(3600));
    assert!(check.ttl.is_none_or(|ttl| ttl >= gap && ttl > check.startup_grace));
    assert!(check.retries <= 10);
    assert!(check.owner.as_ref().is_none_or(|owner| owner.len() <= 128 && !owner.contains(char::is_control)));
    assert!(check.program.settings.len() <= 64 * 1024);
    let settings = serde_json::from_str::<serde_json::Map<_, _>>(&check.program.settings);
    assert!(settings.is_ok(), "{settings:?}");
    for limit in Limit::ALL.into_iter().filter(|limit| limit.is_under_limits()) {
        assert!(
            limit.range().contains(&check.program.limits.get(limit)),
            "{limit:?}: {}",
            check.program.limits.get(limit)
        );
    }
    let names: HashSet<_> = check.program.secrets.iter().map(|secret| &secret.name).collect();
    assert_eq!(names.len(), check.program.secrets.len());
    judge_grants(check);
    judge_schedule(check);
}

/// The grants are shown as they would have to be written.
fn judge_grants(check: &Check) {
    let shown = serde_json::to_string(check.program.authorization.grants()).expect("grants are JSON");
    let read: Grants = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(&read, check.program.authorization.grants(), "{shown}");
}

/// The next run is due later than now, at the start and long after.
fn judge_schedule(check: &Check) {
    for (uptime, wall) in [(0, 0), (1, 1_700_000_000), (1 << 33, 4_000_000_000)] {
        let wall = jiff::Timestamp::from_second(wall).expect("a time");
        let now = Now { uptime: Duration::from_secs(uptime), wall };
        let due = check.schedule.next(now, check.key.spread());
        match due {
            Due::Uptime(due) => assert!(due > now.uptime),
            Due::Wall { at, .. } => assert!(at > now.wall),
        }
        let (after, _) = check.schedule.after(due, now, check.key.spread());
        assert!(after.wait(now) > Duration::ZERO);
        assert!(check.schedule.fresh_for(now) >= check.schedule.shortest_gap());
    }
}
