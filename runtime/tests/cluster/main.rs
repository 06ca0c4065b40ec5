//! The daemon's rooms over a real Kubernetes, which `AVIARY_TEST_KUBECONFIG` names.

mod clashes;
mod configmaps;
mod given;
mod outages;
mod rights;
mod support;

// Only some guests are needed here.
macro_rules! guest {
    (PASSES $path:literal) => {
        const PASSES: &str = $path;
    };
    (RETURNS_ERROR $path:literal) => {
        const RETURNS_ERROR: &str = $path;
    };
    (TRAPS $path:literal) => {
        const TRAPS: &str = $path;
    };
    ($name:ident $path:literal) => {};
}
test_guests::for_each!(guest);

/// Runs a test over the cluster, or tells that it is skipped; on CI a missing cluster is a failure.
macro_rules! over_cluster {
    ($cluster:ident) => {
        let Some($cluster) = $crate::given::Given::find().await else { return };
    };
}
use over_cluster;
