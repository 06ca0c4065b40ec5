//! The metrics of all checks, read from the board at each scrape. The series of a removed check vanish at
//! once.

use super::{
    guests,
    row::Row,
    samples::{Metric, flag, histogram, labels, number, unix},
};
use crate::{
    api::judgement::{Judgement, judge_settled},
    board::{Board, CheckState, Counts},
    grant::Capability,
    manifest::Severity,
    outcome::{Reason, Status, Target},
    usage::{CallResult, DURATION_BOUNDS},
    value::Limit,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::MetricType::{self, Counter, Gauge, Histogram},
};
use std::{fmt, iter::zip, sync::Arc};

/// The most targets of one check that get a series each.
const MAX_TARGETS: usize = 100;
/// The values of the label `outcome`, in the order of [`Counts::runs`].
const OUTCOMES: [&str; 4] = ["pass", "warn", "fail", "unknown"];

/// The collector of the metrics of all checks.
#[derive(Debug)]
pub(super) struct Checks(pub(super) Arc<Board>);

impl Collector for Checks {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let (out, board) = (&mut out, &self.0);
        let rows: Vec<Row> = board.entries().into_iter().map(Row::new).collect();
        let judgement = judge_settled(rows.iter().map(|row| &row.view), board.is_ready());
        let help = "Whether /health answers 200.";
        let healthy = out.encode_descriptor("aviary_cluster_healthy", help, None, Gauge)?;
        number(healthy, Gauge, flag(judgement == Judgement::Healthy))?;
        METRICS.iter().try_for_each(|metric| metric.encode(out, &rows, Row::labels))?;
        for write in [infos, runs, faults, durations, targets, modules, host_calls, denials, limit_hits] {
            write(out, &rows)?;
        }
        leftovers(out, board)?;
        let help = "How late runs started.";
        let lag = out.encode_descriptor("aviary_scheduler_lag_seconds", help, None, Histogram)?;
        histogram(lag, &board.lag.buckets(), board.lag.sum())?;
        guests::encode(out, &rows)
    }
}

const METRICS: [Metric<Row>; 10] = [
    Metric {
        name: "aviary_check_success",
        help: "Whether the check passes, warns or is suspended; 0 also if it is unknown or stale.",
        kind: Gauge,
        value: |row| Some(flag(row.view.standing.is_ok())),
    },
    Metric {
        name: "aviary_check_stale",
        help: "Whether the check has not run for three intervals.",
        kind: Gauge,
        value: |row| Some(flag(row.view.standing == CheckState::Stale)),
    },
    Metric {
        name: "aviary_check_quarantined",
        help: "Whether the check is tried rarely, as its guest broke down again and again.",
        kind: Gauge,
        value: |row| Some(flag(row.view.quarantine.is_some())),
    },
    Metric {
        name: "aviary_check_consecutive_failures",
        help: "Runs in a row without a good outcome.",
        kind: Gauge,
        value: |row| Some(f64::from(row.view.consecutive_failures)),
    },
    Metric {
        name: "aviary_check_last_run_timestamp_seconds",
        help: "When the latest run that counts ended.",
        kind: Gauge,
        value: |row| row.view.latest.as_ref().map(|run| unix(run.ended())),
    },
    Metric {
        name: "aviary_check_last_success_timestamp_seconds",
        help: "When the latest good run ended.",
        kind: Gauge,
        value: |row| row.view.last_success.map(unix),
    },
    Metric {
        name: "aviary_module_last_reload_successful",
        help: "Whether the newest manifest and module are the ones that run.",
        kind: Gauge,
        value: |row| Some(flag(row.view.rejected.is_none())),
    },
    Metric {
        name: "aviary_guest_memory_bytes",
        help: "Linear memory that the guest holds.",
        kind: Gauge,
        value: |row| Some(row.view.memory as f64),
    },
    Metric {
        name: "aviary_check_skipped",
        help: "Polls that were due while a run was late or under way.",
        kind: Counter,
        value: |row| Some(row.view.counts.skipped as f64),
    },
    Metric {
        name: "aviary_check_failed_cleanups",
        help: "Cleanups that did not work, each attempt.",
        kind: Counter,
        value: |row| Some(row.view.counts.failed_cleanups as f64),
    },
];

/// Writes one metric. `samples` gives the samples of a check, with labels beside those of the check.
fn series<'r, L: EncodeLabelSet, S: IntoIterator<Item = (L, f64)>>(
    out: &mut DescriptorEncoder<'_>,
    (kind, name, help): (MetricType, &str, &str),
    rows: &'r [Row],
    samples: impl Fn(&'r Row) -> S,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, kind)?;
    for row in rows {
        for (labels, value) in samples(row) {
            number(metric.encode_family(&(row.labels(), labels))?, kind, value)?;
        }
    }
    Ok(())
}

