//! The series of every check, read from the board at scrape time: a removed check's vanish at once.

use super::{
    exposition::{Exposition, labels},
    guests,
    row::Row,
};
use crate::{
    api::judgement::{Judgement, judge_settled},
    board::{Board, CheckState, Counts, View},
    grant::Capability,
    manifest::Severity,
    outcome::{Reason, Status, Target},
    usage::{CallResult, DURATION_BOUNDS, metrics::Kind},
    value::Limit,
};
use jiff::Timestamp;

/// The most targets of one check that get a series each.
const MAX_TARGETS: usize = 100;
/// The values of the label `outcome`, in the order of [`Counts::runs`].
const OUTCOMES: [&str; 4] = ["pass", "warn", "fail", "unknown"];

/// Writes everything on the board.
pub(super) fn write(out: &mut Exposition, board: &Board) {
    let rows: Vec<Row> = board.entries().into_iter().map(Row::new).collect();
    let judgement = judge_settled(rows.iter().map(|row| &row.view), board.is_ready());
    out.family(Kind::Gauge, "aviary_cluster_healthy", "Whether /health answers 200.").number(
        "",
        "",
        flag(judgement == Judgement::Healthy),
    );
    infos(out, &rows);
    for gauge in &GAUGES {
        gauge.write(out, &rows);
    }
    runs(out, &rows);
    faults(out, &rows);
    skipped(out, &rows);
    failed_cleanups(out, &rows);
    durations(out, &rows);
    targets(out, &rows);
    modules(out, &rows);
    host_calls(out, &rows);
    denials(out, &rows);
    limit_hits(out, &rows);
    leftovers(out, board);
    out.family(Kind::Histogram, "aviary_scheduler_lag_seconds", "How late runs started.").distribution(
        "",
        board.lag.buckets(),
        board.lag.sum(),
    );
    guests::write(out, &rows);
}

struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&View) -> Option<f64>,
}

const GAUGES: [Gauge; 8] = [
    Gauge {
        name: "aviary_check_success",
        help: "Whether the check passes, warns or is suspended; 0 also if it is unknown or stale.",
        value: |view| Some(flag(view.standing.is_ok())),
    },
    Gauge {
        name: "aviary_check_stale",
        help: "Whether the check has not run for three intervals.",
        value: |view| Some(flag(view.standing == CheckState::Stale)),
    },
    Gauge {
        name: "aviary_check_quarantined",
        help: "Whether the check is tried rarely, as its guest broke down again and again.",
        value: |view| Some(flag(view.quarantine.is_some())),
    },
    Gauge {
        name: "aviary_check_consecutive_failures",
        help: "Runs in a row without a good outcome.",
        value: |view| Some(f64::from(view.consecutive_failures)),
    },
    Gauge {
        name: "aviary_check_last_run_timestamp_seconds",
        help: "When the latest run that counts ended.",
        value: |view| view.latest.as_ref().map(|run| unix(run.ended())),
    },
    Gauge {
        name: "aviary_check_last_success_timestamp_seconds",
        help: "When the latest good run ended.",
        value: |view| view.last_success.map(unix),
    },
    Gauge {
        name: "aviary_module_last_reload_successful",
        help: "Whether the newest manifest and module are the ones that run.",
        value: |view| Some(flag(view.rejected.is_none())),
    },
    Gauge {
        name: "aviary_guest_memory_bytes",
        help: "Linear memory that the guest holds.",
        value: |view| Some(view.memory as f64),
    },
];

impl Gauge {
    fn write(&self, out: &mut Exposition, rows: &[Row]) {
        let mut family = out.family(Kind::Gauge, self.name, self.help);
        for row in rows {
            if let Some(value) = (self.value)(&row.view) {
                family.number(&row.labels, "", value);
            }
        }
    }
}

pub(super) fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

pub(super) fn unix(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}

/// What alerts have to know about a check.
fn infos(out: &mut Exposition, rows: &[Row]) {
    let help = "The check, with its severity; always 1.";
    let mut family = out.family(Kind::Gauge, "aviary_check_info", help);
    let [critical, warning] = ["critical", "warning"].map(|severity| labels(&[("severity", severity)]));
    for row in rows {
        let severity = match row.view.check.severity {
            Severity::Critical => &critical,
            Severity::Warning => &warning,
        };
        family.number(&row.labels, severity, 1.0);
    }
}

fn runs(out: &mut Exposition, rows: &[Row]) {
    let mut family = out.family(Kind::Counter, "aviary_check_runs", "Finished runs by outcome.");
    let outcomes = OUTCOMES.map(|outcome| labels(&[("outcome", outcome)]));
    for row in rows {
        for (outcome, count) in outcomes.iter().zip(row.view.counts.runs) {
            family.number(&row.labels, outcome, count as f64);
        }
    }
}

fn faults(out: &mut Exposition, rows: &[Row]) {
    let help = "Faults, which leave no outcome, by the side to blame and the reason.";
    let mut family = out.family(Kind::Counter, "aviary_check_faults", help);
    for row in rows {
        for (reason, count) in Reason::ALL.into_iter().zip(row.view.counts.faults) {
            if count > 0 {
                let more = labels(&[("blame", reason.blame().label()), ("reason", reason.label())]);
                family.number(&row.labels, &more, count as f64);
            }
        }
    }
}

