//! Fails with the text of a secret, while there is one: trouble on demand, for the demo.
//!
//! A real check would never show what it reads from a secret.

use aviary_guest::secrets::{self, Error};
use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {}

impl Check for Trouble {
    fn poll(&mut self) -> Result<Outcome, String> {
        match secrets::read_text("trouble") {
            Ok(trouble) if !trouble.is_empty() => Ok(Outcome::fail(trouble)),
            Ok(_) | Err(Error::Unavailable(_)) => Ok(Outcome::pass("no trouble")),
            Err(error) => Err(error.into()),
        }
    }
}

aviary_guest::export!(Trouble);
