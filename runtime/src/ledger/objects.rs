//! Labelled objects at a place, with the rights of its account. Of each object only what a sweep needs is
//! read, as whoever made it chooses how large its metadata is.

use super::ObjectLocation;
use crate::cluster::{Cluster, Kind, within};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{
    Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, Request},
};
use serde::{Deserialize, de::IgnoredAny};
use std::collections::BTreeMap;

/// The objects of one kind at a place.
pub(super) struct Objects {
    client: Client,
    request: Request,
}

/// A page of a list of objects.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) metadata: ListMeta,
    /// The objects of the page. For an empty page, the API server may write `null`.
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) uid: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// When the deletion was asked for; none while the object is not being deleted.
    pub(super) deletion_timestamp: Option<IgnoredAny>,
}

impl Objects {
    pub(super) fn at(place: &ObjectLocation, kind: &Kind, cluster: &Cluster) -> Result<Self, kube::Error> {
        let client = cluster.sweeper(place.account.as_ref())?;
        let path = DynamicObject::url_path(&kind.resource, place.namespace.as_deref());
        Ok(Self { client, request: Request::new(path) })
    }

    /// Lists a page of the objects.
    pub(super) async fn list(&self, params: &ListParams) -> Result<Page, kube::Error> {
        let request = self.request.list_metadata(params).map_err(kube::Error::BuildRequest)?;
        within(self.client.request(request)).await
    }

    /// Asks for the deletion of one object.
    pub(super) async fn delete(&self, name: &str, params: &DeleteParams) -> Result<(), kube::Error> {
        let request = self.request.delete(name, params).map_err(kube::Error::BuildRequest)?;
        within(self.client.request_text(request)).await.map(drop)
    }
}

impl Page {
    pub(super) fn objects(self) -> impl Iterator<Item = Metadata> {
        self.items.into_iter().flatten().map(|item| item.metadata)
    }
}
