//! The inside of the jail: one module from standard input to machine code on standard output.

use super::{super::engine, confine};
use std::{
    io::{self, Read, Write, stderr, stdin, stdout},
    process::ExitCode,
    time::Duration,
};
use wasmtime::Engine;

/// How the child's first line begins; what it could not give up follows.
pub(super) const GREETING: &str = "aviary compiles; not confined: ";
/// The exit code for a module that does not compile, with the reason on standard error.
pub(super) const REFUSED: u8 = 1;
/// The exit code if nothing could be compiled here at all.
const UNFIT: u8 = 3;

/// Compiles the module on standard input within so many bytes of address space and so much processor time.
///
/// To be called first thing in a process of its own: it takes everything away that a compiler does not need.
pub fn work(memory: u64, cpu: Duration) -> ExitCode {
    match prepare(memory, cpu).and_then(|engine| compile(&engine)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            // Nobody else can be told.
            let _ = stderr().write_all(why.as_bytes());
            ExitCode::from(code)
        }
    }
}

/// Gives up every power, and tells the parent which one it could not give up.
fn prepare(memory: u64, cpu: Duration) -> Result<Engine, (u8, String)> {
    confine::limit(memory, cpu).map_err(|why| (UNFIT, why))?;
    let engine = engine::for_compiling().map_err(|error| (UNFIT, format!("{error:#}")))?;
    let gaps = confine::seal().join("; ");
    let greeting = format!("{GREETING}{}\n", gaps.replace('\n', " "));
    write(greeting.as_bytes()).map_err(|error| (UNFIT, error.to_string()))?;
    Ok(engine)
}

fn compile(engine: &Engine) -> Result<(), (u8, String)> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).map_err(|error| (UNFIT, error.to_string()))?;
    let code = engine.precompile_component(&bytes).map_err(|error| (REFUSED, format!("{error:#}")))?;
    write(&code).map_err(|error| (UNFIT, error.to_string()))
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
