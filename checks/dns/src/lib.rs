//! Asks a DNS server for names and judges its answers.

use aviary_guest::{Check, Outcome};

pub use judge::judge;
pub use settings::Settings;

pub mod expect;
pub mod judge;
pub mod kind;
pub mod rule;
pub mod same;
pub mod serials;
pub mod settings;

/// The metric of each name, and its help.
const DURATION: (&str, &str) =
    ("dns_lookup_duration_seconds", "How long the latest answer about the name took.");

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let mut targets = Vec::new();
        let mut series = std::mem::take(&mut self.series);
        for (number, name) in self.names.iter().enumerate() {
            let reply = self.question(&name.name).ask();
            if let Ok(reply) = &reply {
                let took = reply.duration().as_secs_f64();
                series.gauge(number, DURATION, &name.name, &name.labels, None, took);
            }
            let serials = self.expect.same_serial.then(|| serials::compare(self, &name.name));
            targets.push(judge(&self.expect, self.kind, name, &reply, serials));
        }
        self.series = series;
        Ok(Outcome::from_targets(targets))
    }
}

aviary_guest::export!(Settings);
