//! Deletes what is left of the rounds of one check.

use super::{
    Place, mark,
    objects::{Metadata, Objects},
};
use crate::{
    cluster::{Cluster, Kind, code, in_words, is_too_large, within},
    spec::Key,
};
use futures_util::{StreamExt, stream};
use kube::{
    api::{DeleteParams, ListParams, Preconditions},
    error::DiscoveryError,
};
use std::collections::BTreeSet;

/// How many objects are listed at once, and fewer where they are large.
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
async fn kind(cluster: &Cluster, place: &Place) -> Result<Option<Kind>, kube::Error> {
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
