//! `cargo xtask run`: the demo.

use crate::steps::{build_checks, build_daemon, target};
use anyhow::{Context, Result};
use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

const DEMO: &str = "deploy/demo";
const ADDRESS: &str = "127.0.0.1:10002";
/// The file that `deploy/demo/trouble.yaml` names.
const TROUBLE: &str = "/tmp/aviary-demo-trouble.txt";

/// Builds everything and becomes the daemon. Further arguments are the daemon's.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    build_checks()?;
    let daemon = build_daemon()?;
    for module in fs::read_dir(target().join("checks"))? {
        let module = module?;
        fs::copy(module.path(), Path::new(DEMO).join(module.file_name()))?;
    }
    eprintln!(
        "\n\x1b[1mAviary runs the checks in {DEMO}\x1b[0m
  everything    curl -i http://{ADDRESS}/health
  one check     curl -s http://{ADDRESS}/api/v1/checks/demo/web
  metrics       curl -s http://{ADDRESS}/metrics
  what happens  curl -N http://{ADDRESS}/api/v1/events
  a failure     echo 'the disk is on fire' > {TROUBLE}, and rm it again
  your own      put a .wasm, or a manifest and its .wasm, into {DEMO}
Ctrl-C lets every check clean up and ends it.\n"
    );
    let arguments: Vec<_> = arguments.iter().filter(|argument| *argument != "--").collect();
    let mut command = Command::new(&daemon);
    command.args(["run", "--checks", DEMO]).args(&arguments);
    if !arguments.iter().any(|argument| argument.starts_with("--listen")) {
        command.args(["--listen", ADDRESS]);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", daemon.display()))
}
