//! Reads the secret that its settings name, and tells it: only for tests.

use aviary_guest::{Check, Outcome, secrets};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadsSecret {
    name: String,
}

impl Check for ReadsSecret {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(match secrets::read(&self.name) {
            Ok(bytes) => Outcome::pass(format!("{:?}", String::from_utf8_lossy(&bytes))),
            Err(error) => Outcome::fail(format!("{error} ({error:?})")),
        })
    }
}

aviary_guest::export!(ReadsSecret);
