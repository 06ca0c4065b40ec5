//! The metric families of one check: how many there are, and how large they are.

use super::{Family, Head, Kind, Labels, Refusal, Value};
use crate::{
    quota::Quota,
    value::{Limit, Limits},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// About how many bytes a line of an exposition takes beside the name and labels of the metric: the check,
/// and the number.
pub(super) const LINE: usize = 256;

/// The metric families of one check, by name, and what they may take.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) by_name: BTreeMap<Arc<str>, Family>,
    series: usize,
    most_series: usize,
    pub(super) longest_label: usize,
    shared: Option<Arc<Quota>>,
    held: usize,
}

impl Families {
    /// A check without metrics yet. What its metrics will take in an exposition counts in `shared` as well.
    pub(super) fn new(shared: Option<Arc<Quota>>) -> Self {
        let mut families =
            Self { by_name: BTreeMap::new(), series: 0, most_series: 0, longest_label: 0, shared, held: 0 };
        families.allow(&Limits::default());
        families
    }

    pub(super) fn share(&mut self, shared: Option<Arc<Quota>>) {
        if self.by_name.is_empty() {
            self.shared = shared;
        }
    }

    pub(super) fn allow(&mut self, limits: &Limits) {
        self.most_series = limits.count(Limit::Series);
        self.longest_label = limits.count(Limit::LabelBytes);
    }

    pub(super) fn update(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: Labels,
        bounds: &[f64],
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let known = self.by_name.get_mut(name);
        if known.as_ref().is_some_and(|family| family.head.kind != kind) {
            return Err(Refusal::Conflict);
        }
        let (mut value, head) = match known {
            Some(family) => match family.series.get_mut(&labels) {
                Some(value) => return change(value),
                None => (Value::zero(kind, &family.bounds), 0),
            },
            None => (Value::zero(kind, bounds), help.len()),
        };
        change(&mut value)?;
        self.make_room(head + value.lines() * (LINE + name.len() + length(&labels)))?;
        let family = self.by_name.entry(name.into()).or_insert_with(|| Family::new(kind, help, bounds));
        family.series.insert(labels, value);
        Ok(())
    }

    /// Makes room for another series, which takes `bytes` bytes in an exposition, or refuses it.
    fn make_room(&mut self, bytes: usize) -> Result<(), Refusal> {
        if self.series >= self.most_series {
            return Err(Refusal::TooManySeries(self.most_series));
        }
        if let Some(shared) = &self.shared
            && !shared.take(bytes)
        {
            return Err(Refusal::TooLargeTogether(shared.most()));
        }
        self.held += bytes;
        self.series += 1;
        Ok(())
    }
}

impl Drop for Families {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.give_back(self.held);
        }
    }
}

impl Family {
    fn new(kind: Kind, help: &str, bounds: &[f64]) -> Self {
        let head = Head { help: help.into(), kind, created: Instant::now() };
        Self { head, series: BTreeMap::new(), bounds: bounds.to_vec() }
    }
}

impl Value {
    /// How many lines the value takes in an exposition.
    fn lines(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Distribution { buckets, .. } => buckets.len() + 2,
        }
    }

    fn zero(kind: Kind, bounds: &[f64]) -> Self {
        match kind {
            Kind::Gauge | Kind::Counter => Self::Number(0.0),
            Kind::Histogram => {
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                Self::Distribution { buckets: bounds.map(|bound| (bound, 0)).collect(), sum: 0.0 }
            }
        }
    }
}

/// How many bytes labels take in an exposition, where some letters are escaped.
fn length(labels: &Labels) -> usize {
    let escaped = |text: &str| text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count();
    labels.iter().map(|(key, value)| key.len() + value.len() + escaped(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_count_as_they_are_written() {
        let labels = Labels::from([("key".to_owned(), "a\"\\\n".to_owned())]);
        assert_eq!(length(&labels), "key".len() + r#"a\"\\\n"#.len());
    }
}
