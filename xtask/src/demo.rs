//! `cargo xtask run`: the demo.

use crate::steps::{build_checks, build_demo, target};
use anyhow::{Context, Result};
use std::{fs, net::TcpListener, os::unix::process::CommandExt, path::Path, process::Command};

const DEMO: &str = "deploy/demo";
const ADDRESS: &str = "127.0.0.1:10002";
/// The file that `deploy/demo/trouble.yaml` names.
const TROUBLE: &str = "/tmp/aviary-demo-trouble.txt";

/// Builds everything and becomes the daemon. `arguments` are passed on to it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<_> =
        arguments.iter().map(String::as_str).filter(|argument| *argument != "--").collect();
    let address = address(&arguments);
    // Checked before the build. The listener is closed again at once.
    TcpListener::bind(&address).with_context(|| {
        format!("cannot listen on {address}; `cargo xtask run -- --listen 127.0.0.1:10003` chooses another address")
    })?;
    build_checks()?;
    let daemon = build_demo()?;
    let manifests = manifests(Path::new(DEMO))?;
    for module in fs::read_dir(target().join("checks"))? {
        let module = module?;
        // A module that no manifest names would be a check of its own, without any grant.
        if manifests.contains(&format!("module: {}\n", module.file_name().to_string_lossy())) {
            fs::copy(module.path(), Path::new(DEMO).join(module.file_name()))?;
        }
    }
    eprintln!(
        "\n\x1b[1mAviary runs the checks in {DEMO}\x1b[0m
  everything    curl -i http://{address}/health
  one check     curl -s http://{address}/api/v1/checks/demo/web
  metrics       curl -s http://{address}/metrics
  what happens  curl -N http://{address}/api/v1/events
  a failure     echo 'the disk is on fire' > {TROUBLE}, and rm it again
  your own      put a .wasm, or a manifest and its .wasm, into {DEMO}
Ctrl-C lets every check clean up and ends it.\n"
    );
    let mut command = Command::new(&daemon);
    command.args(["run", "--checks", DEMO]).args(&arguments);
    if chosen(&arguments).is_none() {
        command.args(["--listen", ADDRESS]);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", daemon.display()))
}

/// The manifests of a directory, as one text.
fn manifests(directory: &Path) -> Result<String> {
    let mut all = String::new();
    for file in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            all += &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    Ok(all)
}

/// The address at which the daemon of the demo can be reached from this machine.
fn address(arguments: &[&str]) -> String {
    let address = chosen(arguments).unwrap_or(ADDRESS);
    if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() }
}

/// The value of `--listen` among the arguments.
fn chosen<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let after = arguments.iter().skip_while(|argument| **argument != "--listen").nth(1).copied();
    after.or_else(|| arguments.iter().find_map(|argument| argument.strip_prefix("--listen=")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::CHECKS;

    #[test]
    fn the_demo_has_a_manifest_for_each_check_that_needs_no_cluster() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DEMO);
        let manifests = manifests(&demo).expect("manifests");
        let named = |name: &&str| manifests.contains(&format!("module: {name}.wasm\n"));
        let without: Vec<_> = CHECKS.iter().chain(&["trouble"]).filter(|name| !named(name)).collect();
        assert_eq!(without, [&"rc-scheduler"]);
    }
}
