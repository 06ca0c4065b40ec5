//! The command line.

mod bundle;
mod check;
mod compiling;
mod inspect;
mod module;
mod print;
mod run;
mod sign;
mod validate;

use crate::{
    daemon, sandbox,
    telemetry::{self, LogFormat},
    value::{Key, Size, TimeSpan},
};
use clap::{
    Arg, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{FalseyValueParser, Resettable},
};
use compiling::Compiling;
use print::printed;
use std::{
    env,
    io::{Write, stderr},
    process::ExitCode,
    time::Duration,
};

/// The most bytes of a module that a daemon accepts by default.
const MODULE_SIZE: Size = Size::mebibytes(4);

/// Runs health checks as sandboxed WebAssembly components.
///
/// Start with `aviary check FILE` to try a check here and now, and `aviary run --checks DIR` to
/// keep running every check in a directory.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines look.
    #[arg(long, global = true, env = "AVIARY_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Log at level debug as well: each round, and what checks say at debug.
    ///
    /// `AVIARY_LOG` chooses exactly, by level and place, and wins over this: `warn`, or
    /// `info,guest=off` without what checks say, or `error,aviary::scheduler=debug`.
    #[arg(short, long, global = true, env = "AVIARY_DEBUG", value_parser = FalseyValueParser::new())]
    debug: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep running the checks of directories and ConfigMaps, and answer for them over HTTP.
    Run(Box<run::Run>),
    /// Run one full round of a check here and now: init, poll, cleanup.
    ///
    /// Exit code 0 for pass and warn, 1 for fail, 2 if it could not be judged.
    Check(check::Check),
    /// Tell what a module is and which grants it asks for.
    Inspect(inspect::Inspect),
    /// Tell whether manifests and modules would be accepted, without running them.
    Validate(validate::Validate),
    /// Print the ConfigMap that holds a directory of manifests and modules.
    ///
    /// Apply it on the server, as the client keeps at most 256 KiB:
    /// `aviary bundle DIR | kubectl apply --server-side -f -`
    Bundle(bundle::Bundle),
    /// Sign modules for daemons that ask for it, or make a key for that.
    ///
    /// The password of a secret key is asked for on the terminal, unless `AVIARY_KEY_PASSWORD` holds it.
    Sign(sign::Sign),
    /// Compile a module; for the daemon itself, which starts this in a process of its own.
    #[command(name = sandbox::COMMAND, hide = true)]
    CompileModule(compiling::CompileModule),
}

impl Arguments {
    /// Reads the command line and the environment, where an empty variable means the same as none. If they
    /// make no sense, it ends the process with a message.
    pub fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Executes the command, and returns the exit code of the process.
    pub fn execute(self) -> ExitCode {
        if let Command::CompileModule(compile) = &self.command {
            return compile.execute();
        }
        telemetry::start(self.log_format, self.debug);
        let runtime = match daemon::runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                return failed(&anyhow::Error::new(error).context("cannot start the async runtime"));
            }
        };
        let done = runtime.block_on(async {
            match self.command {
                Command::Run(run) => daemon::run(run.settings()).await,
                Command::Check(check) => check.execute().await,
                Command::Inspect(inspect) => inspect.execute().await,
                Command::Validate(validate) => validate.execute().await,
                Command::Bundle(bundle) => bundle.execute().await,
                Command::Sign(sign) => sign.execute(),
                Command::CompileModule(compile) => Ok(compile.execute()),
            }
        });
        // A thread that is still blocked now has had its time.
        runtime.shutdown_timeout(Duration::from_millis(100));
        done.and_then(|code| printed().map(|()| code)).unwrap_or_else(|error| failed(&error))
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // An error here cannot be told to anybody else.
    let _ = writeln!(stderr(), "error: {error:#}");
    ExitCode::from(2)
}

fn parse_namespace(text: &str) -> Result<String, String> {
    Key::new(text, "x").map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    text.parse::<TimeSpan>().map(TimeSpan::get).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_setting_of_the_daemon_has_an_environment_variable() {
        let command = Arguments::command();
        let run = command.find_subcommand("run").expect("the command run");
        for argument in run.get_arguments().filter(|argument| argument.get_id() != "help") {
            let variable = argument.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            assert!(variable.starts_with("AVIARY_"), "{} has none", argument.get_id());
        }
    }
}
