//! Ends its process, though it has none.

use std::process;

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct Exits {}

impl Check for Exits {
    fn poll(&mut self) -> Result<Outcome, String> {
        process::exit(3)
    }
}

aviary_guest::export!(Exits);
