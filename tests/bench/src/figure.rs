//! Figures: what was measured, held against its target, and the table of all.

use std::{fmt, time::Duration};

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    /// The name of the row.
    pub(crate) row: String,
    measured: String,
    target: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Misses,
    /// The figure could not be measured.
    Missing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ok => "ok",
            Self::Misses => "MISSES",
            Self::Missing => "not measured",
        })
    }
}

impl Figure {
    /// A figure that meets its target if it `holds`.
    pub(crate) fn new(
        row: &str,
        measured: impl Into<String>,
        target: impl Into<String>,
        holds: bool,
    ) -> Self {
        let verdict = if holds { Verdict::Ok } else { Verdict::Misses };
        Self { row: row.to_owned(), measured: measured.into(), target: target.into(), verdict }
    }

    /// A figure that could not be measured, and why. The table shows only the beginning of that.
    pub(crate) fn missing(row: &str, why: &str) -> Self {
        Self {
            row: row.to_owned(),
            measured: why.replace('\n', " ").chars().take(120).collect(),
            target: String::new(),
            verdict: Verdict::Missing,
        }
    }

    /// Whether the figure could be measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.verdict != Verdict::Missing
    }
}

/// The table of the figures.
pub(crate) fn table(figures: &[Figure]) -> String {
    let width = |cell: fn(&Figure) -> &str| {
        figures.iter().map(|figure| cell(figure).chars().count()).max().unwrap_or(0)
    };
    let rows = width(|figure| &figure.row);
    let targets = width(|figure| &figure.target);
    let line = |figure: &Figure| {
        let Figure { row, measured, target, verdict } = figure;
        format!("{row:rows$}  {:12}  {target:targets$}  {measured}", verdict.to_string())
    };
    let head = format!("{:rows$}  {:12}  {:targets$}  {}", "ROW", "VERDICT", "TARGET", "MEASURED");
    std::iter::once(head).chain(figures.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// The median of the times, which is the upper one of an even number. Zero if there are none.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The time in microseconds, with a decimal or two.
pub(crate) fn micros(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

/// The time in milliseconds, with a decimal.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_what_misses_and_what_is_missing() {
        let figures =
            [Figure::new("speed", "2 µs", "≤ 1 µs", false), Figure::missing("http-cpu", "no nginx here")];
        let table = table(&figures);
        assert!(table.contains("speed     MISSES        ≤ 1 µs  2 µs"), "{table}");
        assert!(table.contains("http-cpu  not measured"), "{table}");
    }

    #[test]
    fn the_median_is_moved_by_no_outlier() {
        let times = [900, 1, 2].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(2));
    }
}
