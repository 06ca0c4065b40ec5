//! The share of one check in the bytes that the targets of its namespace may hold together.

use crate::{
    outcome::{Outcome, Target, Verdict},
    quota::{Quota, Reservation},
    usage::LimitHits,
    value::Limit,
};
use std::sync::Arc;

/// What the targets of one check hold of its namespace's quota.
#[derive(Debug, Default)]
pub(super) struct TargetQuota {
    /// The quota of the namespace; none where there is no limit.
    pub(super) shared: Option<Arc<Quota>>,
    pub(super) hits: Arc<LimitHits>,
    /// The bytes reserved for the targets of the latest run.
    pub(super) latest: Option<Arc<Reservation>>,
    /// The bytes reserved for the targets of the latest run that counts.
    pub(super) counted: Option<Arc<Reservation>>,
}

impl TargetQuota {
    /// Replaces the latest verdict's reservation by one for `verdict`, which loses its targets where there is
    /// no room for them.
    pub(super) fn fit(&mut self, mut verdict: Verdict) -> Verdict {
        self.latest = None;
        let Some(shared) = &self.shared else { return verdict };
        if let Ok(Outcome { message, targets, .. }) = &mut verdict
            && !targets.is_empty()
        {
            self.latest = shared.lend(targets.iter().map(size).sum()).map(Arc::new);
            if self.latest.is_none() {
                self.hits.count(Limit::TargetBytes);
                message.push_str(&format!(" ({} more targets are not shown)", targets.len()));
                *targets = Vec::new();
            }
        }
        verdict
    }
}

/// How many bytes a target takes in memory. Its parts count as well, as texts can be empty and yet many.
fn size(target: &Target) -> usize {
    let labels = target.labels.iter().map(|(key, value)| key.len() + value.len());
    size_of::<Target>()
        + size_of_val(target.labels.as_slice())
        + target.name.len()
        + target.message.len()
        + labels.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::{super::History, *};
    use crate::outcome::{Status, Target};
    use jiff::Timestamp;
    use std::time::Duration;

    fn outcome(message: &str, targets: usize) -> Verdict {
        let labels = vec![(String::new(), String::new()); 8];
        let target = Target { name: "t".into(), status: Status::Fail, message: String::new(), labels };
        Ok(Outcome { status: Status::Fail, message: message.into(), targets: vec![target; targets] })
    }

    /// How many targets the latest run that counts has.
    fn shown(history: &History) -> usize {
        let run = history.latest().expect("a run");
        run.verdict.as_ref().as_ref().map_or(0, |outcome| outcome.targets.len())
    }

    #[test]
    fn the_targets_of_all_checks_of_a_namespace_take_no_more_than_their_room() {
        let one = outcome("", 1).map_or(0, |outcome| size(&outcome.targets[0]));
        let shared = Arc::new(Quota::new(10 * one));
        let hits = Arc::<LimitHits>::default();
        let check = || {
            let mut history = History::counting(Arc::clone(&hits));
            history.share(Some(Arc::clone(&shared)));
            history
        };
        let push = |history: &mut History, verdict| {
            history.push(Timestamp::UNIX_EPOCH, Duration::ZERO, verdict);
        };
        let (mut first, mut second) = (check(), check());
        push(&mut first, outcome("a", 6));
        push(&mut second, outcome("a", 5));
        assert_eq!((shown(&first), shown(&second), hits.get(Limit::TargetBytes)), (6, 0, 1));
        let said = second.latest().and_then(|run| run.verdict.as_ref().as_ref().ok()).expect("an outcome");
        assert_eq!(said.message, "a (5 more targets are not shown)");
        for message in ["b", "c", "c"] {
            push(&mut first, outcome(message, 10));
            assert_eq!(shown(&first), 10, "its own former ones make room");
        }
        first.excuse(Timestamp::UNIX_EPOCH, Duration::ZERO, outcome("d", 1));
        assert_eq!(
            first.excused().expect("a run").verdict.as_ref().as_ref().map_or(1, |o| o.targets.len()),
            0
        );
        push(&mut first, Ok(Outcome::fail("none")));
        push(&mut second, outcome("a", 10));
        assert_eq!(shown(&second), 10);
        drop(second);
        assert!(shared.take(10 * one), "nothing is held");
    }
}
