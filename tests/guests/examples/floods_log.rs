//! Writes a million lines to the log.

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
struct FloodsLog {}

impl Check for FloodsLog {
    fn poll(&mut self) -> Result<Outcome, String> {
        for line in 0..1_000_000 {
            log::info!("line {line} of a flood");
        }
        Ok(Outcome::pass("a million lines"))
    }
}

aviary_guest::export!(FloodsLog);
