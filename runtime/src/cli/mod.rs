//! The command line.

mod bundle;
mod check;
mod compiling;
mod inspect;
mod module;
mod print;
mod sign;
mod validate;

pub use compiling::Compiling;

use crate::{
    api::Rate,
    daemon,
    grant::CLUSTER_DOMAIN,
    sandbox,
    source::configmap::Namespaces,
    spec::{Key, Size, TimeSpan},
    telemetry::{self, LogFormat},
    text::is_subdomain,
};
use clap::{
    Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{FalseyValueParser, Resettable},
};
use print::printed;
use std::{
    env,
    io::{Write, stderr},
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// The largest module that a daemon accepts by default.
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
    Run(Box<Run>),
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

/// The settings of the daemon.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// A directory of manifests and modules; may be given several times.
    #[arg(long, value_name = "DIR", env = "AVIARY_CHECKS", value_delimiter = ',')]
    pub checks: Vec<PathBuf>,
    /// How to reach a Kubernetes cluster whose ConfigMaps hold checks; in a pod, its service account tells.
    #[arg(long, value_name = "FILE", env = "AVIARY_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespaces to look for ConfigMaps in, separated by commas, or `*` for all; without it, the daemon's own.
    #[arg(long, value_name = "NAMESPACES", env = "AVIARY_NAMESPACES", value_parser = parse_namespaces)]
    pub namespaces: Option<Namespaces>,
    /// Labels of the ConfigMaps that hold checks.
    #[arg(
        long,
        value_name = "LABELS",
        env = "AVIARY_CONFIGMAP_SELECTOR",
        default_value = "aviary.dev/checks=true"
    )]
    pub configmap_selector: String,
    /// Where to answer HTTP requests; `:10002` is every address of this machine.
    #[arg(long, value_name = "ADDRESS", env = "AVIARY_LISTEN", default_value = ":10002", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// A file of bearer tokens, one in each line: only who has one, or a line of --basic-file, is answered.
    ///
    /// It is read again when it changes. /livez and /readyz are open to everybody.
    #[arg(long, value_name = "FILE", env = "AVIARY_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// A file of `user:password` lines: only who has one, or a token of --token-file, is answered.
    #[arg(long, value_name = "FILE", env = "AVIARY_BASIC_FILE")]
    pub basic_file: Option<PathBuf>,
    /// How many requests one address may make in a second, minute, hour or day (S, M, H, D), as in `3600-H`;
    /// without it, any number.
    #[arg(long, value_name = "COUNT-UNIT", env = "AVIARY_RATE_LIMIT")]
    pub rate_limit: Option<Rate>,
    /// A file of PEM certificates to answer with over TLS, the daemon's own first; read again when it changes.
    #[arg(long, value_name = "FILE", env = "AVIARY_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, as PEM.
    #[arg(long, value_name = "FILE", env = "AVIARY_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Namespace of checks whose manifest names none.
    #[arg(long, env = "AVIARY_NAMESPACE", default_value = "default", value_parser = parse_namespace)]
    pub namespace: String,
    /// How many checks can be live at once; each takes 4 GiB of address space, though not of memory.
    #[arg(long, value_name = "COUNT", env = "AVIARY_MAX_CHECKS", default_value = "10000",
          value_parser = clap::value_parser!(u32).range(1..=16_000))]
    pub max_checks: u32,
    /// The largest module, once decompressed.
    #[arg(long, value_name = "SIZE", env = "AVIARY_MAX_MODULE_SIZE", default_value_t = MODULE_SIZE)]
    pub max_module_size: Size,
    /// Whose signatures count.
    #[command(flatten)]
    pub signatures: module::Signatures,
    /// What compiling a module may take, and where the code is kept.
    #[command(flatten)]
    pub compiling: Compiling,
    /// A file of PEM certificates to trust beside the system's.
    #[arg(long, value_name = "FILE", env = "AVIARY_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// A file that says whom to trust, and the most that the checks of other namespaces may reach.
    #[arg(long, value_name = "FILE", env = "AVIARY_POLICY")]
    pub policy: Option<PathBuf>,
    /// The domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN", env = "AVIARY_CLUSTER_DOMAIN", default_value = CLUSTER_DOMAIN, value_parser = parse_domain)]
    pub cluster_domain: String,
    /// How long open HTTP requests may take after SIGTERM.
    #[arg(long, value_name = "DURATION", env = "AVIARY_CLOSE_AFTER", default_value = "5s", value_parser = parse_duration)]
    pub close_after: Duration,
    /// How long running checks and their cleanups may take after SIGTERM.
    #[arg(long, value_name = "DURATION", env = "AVIARY_KILL_AFTER", default_value = "25s", value_parser = parse_duration)]
    pub kill_after: Duration,
}

impl Arguments {
    /// Reads the command line and the environment, where an empty variable means the same as none; ends the
    /// process with a message if they make no sense.
    pub fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what was asked for.
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
                Command::Run(run) => daemon::run(*run).await,
                Command::Check(check) => check.execute().await,
                Command::Inspect(inspect) => inspect.execute().await,
                Command::Validate(validate) => validate.execute().await,
                Command::Bundle(bundle) => bundle.execute().await,
                Command::Sign(sign) => sign.execute(),
                Command::CompileModule(compile) => Ok(compile.execute()),
            }
        });
        // What still blocks a thread now has had its time.
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
    // Nobody else can be told.
    let _ = writeln!(stderr(), "error: {error:#}");
    ExitCode::from(2)
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix(':') {
        Some(port) => port.parse().map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).ok(),
        None => text.parse().ok(),
    };
    address
        .ok_or_else(|| "expected an address such as `:10002`, `127.0.0.1:10002` or `[::1]:10002`".to_owned())
}

fn parse_namespace(text: &str) -> Result<String, String> {
    Key::new(text, "x").map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_suffix('.').unwrap_or(text);
    let wrong = || "expected a domain in lower case such as `cluster.local`".to_owned();
    is_subdomain(domain).then(|| domain.to_owned()).ok_or_else(wrong)
}

fn parse_namespaces(text: &str) -> Result<Namespaces, String> {
    if text == "*" {
        return Ok(Namespaces::All);
    }
    let names: Result<_, _> = text.split(',').map(|name| parse_namespace(name.trim())).collect();
    names.map(Namespaces::Only)
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
    fn a_bare_port_listens_on_every_address() {
        assert_eq!(parse_listen(":80"), Ok("[::]:80".parse().expect("an address")));
        assert_eq!(parse_listen("127.0.0.1:1"), Ok("127.0.0.1:1".parse().expect("an address")));
        assert!(parse_listen("localhost").is_err() && parse_listen(":99999").is_err());
    }

    #[test]
    fn namespaces_are_all_or_some() {
        assert_eq!(parse_namespaces("*"), Ok(Namespaces::All));
        let some = ["team-a", "team-b"].map(str::to_owned).into();
        assert_eq!(parse_namespaces("team-b, team-a"), Ok(Namespaces::Only(some)));
        assert!(parse_namespaces("team-a,*").is_err() && parse_namespaces("").is_err());
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
