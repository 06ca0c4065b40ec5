//! `cargo xtask test`: everything that must hold.

use crate::{
    cluster, image,
    steps::{add_wasm_target, run, run_with, target, works},
    tools,
};
use anyhow::{Context, Result};
use std::env;
use test_cluster::Cluster;

/// The package whose tests need pods.
const PODS: &str = "test-pods";
/// The environment variable with the kubeconfig of the cluster for the tests.
const KUBECONFIG: &str = "AVIARY_TEST_KUBECONFIG";
/// The environment variable with the name of the daemon's image that the cluster has.
const IMAGE: &str = "AVIARY_TEST_IMAGE";

/// Runs everything: format, lints, documentation, all tests, and the dependencies' licences and advisories.
pub(crate) fn run_all() -> Result<()> {
    add_wasm_target()?;
    run("check the format", "cargo", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run("check the lints", "cargo", &clippy)?;
    let strict = [("RUSTDOCFLAGS", "--deny warnings".to_owned())];
    run_with("build the documentation", "cargo", &["doc", "--workspace", "--no-deps"], &strict)?;
    let cluster = start_cluster()?;
    let tested = run_tests(cluster.as_ref()).and_then(|()| run_in_pods(cluster.as_ref()));
    if let Some(cluster) = cluster {
        cluster.down()?;
    }
    tested?;
    check_dependencies()
}

/// Runs only the tests in pods.
pub(crate) fn run_pods() -> Result<()> {
    let cluster = cluster::start(true)?;
    let tested = run_in_pods(Some(&cluster));
    cluster.down()?;
    tested
}

/// Starts a real Kubernetes. Only on CI it is an error if that fails; elsewhere the tests that need it say
/// so.
fn start_cluster() -> Result<Option<Cluster>> {
    match cluster::start(true) {
        Ok(cluster) => Ok(Some(cluster)),
        Err(error) if env::var_os("CI").is_some() => Err(error).context("no cluster to test with"),
        Err(error) => {
            eprintln!("no cluster, so the tests that need one are skipped: {error:#}");
            Ok(None)
        }
    }
}

fn run_tests(cluster: Option<&Cluster>) -> Result<()> {
    let path = ("PATH", tools::path()?.to_string_lossy().into_owned());
    let kubeconfig = cluster.map(|cluster| (KUBECONFIG, kubeconfig(cluster)));
    let variables: Vec<_> = kubeconfig.into_iter().chain([path]).collect();
    let all = ["--workspace", "--exclude", PODS];
    if works("cargo", &["nextest", "--version"]) {
        run_with("run the tests", "cargo", &[&["nextest", "run"], &all[..]].concat(), &variables)?;
        // Built from the same packages, or their dependencies would be built again with other features.
        let examples = [&["test", "--doc"], &all[..]].concat();
        return run("run the examples in the documentation", "cargo", &examples);
    }
    run_with("run the tests", "cargo", &[&["test"], &all[..]].concat(), &variables)
}

/// Runs the tests in pods, and no others at the same time, as they disturb the cluster.
fn run_in_pods(cluster: Option<&Cluster>) -> Result<()> {
    let Some(cluster) = cluster else { return Ok(()) };
    let image = match env::var(IMAGE) {
        Ok(image) => image,
        Err(_) => load_image(cluster)?,
    };
    let variables = [(KUBECONFIG, kubeconfig(cluster)), (IMAGE, image)];
    run_with("run the tests in pods", "cargo", &["test", "--package", PODS, "--", "--nocapture"], &variables)
}

/// Puts the daemon of the tests, which is built already, onto the node. Returns the name of the image.
fn load_image(cluster: &Cluster) -> Result<String> {
    const NAME: &str = "localhost/aviary:test";
    // Built from the whole workspace, or its dependencies would be built again with fewer features.
    run("build the daemon for its image", "cargo", &["build", "--workspace", "--bin", "aviary"])?;
    let path = target().join("test-image.tar");
    image::write(&target().join("debug/aviary"), NAME, &path)?;
    cluster.load_image(&path)?;
    Ok(NAME.to_owned())
}

fn kubeconfig(cluster: &Cluster) -> String {
    cluster.kubeconfig().display().to_string()
}

fn check_dependencies() -> Result<()> {
    if !works("cargo", &["deny", "--version"]) {
        eprintln!(
            "cargo-deny is not installed, so licences and advisories were not checked (cargo install cargo-deny)"
        );
        return Ok(());
    }
    run(
        "check licences, duplicates and sources",
        "cargo",
        &["deny", "check", "licenses", "bans", "sources"],
    )?;
    if works("cargo", &["deny", "fetch", "db"]) {
        return run("check advisories", "cargo", &["deny", "check", "advisories"]);
    }
    eprintln!("the advisory database cannot be had from here, so advisories were not checked");
    Ok(())
}
