//! Logs one line in each call, always in the same words: what is measured is the daemon, not the guest.

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
struct Logs {}

impl Check for Logs {
    fn init(&mut self) -> Result<(), String> {
        log::info!("init");
        Ok(())
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        log::info!("poll");
        Ok(Outcome::pass("all is well"))
    }

    fn cleanup(&mut self) -> Result<(), String> {
        log::info!("cleanup");
        Ok(())
    }
}

aviary_guest::export!(Logs);
