//! The metrics that guests made, as `aviary_custom_<name>`.
//!
//! One name is one metric for all checks. Where checks disagree about its kind, the check that
//! used the name first decides; the others' are left out and counted.

use super::{
    checks::Row,
    exposition::{Exposition, Family, labels},
};
use crate::capability::metrics::{self, Kind, Value};
use std::{collections::BTreeMap, sync::Arc};

/// Writes the custom metrics of all checks, and how many had to be left out.
pub(super) fn write(out: &mut Exposition, rows: &[Row]) {
    let mut by_name: BTreeMap<Arc<str>, Vec<(&Row, metrics::Family)>> = BTreeMap::new();
    for row in rows {
        for (name, family) in row.entry.series.families() {
            by_name.entry(name).or_default().push((row, family));
        }
    }
    let mut left_out: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, users) in &by_name {
        let Some((_, first)) = users.iter().min_by_key(|(_, family)| family.created) else { continue };
        let name = format!("aviary_custom_{name}");
        let mut metric = out.family(first.kind, &name, &first.help);
        for (row, family) in users {
            if family.kind == first.kind {
                series(&mut metric, row, family);
            } else {
                *left_out.entry(&row.labels).or_default() += 1;
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
