//! The jail from inside: reads one module from standard input, and writes machine code to standard output.

use super::{super::engine, confine};
use std::{
    io::{self, Read, Write, stderr, stdin, stdout},
    process::ExitCode,
    time::Duration,
};
use wasmtime::Engine;

/// The start of the child's first line. The names of what it could not give up follow.
pub(super) const GREETING: &str = "aviary compiles; not confined: ";
/// The exit code for a module that does not compile. The reason is on standard error.
pub(super) const REFUSED: u8 = 1;
/// The exit code if no module could be compiled here at all.
const UNFIT: u8 = 3;

/// Compiles the module on standard input, within `memory` bytes of address space and `cpu` of processor time.
///
/// It has to be called first in a process of its own, as it gives up everything that a compiler does not
/// need.
pub fn work(memory: u64, cpu: Duration) -> ExitCode {
    match prepare(memory, cpu).and_then(|engine| compile(&engine)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            // An error here cannot be told to anybody else.
            let _ = stderr().write_all(why.as_bytes());
            ExitCode::from(code)
        }
    }
}

/// Gives up everything that is not needed, and tells the parent what could not be given up.
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
