//! Takes memory until it is refused some, and tells how much it got.

use aviary_guest::{Check, Outcome};

const MIB: usize = 1 << 20;

#[derive(serde::Deserialize)]
struct GrowsMemory {}

impl Check for GrowsMemory {
    fn poll(&mut self) -> Result<Outcome, String> {
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut block = Vec::new();
            if block.try_reserve_exact(MIB).is_err() {
                return Ok(Outcome::fail(format!("refused after {} MiB", held.len())));
            }
            block.resize(MIB, 1);
            held.push(block);
        }
    }
}

aviary_guest::export!(GrowsMemory);
