//! Never ends to judge.

use std::hint::black_box;

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
struct SpinsInPoll {}

impl Check for SpinsInPoll {
    fn poll(&mut self) -> Result<Outcome, String> {
        while black_box(true) {}
        Ok(Outcome::pass("never reached"))
    }

    fn sweep() -> Result<(), String> {
        log::info!("sweep");
        Ok(())
    }
}

aviary_guest::export!(SpinsInPoll);
