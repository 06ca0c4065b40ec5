//! Answers each poll with an error.

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
struct ReturnsError {}

impl Check for ReturnsError {
    fn poll(&mut self) -> Result<Outcome, String> {
        Err("the guest gives up".into())
    }
}

aviary_guest::export!(ReturnsError);
