//! Asks a DNS server for names and judges its answers.

use aviary_guest::{Check, Outcome, log};

pub use judge::judge;
pub use settings::Settings;

pub mod expect;
pub mod judge;
pub mod kind;
pub mod rule;
pub mod same;
pub mod serials;
pub mod series;
pub mod settings;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let mut targets = Vec::new();
        let mut without_series = None;
        for name in &self.names {
            let reply = self.question(&name.name).ask();
            if let Ok(reply) = &reply {
                without_series = without_series.or(series::record(name, reply.duration()).err());
            }
            let serials = self.expect.same_serial.then(|| serials::compare(self, &name.name));
            targets.push(judge(&self.expect, self.kind, name, &reply, serials));
        }
        if let Some(reason) = without_series.filter(|_| !self.logged) {
            log::warn!("{reason}; this is logged once in each round");
            self.logged = true;
        }
        Ok(Outcome::from_targets(targets))
    }
}

aviary_guest::export!(Settings);
