//! A metric and a log line of the check's own, and state that lives for a round.

use aviary_guest::metrics::Metric;
use aviary_guest::{Check, Outcome, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gauge {
    #[serde(skip)]
    polls: u32,
}

impl Check for Gauge {
    fn poll(&mut self) -> Result<Outcome, String> {
        self.polls += 1;
        Metric::new("polls", "Polls of this round.").gauge(self.polls.into())?;
        log::info!("poll {}", self.polls);
        Ok(Outcome::pass(format!("{} polls", self.polls)))
    }
}

aviary_guest::export!(Gauge);
