//! Passes, and cannot clean up: never on a fresh instance, and otherwise not before the attempt that its settings name.

use aviary_guest::{Check, Outcome};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailsCleanup {
    /// The number of the attempt that works; without it, none does.
    #[serde(default)]
    attempts: Option<u32>,
}

impl Check for FailsCleanup {
    fn poll(&mut self) -> Result<Outcome, String> {
        Ok(Outcome::pass("until cleanup"))
    }

    fn cleanup(&mut self) -> Result<(), String> {
        self.attempts = self.attempts.map(|attempts| attempts.saturating_sub(1));
        if self.attempts == Some(0) { Ok(()) } else { Self::sweep() }
    }

    fn sweep() -> Result<(), String> {
        Err("something stays behind".into())
    }
}

aviary_guest::export!(FailsCleanup);
