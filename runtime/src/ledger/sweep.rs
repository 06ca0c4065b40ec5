//! Deletes what is left of the rounds of one check.

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

/// How many objects are listed at once, and fewer where they are large.
const PAGE: u32 = 100;
/// What would tell more.
const HELP: &str = "; it cannot be seen whether its namespace is gone: grant the daemon get on namespaces \
    (deploy/components/namespaces)";
/// Deletions of one sweep under way at the same time.
const CONCURRENT_DELETIONS: usize = 8;

/// What a sweep of all places of a check came to.
#[derive(Default)]
pub(super) struct Swept {
    /// Objects that are still there, those that are going included.
    pub(super) left: usize,
    /// What went wrong first, and where.
    pub(super) trouble: Option<String>,
    /// How long the API server asked to wait.
    pub(super) asked_pause: Duration,
}

/// What is known of the namespace of a place where nothing can be seen.
enum Namespace {
    There,
    /// Gone, and its objects with it, also where there is another one of that name now.
    Gone,
    /// The daemon may not look.
    Hidden,
}

/// What a sweep of one place found, and what went wrong first.
#[derive(Default)]
struct Found {
    /// Objects that are still there, those that are going included.
    left: usize,
    trouble: Option<kube::Error>,
}

/// Deletes what rounds that are over left behind.
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

/// Looks, as the daemon, for the namespace of a place where something is refused: the rights of an account go with it.
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
    /// Goes on to the next object where one cannot be deleted, and ends where they cannot be listed.
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

/// The kind of objects at a place, in whatever version there is of it; none if it is gone, and its objects with it.
async fn kind(cluster: &Cluster, place: &ObjectLocation) -> Result<Option<Kind>, kube::Error> {
    match within(cluster.kind(&place.api_version, &place.kind)).await {
        Err(error) if is_unknown_kind(&error) => {
            within(cluster.any_version(&place.api_version, &place.kind)).await
        }
        found => found.map(Some),
    }
}

/// Asks for the deletion of exactly this object, unless it is going already.
async fn delete(objects: &Objects, object: Metadata) -> Result<(), kube::Error> {
    if object.deletion_timestamp.is_some() {
        return Ok(());
    }
    let preconditions = Preconditions { uid: object.uid, resource_version: None };
    match objects.delete(&object.name, &DeleteParams::background().preconditions(preconditions)).await {
        // Gone, or another one of that name.
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        // Asked for, and larger than need be known.
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
