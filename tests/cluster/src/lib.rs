//! A real Kubernetes for tests: the one that is given, or one that is started here and stopped again.
//!
//! `AVIARY_TEST_KUBECONFIG` names a cluster that is there already; nothing is started or stopped then. Without it the
//! binaries in `KUBEBUILDER_ASSETS` are started, or such as were built for this and kept in the user's cache.

mod api;
mod binaries;
mod build;
mod certificates;
mod cluster;
mod control_plane;
mod credentials;
mod debian;
mod directory;
mod node;
mod ports;
mod process;
mod program;
mod status;
mod wait;

pub use cluster::{Cluster, Options, down, up};
pub use debian::Packages;
pub use status::status;
