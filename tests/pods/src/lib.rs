//! The daemon in a pod of a real cluster, and what an operator does to it with kubectl.
//!
//! `cargo xtask test` starts the cluster, loads the image, and names both in the environment.

mod daemon;
mod kubectl;

pub use daemon::Daemon;
pub use kubectl::Kubectl;

use anyhow::{Result, bail};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How often it is checked whether something has happened.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until there is something, and returns it with how long that took.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<(T, Duration)> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok((found, begun.elapsed()));
        }
        if begun.elapsed() > patience {
            bail!("{what}: not within {patience:?}");
        }
        sleep(LOOK);
    }
}
