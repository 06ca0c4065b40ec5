//! Answers with a message of 1 MB and 100,000 targets with long labels.

use aviary_guest::{Check, Outcome, Target};

#[derive(serde::Deserialize)]
struct HugeMessage {}

impl Check for HugeMessage {
    fn poll(&mut self) -> Result<Outcome, String> {
        let label = "v".repeat(100);
        let target = |number| Target::pass(format!("target-{number}"), "seen").label("key", &label);
        let mut outcome = Outcome::pass("m".repeat(1_000_000));
        outcome.targets = (0..100_000).map(target).collect();
        Ok(outcome)
    }
}

aviary_guest::export!(HugeMessage);
