//! Passes, and never ends to clean up.

use std::hint::black_box;

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct SpinsInCleanup {}

impl Check for SpinsInCleanup {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("until cleanup"))
    }

    fn sweep() -> Result<(), String> {
        while black_box(true) {}
        Ok(())
    }
}

aviary_guest::export!(SpinsInCleanup);
