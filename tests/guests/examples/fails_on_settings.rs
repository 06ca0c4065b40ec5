//! Answers what its settings say.

use aviary_guest::{Check, Outcome, Status, Target};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailsOnSettings {
    #[serde(default = "pass", with = "StatusName")]
    status: Status,
    #[serde(default)]
    message: String,
    /// The number of targets, which all have the same status.
    #[serde(default)]
    targets: u32,
    /// The size to which the message is filled up, in bytes.
    #[serde(default)]
    message_bytes: usize,
}

impl Check for FailsOnSettings {
    fn poll(&mut self) -> Result<Outcome, String> {
        let fill = "x".repeat(self.message_bytes.saturating_sub(self.message.len()));
        let mut outcome = Outcome::new(self.status, format!("{}{fill}", self.message));
        let targets =
            (0..self.targets).map(|number| Target::new(format!("target-{number}"), self.status, "seen"));
        outcome.targets = targets.collect();
        Ok(outcome)
    }
}

#[derive(Deserialize)]
#[serde(remote = "Status", rename_all = "lowercase")]
enum StatusName {
    Pass,
    Warn,
    Fail,
}

fn pass() -> Status {
    Status::Pass
}

aviary_guest::export!(FailsOnSettings);
