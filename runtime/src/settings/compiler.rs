//! How modules are compiled.

use crate::value::Size;
use std::{path::PathBuf, time::Duration};

/// How modules are compiled.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// The `aviary` program, whose hidden command compiles.
    pub program: PathBuf,
    /// What one module may use up.
    pub allowance: Allowance,
    /// A directory to keep machine code in for the next start.
    pub cache: Option<PathBuf>,
}

/// What one module may use up while it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Address space of the compiling process.
    pub memory: Size,
    /// Its processor time, in whole seconds.
    pub cpu: Duration,
    /// How long it may take by the clock.
    pub wall: Duration,
}

impl Default for CompilerConfig {
    /// This very program, even if its file has been replaced since; no cache.
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), allowance: Allowance::default(), cache: None }
    }
}

impl Default for Allowance {
    /// Enough for all that comes in at the default `--max-module-size`.
    fn default() -> Self {
        Self { memory: Size::mebibytes(512), cpu: Duration::from_secs(10), wall: Duration::from_secs(30) }
    }
}
