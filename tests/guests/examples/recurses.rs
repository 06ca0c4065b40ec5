//! Calls itself until the stack is gone.

use std::hint::black_box;

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct Recurses {}

impl Check for Recurses {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass(format!("reached the bottom: {}", depth(0))))
    }
}

fn depth(above: u64) -> u64 {
    if black_box(above) == u64::MAX { above } else { depth(above + 1) + black_box(1) }
}

aviary_guest::export!(Recurses);
