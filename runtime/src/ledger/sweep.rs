//! Deletes what is left of the rounds of one check.

use super::{Place, mark};
use crate::{
    cluster::{Cluster, Kind, code, in_words, within},
    spec::Key,
};
use futures_util::{StreamExt, stream};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Preconditions},
    error::DiscoveryError,
};
use std::collections::BTreeSet;

/// How many objects are listed at once.
const PAGE: u32 = 100;
/// Deletions of one sweep under way at the same time.
const CONCURRENT_DELETIONS: usize = 8;

/// What a sweep found, and what went wrong first.
#[derive(Default)]
struct Found {
    /// Objects that are still there, those that are going included.
    left: usize,
    trouble: Option<kube::Error>,
}

/// Deletes what rounds that are over left behind. Returns how many objects are still there, those
/// that are going included, and the first error.
pub(super) async fn sweep(
    cluster: &Cluster,
    daemon: &str,
    key: &Key,
    places: &BTreeSet<Place>,
    is_over: impl Fn(&str) -> bool,
) -> (usize, Option<String>) {
    let selector = mark::selector(daemon, key);
    let (mut left, mut trouble) = (0, None);
    for place in places {
        let mut found = Found::default();
        let ended = found.sweep(cluster, place, &selector, &is_over).await;
        left += found.left;
        let error = found.trouble.or(ended.err());
        trouble = trouble.or_else(|| Some(format!("{place}: {}", in_words(&error?))));
    }
    (left, trouble)
}

impl Found {
    /// Goes on to the next object where one cannot be deleted, and ends where they cannot be listed.
    async fn sweep(
        &mut self,
        cluster: &Cluster,
        place: &Place,
        selector: &str,
        is_over: &impl Fn(&str) -> bool,
    ) -> Result<(), kube::Error> {
        let Some(kind) = kind(cluster, place).await? else { return Ok(()) };
        let api = objects(cluster, place, &kind)?;
        let mut listed = ListParams::default().labels(selector).limit(PAGE);
        loop {
            let page = within(api.list_metadata(&listed)).await?;
            let objects = page.items.into_iter().map(|object| object.metadata);
            let over: Vec<_> =
                objects.filter(|object| is_over(mark::round(object.labels.as_ref()))).collect();
            self.left += over.len();
            let mut deletions =
                stream::iter(over).map(|object| delete(&api, object)).buffer_unordered(CONCURRENT_DELETIONS);
            while let Some(deleted) = deletions.next().await {
                self.trouble = self.trouble.take().or(deleted.err());
            }
            listed.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if listed.continue_token.is_none() {
                return Ok(());
            }
        }
    }
}

/// The kind of objects at a place, in whatever version there is of it; none if it is gone, and its objects with it.
async fn kind(cluster: &Cluster, place: &Place) -> Result<Option<Kind>, kube::Error> {
    match within(cluster.kind(&place.api_version, &place.kind)).await {
        Err(error) if is_unknown_kind(&error) => {
            within(cluster.any_version(&place.api_version, &place.kind)).await
        }
        found => found.map(Some),
    }
}

/// The objects at a place, with the rights of its account.
pub(super) fn objects(
    cluster: &Cluster,
    place: &Place,
    kind: &Kind,
) -> Result<Api<DynamicObject>, kube::Error> {
    let client = cluster.guest(place.account.as_ref())?;
    Ok(match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
        None => Api::all_with(client, &kind.resource),
    })
}

/// Asks for the deletion of exactly this object, unless it is going already.
async fn delete(api: &Api<DynamicObject>, metadata: ObjectMeta) -> Result<(), kube::Error> {
    let Some(name) = metadata.name.filter(|_| metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    let preconditions = Preconditions { uid: metadata.uid, resource_version: None };
    match within(api.delete(&name, &DeleteParams::background().preconditions(preconditions))).await {
        // Gone, or another one of that name.
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        deleted => deleted.map(drop),
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
