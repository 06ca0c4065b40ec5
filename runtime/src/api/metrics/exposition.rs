//! The text formats of Prometheus: OpenMetrics 1.0 and the classic 0.0.4.
//!
//! Written here because prometheus-client writes only the first of them, and takes twice the time.

use crate::usage::metrics::Kind;
use bytes::Bytes;
use std::fmt::{Display, Write};

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// How long a piece of the text gets before it is sent: small enough for a processor's cache.
const PIECE: usize = 64 * 1024;
/// Room for the sample that makes a piece long enough.
const ROOM: usize = PIECE + 4 * 1024;

/// A text under way, sent in pieces: all of it at once would be large.
pub(super) struct Exposition<'s> {
    out: String,
    format: Format,
    send: Box<dyn FnMut(Bytes) + 's>,
}

/// One metric, whose samples follow each other.
pub(super) struct Family<'a, 's> {
    text: &'a mut Exposition<'s>,
    name: &'a str,
    kind: Kind,
    /// Bounds of buckets and their labels: most histograms of a metric share them.
    bounds: Vec<(f64, String)>,
}

impl<'s> Exposition<'s> {
    /// An empty text.
    pub(super) fn new(format: Format, send: impl FnMut(Bytes) + 's) -> Self {
        Self { out: String::with_capacity(ROOM), format, send: Box::new(send) }
    }

    /// Begins a metric. Counters are named without `_total`; `help` needs no escaping.
    pub(super) fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &str) -> Family<'a, 's> {
        let (ending, word) = match (kind, self.format) {
            (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Counter, Format::OpenMetrics) => ("", "counter"),
            (Kind::Counter, Format::Classic) => ("_total", "counter"),
            (Kind::Histogram, _) => ("", "histogram"),
        };
        put(&mut self.out, format_args!("# HELP {name}{ending} {help}\n# TYPE {name}{ending} {word}\n"));
        Family { text: self, name, kind, bounds: Vec::new() }
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.send();
    }

    fn send(&mut self) {
        let piece = std::mem::replace(&mut self.out, String::with_capacity(ROOM));
        (self.send)(piece.into());
    }
}

impl Family<'_, '_> {
    /// A sample of a gauge or counter. `labels` and `more` of them come from [`labels`].
    pub(super) fn number(&mut self, labels: &str, more: &str, value: f64) {
        let ending = if self.kind == Kind::Counter { "_total" } else { "" };
        self.sample(ending, labels, more, value);
    }

    /// The samples of a histogram; `buckets` are not cumulative, and the last one is infinite.
    pub(super) fn distribution(
        &mut self,
        labels: &str,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: f64,
    ) {
        let mut bounds = std::mem::take(&mut self.bounds);
        let mut count = 0;
        for (index, (bound, observations)) in buckets.into_iter().enumerate() {
            if bounds.get(index).is_none_or(|known| known.0 != bound) {
                bounds.truncate(index);
                bounds.push((bound, self::labels(&[("le", &written(bound))])));
            }
            count += observations;
            self.sample("_bucket", labels, &bounds[index].1, count as f64);
        }
        self.bounds = bounds;
        self.sample("_sum", labels, "", sum);
        self.sample("_count", labels, "", count as f64);
    }

    fn sample(&mut self, ending: &str, labels: &str, more: &str, value: f64) {
        let out = &mut self.text.out;
        out.push_str(self.name);
        out.push_str(ending);
        match (labels, more) {
            ("", "") => out.push(' '),
            ("", only) | (only, "") => push_all(out, &["{", only, "} "]),
            (labels, more) => push_all(out, &["{", labels, ",", more, "} "]),
        }
        push_number(out, value);
        out.push('\n');
        if out.len() > PIECE {
            self.text.send();
        }
    }
}

/// Labels ready for many samples.
pub(super) fn labels(labels: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (key, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        push_all(&mut out, &[key, "=\""]);
        push_escaped(&mut out, value);
        out.push('"');
    }
    out
}

fn push_all(out: &mut String, texts: &[&str]) {
    texts.iter().for_each(|text| out.push_str(text));
}

fn push_escaped(out: &mut String, text: &str) {
    let mut done = 0;
    for (position, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            b'\n' => "\\n",
            _ => continue,
        };
        out.push_str(&text[done..position]);
        out.push_str(escaped);
        done = position + 1;
    }
    out.push_str(&text[done..]);
}

/// OpenMetrics wants a point in every bound.
fn written(bound: f64) -> String {
    if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() }
}

/// Most values are one digit, and formatting them as floats is slow.
fn push_number(out: &mut String, value: f64) {
    let whole = value as u32;
    if f64::from(whole) != value {
        put(out, value);
    } else if let Some(digit) = char::from_digit(whole, 10) {
        out.push(digit);
    } else {
        put(out, whole);
    }
}

fn put(out: &mut String, value: impl Display) {
    write!(out, "{value}").expect("a String takes everything");
}
