//! The `metrics` capability: metrics that a check itself makes, served as `aviary_custom_<name>`.

use super::{HostState, bindings::aviary::check::metrics as wit};
use crate::{
    grant::Capability,
    usage::{CallResult, metrics::Refusal},
    value::Limit,
};

impl wit::Host for HostState {
    fn gauge(&mut self, metric: wit::Metric, value: f64) -> Result<(), wit::Error> {
        let result = self.usage.metrics.gauge(&metric.name, &metric.help, &metric.labels, value);
        self.answer(result)
    }

    fn counter(&mut self, metric: wit::Metric, by: f64) -> Result<(), wit::Error> {
        let result = self.usage.metrics.counter(&metric.name, &metric.help, &metric.labels, by);
        self.answer(result)
    }

    fn histogram(&mut self, metric: wit::Metric, value: f64, bounds: Vec<f64>) -> Result<(), wit::Error> {
        let result = self.usage.metrics.histogram(&metric.name, &metric.help, &metric.labels, value, &bounds);
        self.answer(result)
    }
}

impl HostState {
    fn answer(&self, result: Result<(), Refusal>) -> Result<(), wit::Error> {
        let counted = if result.is_ok() { CallResult::Ok } else { CallResult::Error };
        self.usage.calls.count(Capability::Metrics, counted);
        result.map_err(|refusal| match refusal {
            Refusal::Invalid(rule) => wit::Error::Invalid(rule),
            Refusal::LongLabel(..) => {
                self.usage.hits.count(Limit::LabelBytes);
                wit::Error::Invalid(refusal.to_string())
            }
            Refusal::Conflict => wit::Error::Conflict,
            Refusal::TooManySeries(_) | Refusal::TooLargeTogether(_) => {
                self.usage.hits.count(Limit::Series);
                wit::Error::TooManySeries
            }
        })
    }
}
