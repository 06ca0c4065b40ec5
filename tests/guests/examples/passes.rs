//! Passes and counts its polls.

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct Passes {
    #[serde(skip)]
    polls: u32,
}

impl Check for Passes {
    fn poll(&mut self) -> Result<Outcome, String> {
        self.polls += 1;
        Ok(Outcome::pass(format!("poll {}", self.polls)))
    }
}

aviary_guest::export!(Passes);
