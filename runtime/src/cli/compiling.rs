//! The flags about compiling modules, which the daemon and the commands for authors share.

use super::parse_duration;
use crate::{
    sandbox,
    settings::{Allowance, CompilerConfig},
    value::Size,
};
use clap::Args;
use std::{env, path::PathBuf, process::ExitCode, time::Duration};

/// Limits for the process that compiles a module, and where the code is kept.
#[derive(Args, Clone, Debug)]
pub(super) struct Compiling {
    /// How much memory compiling one module may take.
    #[arg(long, value_name = "SIZE", env = "AVIARY_COMPILE_MEMORY", default_value_t = Allowance::default().memory)]
    pub compile_memory: Size,
    /// How much processor time compiling one module may take, in whole seconds.
    #[arg(long, value_name = "DURATION", env = "AVIARY_COMPILE_CPU", default_value = "10s", value_parser = parse_seconds)]
    pub compile_cpu: Duration,
    /// How long compiling one module may take by the clock.
    #[arg(long, value_name = "DURATION", env = "AVIARY_COMPILE_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub compile_timeout: Duration,
    /// Where to keep compiled modules for the next start; without it, the user's cache directory.
    #[arg(long, value_name = "DIR", env = "AVIARY_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// Compile the module on standard input to machine code on standard output.
#[derive(Args, Debug)]
pub(super) struct CompileModule {
    /// The most address space, in bytes.
    #[arg(long)]
    memory: u64,
    /// The most processor time, in seconds.
    #[arg(long)]
    cpu: u64,
}

impl Compiling {
    /// The settings for compiling modules with this very program.
    pub(super) fn config(&self) -> CompilerConfig {
        let allowance =
            Allowance { memory: self.compile_memory, cpu: self.compile_cpu, wall: self.compile_timeout };
        let cache = self.cache_dir.clone().or_else(user_cache);
        CompilerConfig { allowance, cache, ..CompilerConfig::default() }
    }
}

impl CompileModule {
    pub(super) fn execute(&self) -> ExitCode {
        sandbox::work(self.memory, Duration::from_secs(self.cpu))
    }
}

/// The user's directory for files that can be made again. It is never a relative path.
fn user_cache() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("aviary"))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    let is_whole = duration.subsec_nanos() == 0 && !duration.is_zero();
    if is_whole { Ok(duration) } else { Err("expected whole seconds such as `10s`".to_owned()) }
}
