//! Passes, and cannot clean up, on a fresh instance neither.

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct FailsCleanup {}

impl Check for FailsCleanup {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("until cleanup"))
    }

    fn sweep() -> Result<(), String> {
        Err("something stays behind".into())
    }
}

aviary_guest::export!(FailsCleanup);
