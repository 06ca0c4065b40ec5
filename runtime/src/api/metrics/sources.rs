//! The metrics of the sources of checks: whether each can be reached.

use super::samples::{Metric, flag, unix};
use crate::board::{Board, Source};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType::Gauge};
use std::{fmt, sync::Arc};

const METRICS: [Metric<Source>; 3] = [
    Metric {
        name: "aviary_source_connected",
        help: "Whether all of the source can be reached.",
        kind: Gauge,
        value: |source| Some(flag(source.connected)),
    },
    Metric {
        name: "aviary_source_last_contact_timestamp_seconds",
        help: "When all of the source was last known to be up to date.",
        kind: Gauge,
        value: |source| source.last_contact.map(unix),
    },
    Metric {
        name: "aviary_source_refused_configmaps",
        help: "ConfigMaps of the source that are refused, as their namespace may not have so many checks.",
        kind: Gauge,
        value: |source| Some(source.refused as f64),
    },
];

/// The collector of the metrics of sources.
#[derive(Debug)]
pub(super) struct Sources(pub(super) Arc<Board>);

impl Collector for Sources {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let sources = self.0.sources();
        METRICS
            .iter()
            .try_for_each(|metric| metric.encode(&mut out, &sources, |source| [("source", source.name)]))
    }
}
