//! Writes the metrics that its settings list, and answers with what came of each.

use std::collections::BTreeMap;

use aviary_guest::metrics::Metric;
use aviary_guest::{Check, Outcome, Target};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WritesMetrics {
    metrics: Vec<Written>,
    /// How many series more the first metric gets.
    #[serde(default)]
    series: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    name: String,
    value: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    bounds: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Check for WritesMetrics {
    fn poll(&mut self) -> Result<Outcome, String> {
        let listed = self.metrics.iter().map(|metric| metric.write(None));
        let series = self
            .metrics
            .iter()
            .take(1)
            .flat_map(|metric| (0..self.series).map(|series| metric.write(Some(series))));
        Ok(Outcome::from_targets(listed.chain(series).collect()))
    }
}

impl Written {
    fn write(&self, series: Option<u32>) -> Target {
        let mut metric = Metric::new(&self.name, "Written by a test.");
        metric.labels = self.labels.clone().into_iter().collect();
        if let Some(series) = series {
            metric = metric.label("series", series.to_string());
        }
        let written = match self.kind {
            Kind::Gauge => metric.gauge(self.value),
            Kind::Counter => metric.counter(self.value),
            Kind::Histogram => metric.histogram(self.value, &self.bounds),
        };
        match written {
            Ok(()) => Target::pass(&self.name, "written"),
            Err(error) => Target::fail(&self.name, format!("{error} ({error:?})")),
        }
    }
}

aviary_guest::export!(WritesMetrics);
