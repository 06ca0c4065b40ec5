//! Answers with a message of 100 KB and 250 targets whose names and labels are long and odd.

use aviary_guest::{Check, Outcome, Target};

#[derive(serde::Deserialize)]
struct LongMessage {}

impl Check for LongMessage {
    fn poll(&mut self) -> Result<Outcome, String> {
        let odd = "\x1b[31m\n\0ü".repeat(100);
        let target = |number: u32| Target::fail(format!("{number} {odd}"), &odd).label(&odd, &odd);
        let mut outcome = Outcome::pass("m".repeat(100_000));
        outcome.targets = (0..250).map(target).collect();
        Ok(outcome)
    }
}

aviary_guest::export!(LongMessage);