fn skipped(out: &mut Exposition, rows: &[Row]) {
    let help = "Polls that were due while a run was late or under way.";
    let mut family = out.family(Kind::Counter, "aviary_check_skipped", help);
    for row in rows {
        family.number(&row.labels, "", row.view.counts.skipped as f64);
    }
}

fn failed_cleanups(out: &mut Exposition, rows: &[Row]) {
    let help = "Cleanups that did not work, each attempt.";
    let mut family = out.family(Kind::Counter, "aviary_check_failed_cleanups", help);
    for row in rows {
        family.number(&row.labels, "", row.view.counts.failed_cleanups as f64);
    }
}

fn durations(out: &mut Exposition, rows: &[Row]) {
    let mut family = out.family(Kind::Histogram, "aviary_check_duration_seconds", "How long runs took.");
    for row in rows {
        let Counts { durations, duration_sum, .. } = &row.view.counts;
        let bounds = DURATION_BOUNDS.into_iter().chain([f64::INFINITY]);
        family.distribution(&row.labels, bounds.zip(durations.iter().copied()), *duration_sum);
    }
}

fn targets(out: &mut Exposition, rows: &[Row]) {
    let help = "Whether the target passed or warned in the latest run.";
    let mut family = out.family(Kind::Gauge, "aviary_target_success", help);
    for row in rows {
        for (name, is_good) in merged(row.targets(), row.view.check.program.limits.count(Limit::LabelBytes)) {
            family.number(&row.labels, &labels(&[("target", name)]), flag(is_good));
        }
    }
}

/// The first targets with shortened names; those that share a name are good only together.
fn merged(targets: &[Target], longest: usize) -> Vec<(&str, bool)> {
    let short = |target: &Target| target.name.floor_char_boundary(longest);
    let first = targets.iter().take(MAX_TARGETS);
    let mut merged: Vec<_> =
        first.map(|target| (&target.name[..short(target)], target.status != Status::Fail)).collect();
    merged.sort_unstable();
    merged.dedup_by(|second, first| second.0 == first.0);
    merged
}

fn modules(out: &mut Exposition, rows: &[Row]) {
    let mut family = out.family(Kind::Gauge, "aviary_module_info", "The module that runs; always 1.");
    for row in rows {
        if let Some(module) = &row.view.module {
            family.number(&row.labels, &labels(&[("digest", &module.digest.to_string())]), 1.0);
        }
    }
}

fn host_calls(out: &mut Exposition, rows: &[Row]) {
    let help = "Host calls of the guest by capability and result.";
    let mut family = out.family(Kind::Counter, "aviary_host_calls", help);
    for row in rows {
        for capability in Capability::ALL {
            for result in CallResult::ALL {
                let count = row.entry.usage.calls.get(capability, result);
                if count > 0 {
                    let more = labels(&[("capability", capability.name()), ("result", result.label())]);
                    family.number(&row.labels, &more, count as f64);
                }
            }
        }
    }
}

fn denials(out: &mut Exposition, rows: &[Row]) {
    let mut family = out.family(Kind::Counter, "aviary_grant_denied", "Host calls that no grant covers.");
    for row in rows {
        for capability in Capability::ALL {
            let count = row.entry.usage.calls.get(capability, CallResult::Denied);
            if count > 0 {
                family.number(&row.labels, &labels(&[("capability", capability.name())]), count as f64);
            }
        }
    }
}

fn limit_hits(out: &mut Exposition, rows: &[Row]) {
    let help = "How often the check ran into one of its limits.";
    let mut family = out.family(Kind::Counter, "aviary_limit_hits", help);
    for row in rows {
        for (limit, hits) in row.entry.usage.hits.all() {
            family.number(&row.labels, &labels(&[("limit", limit.key())]), hits as f64);
        }
    }
}

/// Also of checks that are gone, of which nothing else is shown any more.
fn leftovers(out: &mut Exposition, board: &Board) {
    let help = "Objects that rounds which are over left behind in the cluster, where there are any.";
    let mut family = out.family(Kind::Gauge, "aviary_leftover_objects", help);
    for (key, count) in board.leftovers.all() {
        let labels = labels(&[("namespace", key.namespace()), ("check", key.name())]);
        family.number(&labels, "", count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, status: Status) -> Target {
        Target { name: name.to_owned(), status, message: String::new(), labels: Vec::new() }
    }

    #[test]
    fn targets_that_share_a_name_are_good_only_together() {
        let targets = [
            target("b", Status::Warn),
            target("a", Status::Pass),
            target("a", Status::Fail),
            target("a", Status::Pass),
        ];
        assert_eq!(merged(&targets, 9), [("a", false), ("b", true)]);
    }

    #[test]
    fn long_target_names_are_cut_between_characters() {
        let name = format!("{}ä", "x".repeat(8));
        assert_eq!(merged(&[target(&name, Status::Pass)], 9)[0].0.len(), 8);
    }

    #[test]
    fn only_so_many_targets_get_a_series() {
        let targets: Vec<_> =
            (0..MAX_TARGETS + 1).map(|index| target(&index.to_string(), Status::Pass)).collect();
        assert_eq!(merged(&targets, 9).len(), MAX_TARGETS);
    }
}
