//! The writing of samples with the library `prometheus-client`.

use crate::value::Key;
use jiff::Timestamp;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::fmt;

/// A counter or gauge with one sample for each item that has a value.
pub(super) struct Metric<T> {
    /// The name of the metric. For a counter it is written without `_total`, which the library appends.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) value: fn(&T) -> Option<f64>,
}

impl<T> Metric<T> {
    /// Writes the metric with the samples of all `items`, each under the labels that `labels` gives.
    pub(super) fn encode<'t, L: EncodeLabelSet>(
        &self,
        out: &mut DescriptorEncoder<'_>,
        items: &'t [T],
        labels: impl Fn(&'t T) -> L,
    ) -> fmt::Result {
        let mut metric = out.encode_descriptor(self.name, self.help, None, self.kind)?;
        for item in items {
            if let Some(value) = (self.value)(item) {
                number(metric.encode_family(&labels(item))?, self.kind, value)?;
            }
        }
        Ok(())
    }
}

/// Writes one sample of a counter or gauge. A whole number has no decimal point, as readers of counts expect.
pub(super) fn number(mut sample: MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    let whole = value as u64;
    let is_whole = whole as f64 == value;
    match kind {
        MetricType::Counter if is_whole => sample.encode_counter::<NoLabelSet, _, f64>(&whole, None),
        MetricType::Counter => sample.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ if is_whole => sample.encode_gauge(&whole),
        _ => sample.encode_gauge(&value),
    }
}

/// Writes the samples of one histogram. `buckets` holds the observations by upper bound, not cumulative; the
/// last bound is infinite.
pub(super) fn histogram(mut sample: MetricEncoder<'_>, buckets: &[(f64, u64)], sum: f64) -> fmt::Result {
    let count = buckets.iter().map(|(_, observations)| observations).sum();
    sample.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
}

/// The labels `namespace` and `check`, which tell what check a sample is of.
pub(super) fn labels(key: &Key) -> [(&str, &str); 2] {
    [("namespace", key.namespace()), ("check", key.name())]
}

/// The value of a gauge that tells whether something is so: 1 if it is, otherwise 0.
pub(super) fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// The value of a gauge that tells a time: seconds since 1970 in UTC.
pub(super) fn unix(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}
