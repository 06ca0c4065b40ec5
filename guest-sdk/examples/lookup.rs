//! A name that has to have addresses.

use aviary_guest::dns::{self, RecordType, ResponseCode};
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    name: String,
}

impl Check for Lookup {
    fn poll(&mut self) -> Result<Outcome, String> {
        let answer = dns::query(&self.name, RecordType::A).lookup()?;
        if answer.code != ResponseCode::NoError {
            return Ok(Outcome::fail(format!("{} says {} for {}", answer.server, answer.code, self.name)));
        }
        let addresses: Vec<_> = answer.records.iter().map(|record| record.data.to_string()).collect();
        Ok(Outcome::pass_if(!addresses.is_empty(), format!("{} is {addresses:?}", self.name)))
    }
}

aviary_guest::export!(Lookup);
