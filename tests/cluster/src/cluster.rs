//! One cluster: the one that is given, or the one that is started in a directory.

use crate::{binaries::Binaries, control_plane, directory::Directory, node, ports, process};
use anyhow::{Context, Result, bail};
use std::{
    env,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
};

const GIVEN: &str = "AVIARY_TEST_KUBECONFIG";
/// The name of the file that is written last, so that a start that was broken off is not taken for a cluster.
const COMPLETE: &str = "complete";

/// What to start, and in which directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory for all that the cluster writes. It is removed when the cluster is stopped, so it should
    /// hold nothing else.
    pub directory: PathBuf,
    /// Whether to start a node too, so that pods run. Needs root, a C compiler and `ip`.
    pub node: bool,
}

/// A cluster that answers. It goes on when this value is dropped; only [`Cluster::down`] and [`down`] end it.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    /// The directory of the cluster; none if the cluster is not ours.
    directory: Option<Directory>,
    started: bool,
}

impl Cluster {
    /// Finds the cluster that this kubeconfig belongs to. It can be stopped and restarted if [`up`] wrote the
    /// kubeconfig.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn at(kubeconfig: &Path) -> Result<Self> {
        if !kubeconfig.is_file() {
            bail!("there is no kubeconfig at {}", kubeconfig.display());
        }
        let parent = kubeconfig.parent().map(Directory::at).transpose()?;
        let directory = parent.filter(|parent| parent.processes().is_dir());
        Ok(Self { kubeconfig: kubeconfig.to_owned(), directory, started: false })
    }

    /// The path of an administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether the call of [`up`] that gave this value started the cluster; false if it was there already.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.started
    }

    /// Kills the API server; etcd and its data stay.
    ///
    /// # Errors
    /// When the cluster is not ours, or the process does not end within 10 s.
    pub fn stop_api(&self) -> Result<()> {
        control_plane::stop_api(self.ours()?)
    }

    /// Starts the API server on the same port if it is not running, and waits until it is ready.
    ///
    /// # Errors
    /// When the cluster is not ours, or the API server is not ready within 2 minutes.
    pub fn start_api(&self) -> Result<()> {
        control_plane::start_api(self.ours()?)
    }

    /// Kills the API server and starts it again.
    ///
    /// # Errors
    /// Those of [`Cluster::stop_api`] and [`Cluster::start_api`].
    pub fn restart_api(&self) -> Result<()> {
        self.stop_api()?;
        self.start_api()
    }

    /// Makes an image known to the node: an archive as `docker save` writes it.
    ///
    /// # Errors
    /// When the cluster is not ours or has no node, or containerd refuses the archive.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        node::load(self.ours()?, &Binaries::find()?, archive)
    }

    /// Stops the cluster if the call of [`up`] that gave this value started it, else does nothing.
    ///
    /// # Errors
    /// Those of [`down`].
    pub fn down(self) -> Result<()> {
        match self.directory {
            Some(directory) if self.started => stop(&directory),
            _ => Ok(()),
        }
    }

    fn ours(&self) -> Result<&Directory> {
        let theirs = || format!("{} is of a cluster that was not started here", self.kubeconfig.display());
        self.directory.as_ref().with_context(theirs)
    }
}

/// Finds or starts a cluster: that of `AVIARY_TEST_KUBECONFIG`, or the one that runs in the directory, or a
/// new one.
///
/// It returns when the API server is ready and the service account `default/default` exists; with a node,
/// when that takes pods. Tests are given the path of [`Cluster::kubeconfig`], from which [`Cluster::at`]
/// finds the cluster again.
///
/// # Errors
/// When there are no programs to start and none can be built, or one of them fails. The error shows the end
/// of its log.
pub fn up(options: &Options) -> Result<Cluster> {
    if let Some(kubeconfig) = given() {
        return Cluster::at(&kubeconfig).with_context(|| format!("{GIVEN} names no cluster"));
    }
    let directory = Directory::at(&options.directory)?;
    let _lock = directory.lock()?;
    if is_up(&directory)? {
        if options.node && process::find(&directory, "kubelet").is_err() {
            bail!("the cluster is up and has no node; stop it first with `cargo xtask cluster down`");
        }
        return Cluster::at(&directory.kubeconfig());
    }
    if directory.exists() {
        eprintln!("removing what is left of an earlier cluster");
        clear(&directory)?;
    }
    let binaries = Binaries::find()?;
    directory.create()?;
    if let Err(error) = start(&directory, &binaries, options.node) {
        // The logs are kept, as the error names them.
        end(&directory).with_context(|| format!("cannot clean up after this failure: {error:#}"))?;
        return Err(error);
    }
    directory.write(COMPLETE, "")?;
    Ok(Cluster { started: true, ..Cluster::at(&directory.kubeconfig())? })
}

/// Stops what [`up`] started in this directory, whoever called it, and removes the directory. A given cluster
/// is left alone.
///
/// # Errors
/// When a process does not end, or something cannot be removed. Calling it again goes on with what is left.
pub fn down(directory: &Path) -> Result<()> {
    if given().is_some() {
        eprintln!("the cluster of {GIVEN} is left alone");
        return Ok(());
    }
    stop(&Directory::at(directory)?)
}

/// The kubeconfig of the cluster in the environment, which is not ours; none if it names none.
pub(crate) fn given() -> Option<PathBuf> {
    env::var_os(GIVEN).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Whether all processes that were started run and the API server is ready.
fn is_up(directory: &Directory) -> Result<bool> {
    let processes = process::recorded(directory)?;
    let alive = directory.path(COMPLETE).exists() && processes.iter().all(process::Process::is_alive);
    Ok(alive && crate::api::Api::of(directory).is_ok_and(|api| api.get("/readyz").is_ok()))
}

fn start(directory: &Directory, binaries: &Binaries, with_node: bool) -> Result<()> {
    if with_node {
        return node::start(directory, binaries);
    }
    let [port] = ports::free()?;
    control_plane::start(directory, binaries, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn stop(directory: &Directory) -> Result<()> {
    let _lock = directory.lock()?;
    clear(directory)
}

fn clear(directory: &Directory) -> Result<()> {
    end(directory)?;
    directory.remove()
}

fn end(directory: &Directory) -> Result<()> {
    process::recorded(directory)?.iter().try_for_each(process::Process::stop)?;
    node::undo(directory)
}