/// Writes `aviary_check_info`, by whose label `severity` alerts tell checks apart.
fn infos(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Gauge, "aviary_check_info", "The check, with its severity; always 1.");
    series(out, head, rows, |row| {
        let severity = match row.view.check.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        };
        [([("severity", severity)], 1.0)]
    })
}

fn runs(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Counter, "aviary_check_runs", "Finished runs by outcome.");
    series(out, head, rows, |row| {
        zip(OUTCOMES, row.view.counts.runs).map(|(outcome, count)| ([("outcome", outcome)], count as f64))
    })
}

fn faults(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let help = "Faults, which leave no outcome, by the side to blame and the reason.";
    series(out, (Counter, "aviary_check_faults", help), rows, |row| {
        let faults = zip(Reason::ALL, row.view.counts.faults).filter(|(_, count)| *count > 0);
        faults.map(|(reason, count)| {
            ([("blame", reason.blame().label()), ("reason", reason.label())], count as f64)
        })
    })
}

fn durations(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let help = "How long runs took.";
    let mut metric = out.encode_descriptor("aviary_check_duration_seconds", help, None, Histogram)?;
    for row in rows {
        let Counts { durations, duration_sum, .. } = row.view.counts;
        let bounds = DURATION_BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = zip(bounds, durations).collect();
        histogram(metric.encode_family(&row.labels())?, &buckets, duration_sum)?;
    }
    Ok(())
}

fn targets(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let help = "Whether the target passed or warned in the latest run.";
    series(out, (Gauge, "aviary_target_success", help), rows, |row| {
        let targets = merged(row.targets(), row.view.check.program.limits.count(Limit::LabelBytes));
        targets.into_iter().map(|(name, is_good)| ([("target", name)], flag(is_good)))
    })
}

/// The names of the first [`MAX_TARGETS`] targets, cut to `longest` bytes, and whether each is good. Targets
/// that share a cut name are good only if all of them are.
fn merged(targets: &[Target], longest: usize) -> Vec<(&str, bool)> {
    let short = |target: &Target| target.name.floor_char_boundary(longest);
    let first = targets.iter().take(MAX_TARGETS);
    let mut merged: Vec<_> =
        first.map(|target| (&target.name[..short(target)], target.status != Status::Fail)).collect();
    merged.sort_unstable();
    merged.dedup_by(|second, first| second.0 == first.0);
    merged
}

fn modules(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Gauge, "aviary_module_info", "The module that runs; always 1.");
    series(out, head, rows, |row| {
        row.view.module.as_ref().map(|module| ([("digest", module.digest.to_string())], 1.0))
    })
}

fn host_calls(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Counter, "aviary_host_calls", "Host calls of the guest by capability and result.");
    series(out, head, rows, |row| {
        CallResult::ALL.into_iter().flat_map(|result| {
            calls(row, result).map(move |(capability, count)| {
                ([("capability", capability), ("result", result.label())], count)
            })
        })
    })
}

fn denials(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Counter, "aviary_grant_denied", "Host calls that no grant covers.");
    series(out, head, rows, |row| {
        calls(row, CallResult::Denied).map(|(capability, count)| ([("capability", capability)], count))
    })
}

/// How many host calls of the check had this result, by capability. Capabilities without such calls are left
/// out.
fn calls(row: &Row, result: CallResult) -> impl Iterator<Item = (&'static str, f64)> {
    let calls = Capability::ALL
        .into_iter()
        .map(move |capability| (capability, row.entry.usage.calls.get(capability, result)));
    calls.filter(|(_, count)| *count > 0).map(|(capability, count)| (capability.name(), count as f64))
}

fn limit_hits(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let head = (Counter, "aviary_limit_hits", "How often the check ran into one of its limits.");
    series(out, head, rows, |row| {
        row.entry.usage.hits.all().map(|(limit, hits)| ([("limit", limit.key())], hits as f64))
    })
}

/// Writes how many objects in the cluster each check left behind. Removed checks are included, which have no
/// other series.
fn leftovers(out: &mut DescriptorEncoder<'_>, board: &Board) -> fmt::Result {
    let help = "Objects that rounds which are over left behind in the cluster, where there are any.";
    let mut metric = out.encode_descriptor("aviary_leftover_objects", help, None, Gauge)?;
    for (key, count) in board.leftovers.all() {
        number(metric.encode_family(&labels(&key))?, Gauge, count as f64)?;
    }
    Ok(())
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
