//! Panics in each poll.

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
struct Traps {}

impl Check for Traps {
    fn poll(&mut self) -> Result<Outcome, String> {
        panic!("the guest panics in poll")
    }

    fn sweep() -> Result<(), String> {
        log::info!("sweep");
        Ok(())
    }
}

aviary_guest::export!(Traps);
