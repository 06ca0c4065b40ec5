//! Panics at the start.

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
struct TrapsInInit {}

impl Check for TrapsInInit {
    fn init(&mut self) -> Result<(), String> {
        panic!("the guest panics in init")
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("never reached"))
    }

    fn sweep() -> Result<(), String> {
        log::info!("sweep");
        Ok(())
    }
}

aviary_guest::export!(TrapsInInit);
