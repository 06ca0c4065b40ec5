//! Logs every call, and counts its polls. As the settings say, it traps in one of them, or says the same in each.

use aviary_guest::{Check, Outcome, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Counts {
    /// The number of the poll that traps.
    #[serde(default)]
    trap_at: Option<u32>,
    /// Whether nothing is formatted: what is measured then is the daemon, not the guest.
    #[serde(default)]
    steady: bool,
    #[serde(skip)]
    polls: u32,
}

impl Check for Counts {
    fn init(&mut self) -> Result<(), String> {
        log::info!("init");
        Ok(())
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        if self.steady {
            log::info!("poll");
            return Ok(Outcome::pass("all is well"));
        }
        self.polls += 1;
        log::info!("poll {}", self.polls);
        assert_ne!(Some(self.polls), self.trap_at, "the settings say so");
        Ok(Outcome::pass(format!("{} polls", self.polls)))
    }

    fn cleanup(&mut self) -> Result<(), String> {
        log::info!("cleanup");
        Ok(())
    }

    fn sweep() -> Result<(), String> {
        log::info!("sweep");
        Ok(())
    }
}

aviary_guest::export!(Counts);
