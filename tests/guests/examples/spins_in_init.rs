//! Never ends to start.

use std::hint::black_box;

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct SpinsInInit {}

impl Check for SpinsInInit {
    fn init(&mut self) -> Result<(), String> {
        while black_box(true) {}
        Ok(())
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("never reached"))
    }
}

aviary_guest::export!(SpinsInInit);
