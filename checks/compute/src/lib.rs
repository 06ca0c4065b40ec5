//! Computes a Fibonacci number the slow way and judges how long that takes: is the node too busy?

use std::hint::black_box;
use std::time::Instant;

use aviary_guest::limits::Latency;
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

pub use judge::judge;

pub mod judge;

/// The largest number that can be asked for. A larger one would not end within the CPU limit of a run.
const LARGEST: u8 = 40;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The index of the Fibonacci number to compute, at most 40. Each one takes 1.6 times as long as the one
    /// before.
    #[serde(default = "thirty")]
    pub number: u8,
    /// How long the computation may take.
    #[serde(default)]
    pub latency: Latency,
}

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        match self.number {
            0..=LARGEST => Ok(()),
            number => Err(format!("settings.number: {number} would take too long: use at most {LARGEST}")),
        }
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let start = Instant::now();
        let result = fibonacci(black_box(self.number));
        Ok(judge(&self.latency, self.number, result, start.elapsed()))
    }
}

/// The Fibonacci number of this index, computed in exponential time on purpose.
fn fibonacci(number: u8) -> u64 {
    match number {
        0 | 1 => number.into(),
        _ => fibonacci(black_box(number - 1)) + fibonacci(black_box(number - 2)),
    }
}

fn thirty() -> u8 {
    30
}

aviary_guest::export!(Settings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_right() {
        let numbers: Vec<_> = (0..10).map(fibonacci).collect();
        assert_eq!(numbers, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]);
    }

    #[test]
    fn a_number_that_takes_too_long_is_refused() {
        let mut settings = Settings { number: 41, latency: Latency::default() };
        let error = settings.init().expect_err("too large");
        assert!(error.starts_with("settings.number: 41"), "{error}");
        settings.number = 40;
        assert_eq!(settings.init(), Ok(()));
    }
}
