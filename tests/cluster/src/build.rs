//! Builds Kubernetes once from the source package of Debian 12 and keeps it in the user's cache.

use crate::{debian::Packages, directory::lock, program::run};
use anyhow::{Context, Result};
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = "v1.20.2";
const TOOLS: [&str; 6] =
    ["dpkg-dev", "golang-go", "golang-github-modern-go-reflect2-dev", "jq", "make", "rsync"];
const COMMANDS: &str = "cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet";
/// The packages with daemons that Debian has built already.
const PACKAGES: [&str; 4] = ["containerd", "containernetworking-plugins", "etcd-server", "runc"];
/// A vendored library that crashes the API server when it is built with a current Go.
const REFLECT: &str = "github.com/modern-go/reflect2";

/// The directory with the programs, which are built first if they are not there.
pub(crate) fn cached() -> Result<PathBuf> {
    let cache = cache()?;
    let built = cache.join(format!("kubernetes-{VERSION}"));
    if built.is_dir() {
        return Ok(built);
    }
    let _lock = lock(&cache.join("build.lock"))?;
    if !built.is_dir() {
        eprintln!("building Kubernetes {VERSION} once; it takes some ten minutes and 3 GB until then");
        let building = cache.join("building");
        forget(&building)?;
        let finished = build(&building)?;
        fs::rename(&finished, &built).with_context(|| format!("cannot create {}", built.display()))?;
        forget(&building)?;
    }
    Ok(built)
}

fn cache() -> Result<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = given.or_else(home).context("set HOME or XDG_CACHE_HOME: Kubernetes is kept below it")?;
    Ok(cache.join("aviary/cluster"))
}

fn forget(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}

/// Builds the programs below a directory, and returns where they are.
fn build(directory: &Path) -> Result<PathBuf> {
    let packages = Packages::open(&directory.join("apt")).context(
        "Kubernetes cannot be built here; set AVIARY_TEST_KUBECONFIG to a throwaway cluster, or KUBEBUILDER_ASSETS to what \
         `setup-envtest use -p path` prints",
    )?;
    packages.install(&TOOLS)?;
    let source = packages.unpack_source("kubernetes", &directory.join("source"))?;
    replace_reflect(&source)?;
    compile(&source)?;
    let unpacked = directory.join("unpacked");
    packages.unpack(&PACKAGES, &unpacked)?;
    let finished = directory.join("finished");
    fs::create_dir_all(&finished)?;
    let compiled: Vec<_> = COMMANDS.split(' ').filter_map(|command| command.strip_prefix("cmd/")).collect();
    copy(&source.join("_output/bin"), &finished, &compiled)?;
    copy(&unpacked.join("usr/bin"), &finished, &["containerd", "containerd-shim-runc-v2", "ctr", "etcd"])?;
    copy(&unpacked.join("usr/sbin"), &finished, &["runc"])?;
    copy(&unpacked.join("usr/lib/cni"), &finished, &["bridge", "host-local", "loopback"])?;
    Ok(finished)
}

fn compile(source: &Path) -> Result<()> {
    let workspace = source.join(".go/src/k8s.io");
    fs::create_dir_all(&workspace)?;
    symlink("../../..", workspace.join("kubernetes"))?;
    let make = |arguments: &[&str]| {
        let mut make = Command::new("nice");
        make.args(["-n", "10", "make"]).args(arguments).current_dir(source);
        make.env("GOPATH", source.join(".go")).env("CGO_ENABLED", "0").env("KUBE_GIT_VERSION", VERSION);
        make
    };
    run("generate the sources of Kubernetes", &mut make(&["generated_files"]))?;
    let what = format!("WHAT={COMMANDS}");
    run("compile Kubernetes", &mut make(&[&what, "GOLDFLAGS=-s -w"]))
}

fn replace_reflect(source: &Path) -> Result<()> {
    let vendored = source.join("vendor").join(REFLECT);
    for file in sources_in(&vendored)? {
        fs::remove_file(file)?;
    }
    for file in sources_in(&Path::new("/usr/share/gocode/src").join(REFLECT))? {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(&file, vendored.join(name))?;
    }
    Ok(())
}

fn sources_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_source = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "go" || kind == "s");
    Ok(files.filter(is_source).collect())
}

fn copy(from: &Path, to: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let file = from.join(name);
        fs::copy(&file, to.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}
