//! Connects to targets, with TLS or a conversation if wanted, and judges how that went.

use std::time::{Duration, SystemTime};

use aviary_guest::{Check, Outcome};

pub use judge::judge;
pub use settings::Settings;

mod conversation;
mod heard;
pub mod judge;
pub mod settings;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let targets = self.targets.iter().map(|target| {
            let seen = conversation::hold(self, target);
            judge(&self.expect, target, &seen, now)
        });
        Ok(Outcome::from_targets(targets.collect()))
    }
}

aviary_guest::export!(Settings);
