//! The jail from outside: starts the child, feeds it, reads what it makes, and ends it.

use super::{
    trusted::Code,
    worker::{GREETING, REFUSED},
};
use crate::settings::Allowance;
use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Once,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

/// The hidden command of the program that compiles a module.
pub const COMMAND: &str = "compile-module";
const LONGEST_GREETING: usize = 1_024;
/// The most bytes of what a child says about a failure.
const LONGEST_COMPLAINT: u64 = 2 * 1024;
/// The most bytes of machine code of an empty module. More are allowed for each byte of a module.
/// Code is some four times as large as its module, and has a fixed part. The daemon holds it twice for a
/// moment, so this is what a small module can do to its memory.
const CODE_BASE: u64 = 7 << 20;
const CODE_PER_BYTE: u64 = 8;

// The numbers of signals on Linux, which are the same on all machines.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// Compiles one module at a time, in a process that can do nothing else.
pub(super) struct Jail {
    program: PathBuf,
    allowance: Allowance,
    running: Mutex<()>,
}

/// Why a module was not compiled.
#[derive(Debug)]
pub(super) enum Broken {
    /// The module is not valid.
    Refused(String),
    /// The module needs more memory or time than it may have.
    Exceeded(String),
    /// The machine is in trouble, which may pass.
    Passing(String),
}

/// What a child leaves when it has ended.
struct Exited {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: String,
}

impl Jail {
    pub(super) fn new(program: PathBuf, allowance: Allowance) -> Self {
        Self { program, allowance, running: Mutex::default() }
    }

    pub(super) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Compiles a module once all modules before it are done.
    pub(super) async fn compile(&self, bytes: &[u8]) -> Result<Code, Broken> {
        let _running = self.running.lock().await;
        let program = self.program.display();
        let mut child = self
            .start()
            .map_err(|error| Broken::Passing(format!("is not compiled: cannot start {program}: {error}")))?;
        let most = CODE_BASE + CODE_PER_BYTE * bytes.len() as u64;
        match timeout(self.allowance.wall, converse(&mut child, bytes, most)).await {
            Ok(Ok(ended)) => self.judge(ended, most),
            Ok(Err(error)) => Err(Broken::Passing(format!("is not compiled: lost {program}: {error}"))),
            Err(_) => {
                // Killing fails only if the child has ended by itself.
                let _ = child.kill().await;
                let wall = self.allowance.wall;
                Err(Broken::Passing(format!(
                    "did not compile within {wall:?}; the machine is too busy, or --compile-timeout too short"
                )))
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(COMMAND)
            .arg(format!("--memory={}", self.allowance.memory.get()))
            .arg(format!("--cpu={}", self.allowance.cpu.as_secs()))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The child has a process group of its own, so that an interrupt of the terminal reaches only the
            // daemon, which then ends it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    fn judge(&self, mut ended: Exited, most: u64) -> Result<Code, Broken> {
        let Some(end) = greeting(&ended.output) else { return Err(self.unfit(&ended)) };
        warn_of_gaps(&ended.output[GREETING.len()..end]);
        ended.output.drain(..=end);
        let Exited { status, output, complaint } = ended;
        if output.len() as u64 > most {
            return Err(Broken::Exceeded(format!(
                "makes more than {most} bytes of machine code, which is far too much for its size"
            )));
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Code::vouched_for(output)),
            (_, Some(SIGXCPU)) => Err(Broken::Exceeded(format!(
                "takes more than {:?} of processor time to compile; --compile-cpu raises that",
                self.allowance.cpu
            ))),
            _ if is_out_of_memory(&complaint) => Err(Broken::Exceeded(format!(
                "needs more than {} of memory to compile; --compile-memory raises that",
                self.allowance.memory
            ))),
            (Some(code), _) if code == i32::from(REFUSED) => {
                Err(Broken::Refused(format!("does not compile: {complaint}")))
            }
            (_, Some(SIGKILL)) => Err(Broken::Passing(
                "is not compiled: its compiler was killed; perhaps the machine or the container is out of memory"
                    .to_owned(),
            )),
            (Some(_), _) => Err(Broken::Refused(format!(
                "made the compiler panic; please report it with the module: {complaint}"
            ))),
            (None, signal) => {
                let how = if signal == Some(SIGABRT) { "abort" } else { "crash" };
                Err(Broken::Refused(format!(
                    "made the compiler {how}; please report it with the module: {complaint}"
                )))
            }
        }
    }

    fn unfit(&self, ended: &Exited) -> Broken {
        let (program, complaint) = (self.program.display(), &ended.complaint);
        let what = match complaint.as_str() {
            "" => format!("{program} does not behave as a compiler ({})", ended.status),
            _ => format!("{program} cannot compile here: {complaint}"),
        };
        Broken::Passing(format!("is not compiled: {what}"))
    }
}

/// Writes the module and reads the code until the child has ended. A child that says more than it may is cut
/// off.
async fn converse(child: &mut Child, bytes: &[u8], most: u64) -> io::Result<Exited> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("it has no pipes"));
    };
    let feed = async move {
        // A child that ends early says itself why.
        let _ = stdin.write_all(bytes).await;
    };
    let output = read(stdout, most + LONGEST_GREETING as u64 + 1);
    let ((), output, complaint) = tokio::join!(feed, output, read(stderr, LONGEST_COMPLAINT));
    let status = child.wait().await?;
    let complaint = String::from_utf8_lossy(&complaint?).trim().to_owned();
    Ok(Exited { status, output: output?, complaint })
}

async fn read(pipe: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The position at which the greeting ends; none if the output does not begin with one.
fn greeting(output: &[u8]) -> Option<usize> {
    let end = output.iter().take(LONGEST_GREETING).position(|byte| *byte == b'\n')?;
    output[..end].starts_with(GREETING.as_bytes()).then_some(end)
}

/// Warns, once per process, of how the jail is weaker than it should be.
fn warn_of_gaps(gaps: &[u8]) {
    static SAID: Once = Once::new();
    if !gaps.is_empty() {
        let gaps = String::from_utf8_lossy(gaps).into_owned();
        SAID.call_once(|| tracing::warn!("modules are compiled with less confinement than is meant: {gaps}"));
    }
}

/// Whether the child ran out of memory, which Rust's allocator and wasmtime say in words only.
fn is_out_of_memory(complaint: &str) -> bool {
    ["memory allocation of", "Cannot allocate memory", "out of memory"]
        .iter()
        .any(|said| complaint.contains(said))
}

#[cfg(test)]
mod tests;
