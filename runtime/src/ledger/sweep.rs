//! The sweep of one check: it deletes what its ended rounds left behind.

use super::{
    ObjectLocation,
    book::ObjectLocations,
    mark,
    objects::{Metadata, Objects},
};
use crate::{
    cluster::{Cluster, Kind, asked_pause, code, in_words, is_too_large, within},
    value::Key,
};
use futures_util::{StreamExt, stream};
use kube::{
    api::{DeleteParams, ListParams, Preconditions},
    error::DiscoveryError,
};
use std::time::Duration;

/// How many objects are listed at once; fewer where they are large.
const PAGE: u32 = 100;
/// What is added to an error when the daemon may not see namespaces.
const HELP: &str = "; it cannot be seen whether its namespace is gone: grant the daemon get on namespaces \
    (deploy/components/namespaces)";
/// The most deletions of one sweep at the same time.
const CONCURRENT_DELETIONS: usize = 8;

/// The result of a sweep of all places of a check.
#[derive(Default)]
pub(super) struct Swept {
    /// How many objects are still there, including those that are being deleted.
    pub(super) left: usize,
    /// The first thing that went wrong, and where.
    pub(super) trouble: Option<String>,
    /// The longest pause that the API server asked for.
    pub(super) asked_pause: Duration,
}

/// What the daemon sees of the namespace of a place where access is refused.
enum Namespace {
    There,
    /// The namespace is gone, and its objects with it. There may be another one of that name now.
    Gone,
    /// The daemon may not see namespaces.
    Hidden,
}

/// The result of a sweep of one place, with the first thing that went wrong.
#[derive(Default)]
struct Found {
    /// How many objects are still there, including those that are being deleted.
    left: usize,
    trouble: Option<kube::Error>,
}

/// Deletes what ended rounds of a check left behind at these places.
pub(super) async fn sweep(
    cluster: &Cluster,
    daemon: &str,
    key: &Key,
    places: &ObjectLocations,
    is_over: impl Fn(&str) -> bool,
) -> Swept {
    let selector = mark::selector(daemon, key);
    let mut swept = Swept::default();
    for (place, uid) in places {
        let mut found = Found::default();
        let ended = found.sweep(cluster, place, &selector, &is_over).await;
        let mut help = "";
        if let Err(error) = &ended {
            match namespace(cluster, place, uid.as_deref(), error).await {
                Namespace::Gone => continue,
                Namespace::There => {}
                Namespace::Hidden => help = HELP,
            }
        }
        swept.left += found.left;
        let Some(error) = found.trouble.or(ended.err()) else { continue };
        swept.asked_pause = swept.asked_pause.max(asked_pause(&error));
        swept.trouble.get_or_insert_with(|| format!("{place}: {}{help}", in_words(&error)));
    }
    swept
}

/// Looks, as the daemon, for the namespace of a place where access is refused: the rights of an account go
/// with it.
async fn namespace(
    cluster: &Cluster,
    place: &ObjectLocation,
    uid: Option<&str>,
    refusal: &kube::Error,
) -> Namespace {
    let asked = place.namespace.as_deref().filter(|name| *name != cluster.namespace());
    let Some(name) = asked.filter(|_| matches!(code(refusal), Some(403 | 404))) else {
        return Namespace::There;
    };
    match within(cluster.uid_of(name)).await {
        Ok(None) => Namespace::Gone,
        Ok(found) if uid.is_some() && found.as_deref() != uid => Namespace::Gone,
        Err(error) if code(&error) == Some(403) => Namespace::Hidden,
        Ok(_) | Err(_) => Namespace::There,
    }
}

impl Found {
    /// Deletes the objects of ended rounds at a place. It skips an object that cannot be deleted, and ends
    /// where they cannot be listed.
    async fn sweep(
        &mut self,
        cluster: &Cluster,
        place: &ObjectLocation,
        selector: &str,
        is_over: &impl Fn(&str) -> bool,
    ) -> Result<(), kube::Error> {
        let Some(kind) = kind(cluster, place).await? else { return Ok(()) };
        let objects = Objects::at(place, &kind, cluster)?;
        let mut at_once = PAGE;
        let mut listed = ListParams::default().labels(selector);
        loop {
            listed.limit = Some(at_once);
            let page = match objects.list(&listed).await {
                Err(error) if is_too_large(&error) && at_once > 1 => {
                    at_once /= 2;
                    continue;
                }
                page => page?,
            };
            listed.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
            let over: Vec<_> =
                page.objects().filter(|object| is_over(mark::round(object.labels.as_ref()))).collect();
            self.left += over.len();
            let mut deletions = stream::iter(over)
                .map(|object| delete(&objects, object))
                .buffer_unordered(CONCURRENT_DELETIONS);
            while let Some(deleted) = deletions.next().await {
                self.trouble = self.trouble.take().or(deleted.err());
            }
            if listed.continue_token.is_none() {
                return Ok(());
            }
        }
    }
}

/// The kind of the objects at a place, in whatever version there is of it. None if it is gone, and its
/// objects with it.
async fn kind(cluster: &Cluster, place: &ObjectLocation) -> Result<Option<Kind>, kube::Error> {
    match within(cluster.kind(&place.api_version, &place.kind)).await {
        Err(error) if is_unknown_kind(&error) => {
            within(cluster.any_version(&place.api_version, &place.kind)).await
        }
        found => found.map(Some),
    }
}

/// Asks for the deletion of exactly this object, unless it is being deleted already.
async fn delete(objects: &Objects, object: Metadata) -> Result<(), kube::Error> {
    if object.deletion_timestamp.is_some() {
        return Ok(());
    }
    let preconditions = Preconditions { uid: object.uid, resource_version: None };
    match objects.delete(&object.name, &DeleteParams::background().preconditions(preconditions)).await {
        // The object is gone, or another one has its name.
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        // The deletion was accepted, and its answer is larger than need be read.
        Err(error) if is_too_large(&error) => Ok(()),
        deleted => deleted,
    }
}

fn is_unknown_kind(error: &kube::Error) -> bool {
    match error {
        kube::Error::Discovery(error) => {
            matches!(error, DiscoveryError::MissingKind(_) | DiscoveryError::MissingApiGroup(_))
        }
        error => code(error) == Some(404),
    }
}
