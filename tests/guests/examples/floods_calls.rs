//! Looks names up without an end and ignores what comes of it.

use aviary_guest::dns::{self, RecordType};
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FloodsCalls {
    name: String,
    #[serde(default)]
    server: Option<String>,
}

impl Check for FloodsCalls {
    fn poll(&mut self) -> Result<Outcome, String> {
        let mut query = dns::query(&self.name, RecordType::A);
        query.server.clone_from(&self.server);
        let answered = (0..1_000_000).filter(|_| query.lookup().is_ok()).count();
        Ok(Outcome::pass(format!("{answered} of a million lookups were answered")))
    }
}

aviary_guest::export!(FloodsCalls);
