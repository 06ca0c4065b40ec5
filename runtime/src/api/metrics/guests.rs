//! The metrics that guests made, as `aviary_custom_<name>`.
//!
//! One name is one metric for all checks. Where checks disagree about its kind, the check that used the name first
//! decides, those that are trusted before all others; what does not agree is left out and counted.

use super::{
    exposition::{Exposition, Family, labels},
    row::Row,
};
use crate::usage::metrics::{self, Head, Kind, Value};
use std::{collections::BTreeMap, sync::Arc};

/// Writes the custom metrics of all checks, and how many had to be left out.
pub(super) fn write(out: &mut Exposition, rows: &[Row]) {
    let mut by_name: BTreeMap<Arc<str>, Vec<(&Row, Head)>> = BTreeMap::new();
    for row in rows {
        for (name, head) in row.entry.usage.metrics.heads() {
            by_name.entry(name).or_default().push((row, head));
        }
    }
    let mut left_out: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, users) in &by_name {
        let order = |(row, head): &&(&Row, Head)| (!row.is_trusted(), head.created);
        let Some((_, first)) = users.iter().min_by_key(order) else { continue };
        let shown = format!("aviary_custom_{name}");
        let mut metric = out.family(first.kind, &shown, &first.help);
        for (row, head) in users {
            if head.kind != first.kind {
                *left_out.entry(&row.labels).or_default() += 1;
            } else if let Some(family) = row.entry.usage.metrics.family(name) {
                // One copy at a time: all of them together can be large.
                series(&mut metric, row, &family);
            }
        }
    }
    let help = "Metrics of the check left out because another check used their name first for another kind.";
    let mut conflicts = out.family(Kind::Gauge, "aviary_check_metric_conflicts", help);
    for (labels, count) in left_out {
        conflicts.number(labels, "", f64::from(count));
    }
}

fn series(metric: &mut Family<'_, '_>, row: &Row, family: &metrics::Family) {
    for (own, value) in &family.series {
        let own: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let own = labels(&own);
        match value {
            Value::Number(number) => metric.number(&row.labels, &own, *number),
            Value::Distribution { buckets, sum } if own.is_empty() => {
                metric.distribution(&row.labels, buckets.iter().copied(), *sum);
            }
            Value::Distribution { buckets, sum } => {
                let all = format!("{},{own}", row.labels);
                metric.distribution(&all, buckets.iter().copied(), *sum);
            }
        }
    }
}
