//! The metrics that guests made, as `aviary_custom_<name>`.
//!
//! One name is one metric for all checks. Where checks disagree about its kind, the check that used the name
//! first decides; trusted checks go before all others. Metrics of another kind are left out and counted.

use super::{
    row::Row,
    samples::{histogram, labels, number},
};
use crate::{
    usage::metrics::{Family, Head, Kind, Value},
    value::Key,
};
use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Writes the custom metrics of all checks, and how many had to be left out.
pub(super) fn encode(out: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let mut by_name: BTreeMap<Arc<str>, Vec<(&Row, Head)>> = BTreeMap::new();
    for row in rows {
        for (name, head) in row.entry.usage.metrics.heads() {
            by_name.entry(name).or_default().push((row, head));
        }
    }
    let mut left_out: BTreeMap<&Key, u32> = BTreeMap::new();
    for (name, users) in &by_name {
        let order = |(row, head): &&(&Row, Head)| (!row.is_trusted(), head.created);
        let Some((_, first)) = users.iter().min_by_key(order) else { continue };
        let shown = format!("aviary_custom_{name}");
        let mut metric = out.encode_descriptor(&shown, &first.help, None, metric_type(first.kind))?;
        for (row, head) in users {
            if head.kind != first.kind {
                *left_out.entry(&row.entry.key).or_default() += 1;
            } else if let Some(family) = row.entry.usage.metrics.family(name) {
                // One copy at a time: the metrics of all checks together can be large.
                series(&mut metric, row, &family)?;
            }
        }
    }
    let name = "aviary_check_metric_conflicts";
    let help = "Metrics of the check left out because another check used their name first for another kind.";
    let mut conflicts = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (key, count) in left_out {
        number(conflicts.encode_family(&labels(key))?, MetricType::Gauge, f64::from(count))?;
    }
    Ok(())
}

fn metric_type(kind: Kind) -> MetricType {
    match kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
        Kind::Histogram => MetricType::Histogram,
    }
}

fn series(metric: &mut MetricEncoder<'_>, row: &Row, family: &Family) -> fmt::Result {
    for (own, value) in &family.series {
        let labels = (row.labels(), &**own);
        let sample = metric.encode_family(&labels)?;
        match value {
            Value::Number(value) => number(sample, metric_type(family.head.kind), *value)?,
            Value::Distribution { buckets, sum } => histogram(sample, buckets, *sum)?,
        }
    }
    Ok(())
}
