//! Refuses to start, with the message of its settings.

use aviary_guest::{Check, Outcome, log};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailsInit {
    message: String,
}

impl Check for FailsInit {
    fn init(&mut self) -> Result<(), String> {
        Err(self.message.clone())
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("polled after a failed init"))
    }

    fn cleanup(&mut self) -> Result<(), String> {
        log::info!("cleanup");
        Ok(())
    }
}

aviary_guest::export!(FailsInit);
