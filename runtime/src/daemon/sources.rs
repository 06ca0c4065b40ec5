//! The sources of checks that the settings name.

use super::parts::Parts;
use crate::{
    board::Board,
    cluster::Cluster,
    grant::Ceiling,
    policy::Policy,
    settings::Namespaces,
    settings::Settings,
    source::{Change, Taken, configmap::ConfigMaps, directory::Directories},
};
use anyhow::{Result, anyhow, bail};
use futures_util::{FutureExt, future::BoxFuture};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The sources from which this daemon gets its checks.
pub(super) struct Sources {
    directories: Option<Directories>,
    config_maps: Option<ConfigMaps>,
}

impl Sources {
    /// The sources of the settings. An error if there are none, or if a directory cannot be read.
    pub(super) fn find(settings: &Settings, policy: Policy, cluster: Option<&Cluster>) -> Result<Self> {
        let directories = (!settings.checks.is_empty()).then(|| Directories {
            paths: settings.checks.clone(),
            namespace: settings.namespace.clone(),
            // Only the operator writes there.
            ceiling: Ceiling::open(),
            max_module_size: settings.max_module_size.in_memory(),
        });
        directories.as_ref().map_or(Ok(()), Directories::require_readable).map_err(|(path, error)| {
            anyhow!(
                "cannot read {}: {error}; --checks takes directories of manifests and modules",
                path.display()
            )
        })?;
        let config_maps = cluster.map(|cluster| ConfigMaps {
            client: cluster.own(),
            namespaces: settings
                .namespaces
                .clone()
                .unwrap_or_else(|| Namespaces::Only([cluster.namespace().to_owned()].into())),
            selector: settings.configmap_selector.clone(),
            policy: Arc::new(policy),
            max_module_size: settings.max_module_size.in_memory(),
        });
        if directories.is_none() && config_maps.is_none() {
            bail!(
                "there are no checks to run: name a directory of manifests and modules with --checks, or a \
                 cluster whose ConfigMaps hold them with --kubeconfig; in a pod, its service account tells of \
                 the cluster"
            );
        }
        if config_maps.is_none() && settings.namespaces.is_some() {
            bail!("--namespaces needs a cluster: name one with --kubeconfig, or run in a pod");
        }
        Ok(Self { directories, config_maps })
    }

    /// The number of sources.
    pub(super) fn count(&self) -> usize {
        usize::from(self.directories.is_some()) + usize::from(self.config_maps.is_some())
    }

    /// Starts to follow all sources until told to stop. A look that a hanging file system holds for ever is
    /// given up without loss.
    pub(super) fn watch(
        self,
        changes: mpsc::Sender<Change>,
        board: &Arc<Board>,
        stop: &CancellationToken,
        parts: &mut Parts,
    ) {
        let (taken, taken_by_directories) = watch::channel(Taken::default());
        let until_stop = |source: BoxFuture<'static, ()>| {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(source).await;
                true
            }
        };
        if let Some(directories) = self.directories {
            let paths: Vec<_> = directories.paths.iter().map(|path| path.display().to_string()).collect();
            tracing::info!(checks = paths.join(", "), "watching");
            let watching = directories.watch(changes.clone(), taken, Arc::clone(board), stop.clone());
            parts.start("the directory source", until_stop(watching.boxed()));
        }
        if let Some(config_maps) = self.config_maps {
            let (namespaces, labels) = (config_maps.namespaces.to_string(), &config_maps.selector);
            tracing::info!(namespaces, labels, "watching ConfigMaps");
            let watching = config_maps.watch(changes, taken_by_directories, Arc::clone(board), stop.clone());
            parts.start("the ConfigMap source", until_stop(watching.boxed()));
        }
    }
}
