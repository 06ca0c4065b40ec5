//! Settings for compiling modules.

use crate::value::Size;
use std::{path::PathBuf, time::Duration};

/// How modules are compiled: by which program, within what, and where the result is kept.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// The `aviary` program, whose hidden command compiles.
    pub program: PathBuf,
    /// What compiling one module may use up.
    pub allowance: Allowance,
    /// A directory that keeps machine code for the next start; without it, none is kept.
    pub cache: Option<PathBuf>,
}

/// What one module may use up while it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// The most address space of the compiling process.
    pub memory: Size,
    /// The most processor time of the compiling process, in whole seconds.
    pub cpu: Duration,
    /// The most time by the clock that compiling may take.
    pub wall: Duration,
}

impl Default for CompilerConfig {
    /// Compiles with this very program, even if its file has been replaced since, and without a cache.
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), allowance: Allowance::default(), cache: None }
    }
}

impl Default for Allowance {
    /// The allowance that is enough for any module up to the default `--max-module-size`.
    fn default() -> Self {
        Self { memory: Size::mebibytes(512), cpu: Duration::from_secs(10), wall: Duration::from_secs(30) }
    }
}
