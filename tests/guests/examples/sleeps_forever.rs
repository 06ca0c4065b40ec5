//! Sleeps on the WASI clock: without a limit, or as long as its settings say.

use std::thread;
use std::time::Duration;

use aviary_guest::{Check, Outcome, duration};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SleepsForever {
    #[serde(default, rename = "for", deserialize_with = "duration::optional")]
    time: Option<Duration>,
}

impl Check for SleepsForever {
    fn poll(&mut self) -> Result<Outcome, String> {
        thread::sleep(self.time.unwrap_or(Duration::from_secs(1_000_000)));
        Ok(Outcome::pass("woke up"))
    }
}

aviary_guest::export!(SleepsForever);
