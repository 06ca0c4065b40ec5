//! Uses both clocks and random numbers, which WASI offers to everyone.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aviary_guest::{Check, Outcome, Target};

/// The year 2024: no clock that works says less.
const LONG_AGO: Duration = Duration::from_secs(1_704_067_200);

#[derive(serde::Deserialize)]
struct NeedsTimeAndRandom {
    #[serde(skip)]
    last: Option<u64>,
}

impl Check for NeedsTimeAndRandom {
    fn poll(&mut self) -> Result<Outcome, String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let start = Instant::now();
        thread::sleep(Duration::from_millis(2));
        let slept = start.elapsed();
        let number = RandomState::new().hash_one(start);
        let is_new = self.last.replace(number) != Some(number);
        let judge = |name: &str, works: bool| {
            if works { Target::pass(name, "works") } else { Target::fail(name, "is broken") }
        };
        Ok(Outcome::from_targets(vec![
            judge("wall clock", now > LONG_AGO),
            judge("monotonic clock", slept >= Duration::from_millis(2)),
            judge("random numbers", is_new),
        ]))
    }
}

aviary_guest::export!(NeedsTimeAndRandom);
