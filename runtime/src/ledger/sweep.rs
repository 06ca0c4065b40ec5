//! Deletes what is left of the rounds of one check.

use super::{Place, mark};
use crate::{
    cluster::{Cluster, code, in_words, within},
    spec::Key,
};
use futures_util::{StreamExt, TryStreamExt, stream};
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
        match sweep_place(cluster, place, &selector, &is_over).await {
            Ok(more) => left += more,
            Err(error) => trouble = trouble.or(Some(format!("{place}: {}", in_words(&error)))),
        }
    }
    (left, trouble)
}

async fn sweep_place(
    cluster: &Cluster,
    place: &Place,
    selector: &str,
    is_over: &impl Fn(&str) -> bool,
) -> Result<usize, kube::Error> {
    let kind = match within(cluster.kind(&place.api_version, &place.kind)).await {
        // The objects of a kind go with it.
        Err(error) if is_unknown_kind(&error) => return Ok(0),
        found => found?,
    };
    let client = cluster.guest(place.account.as_ref())?;
    let api: Api<DynamicObject> = match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
        None => Api::all_with(client, &kind.resource),
    };
    let mut listed = ListParams::default().labels(selector).limit(PAGE);
    let mut left = 0;
    loop {
        let page = within(api.list_metadata(&listed)).await?;
        let objects = page.items.into_iter().map(|object| object.metadata);
        let over: Vec<_> = objects.filter(|object| is_over(mark::round(object.labels.as_ref()))).collect();
        left += over.len();
        let deletions = stream::iter(over).map(|object| delete(&api, object));
        deletions.buffer_unordered(CONCURRENT_DELETIONS).try_for_each(async |()| Ok(())).await?;
        listed.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if listed.continue_token.is_none() {
            return Ok(left);
        }
    }
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
