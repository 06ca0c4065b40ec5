//! `cargo xtask cluster`: a real Kubernetes for tests.

use crate::steps::target;
use anyhow::{Result, bail};
use std::{path::PathBuf, time::Instant};
use test_cluster::{Cluster, Options};

/// Starts, stops, shows or disturbs the cluster in `target/cluster`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["up"] => up(false),
        ["up", "--node"] => up(true),
        ["down"] => test_cluster::down(&directory()),
        ["status"] => {
            print!("{}", test_cluster::status(&directory())?);
            Ok(())
        }
        ["restart-api"] => Cluster::at(&directory().join("kubeconfig"))?.restart_api(),
        _ => bail!("say what to do: cargo xtask cluster up [--node]|status|restart-api|down"),
    }
}

/// Starts the cluster, unless it is there already; with `node`, one that runs pods.
pub(crate) fn start(node: bool) -> Result<Cluster> {
    let begin = Instant::now();
    let cluster = test_cluster::up(&Options { directory: directory(), node })?;
    match cluster.was_started() {
        true => eprintln!("the cluster is up after {:.1?}", begin.elapsed()),
        false => eprintln!("the cluster is up already"),
    }
    Ok(cluster)
}

fn up(node: bool) -> Result<()> {
    let cluster = start(node)?;
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    Ok(())
}

fn directory() -> PathBuf {
    target().join("cluster")
}
