//! ConfigMaps as the API server sends them. Only the fields that are needed are kept, as whoever writes a
//! ConfigMap chooses how many labels it has.

use super::{Age, ConfigMapName, Seen};
use crate::cluster::code;
use futures_util::Stream;
use http_body_util::Limited;
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ListMeta, Time},
};
use kube::{
    Client, Resource,
    api::{GetParams, ListParams, Request, WatchEvent, WatchParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use tower::service_fn;

/// The number of ConfigMaps on one page of a list. The metadata of each can be as large as a whole object.
pub(super) const PAGE: u32 = 10;
/// The largest answer of the API server in bytes. An object is hardly ever larger than 1.5 MiB, and its JSON
/// than twice that.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// The status code of the API server for an object that does not exist.
const NOT_FOUND: u16 = 404;

/// A client for the ConfigMaps of one namespace, or of all.
pub(super) struct Objects {
    /// The client for watches. Their answers last, and so have no size limit.
    client: Client,
    limited: Client,
    request: Request,
}

/// One page of a list of ConfigMaps.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) metadata: ListMeta,
    /// The objects of the page; none if the page is empty, as the API server then writes `null`.
    items: Option<Vec<Item>>,
}

/// The metadata of a ConfigMap.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Item {
    metadata: Metadata,
}

/// A ConfigMap with its content.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    metadata: Metadata,
    data: Option<BTreeMap<String, String>>,
    binary_data: Option<BTreeMap<String, ByteString>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    creation_timestamp: Option<Time>,
}

impl Objects {
    pub(super) fn new(client: &Client, namespace: Option<&str>) -> Self {
        let unlimited = client.clone();
        let ask = service_fn(move |request| {
            let client = unlimited.clone();
            async move {
                client.send(request).await.map(|answer| answer.map(|body| Limited::new(body, LARGEST_ANSWER)))
            }
        });
        let limited = Client::new(ask, client.default_namespace());
        let request = Request::new(ConfigMap::url_path(&(), namespace));
        Self { client: client.clone(), limited, request }
    }

    /// Requests one page of the list with metadata only.
    pub(super) async fn list(&self, params: &ListParams) -> kube::Result<Page> {
        self.ask(self.request.list_metadata(params)).await
    }

    /// Starts a watch of the ConfigMaps after this resource version.
    pub(super) async fn watch(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> kube::Result<impl Stream<Item = kube::Result<WatchEvent<Item>>> + use<>> {
        let request = self.request.watch_metadata(params, version).map_err(kube::Error::BuildRequest)?;
        self.client.request_events(request).await
    }

    /// Requests a ConfigMap with its content; none if it does not exist.
    pub(super) async fn get(&self, name: &str) -> kube::Result<Option<(Seen, ConfigMap)>> {
        let whole: Whole = match self.ask(self.request.get(name, &GetParams::default())).await {
            Err(error) if code(&error) == Some(NOT_FOUND) => return Ok(None),
            answer => answer?,
        };
        let Whole { metadata, data, binary_data } = whole;
        Ok(Some((metadata.seen(), ConfigMap { data, binary_data, ..ConfigMap::default() })))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        self.limited.request(request.map_err(kube::Error::BuildRequest)?).await
    }
}

impl Page {
    pub(super) fn seen(self) -> impl Iterator<Item = Seen> {
        self.items.into_iter().flatten().map(Item::seen)
    }
}

impl Item {
    pub(super) fn seen(self) -> Seen {
        self.metadata.seen()
    }
}

impl Metadata {
    fn seen(self) -> Seen {
        let Self { namespace, name, uid, resource_version, creation_timestamp } = self;
        let created = creation_timestamp.map_or(Timestamp::MAX, |time| time.0);
        Seen {
            place: ConfigMapName { namespace, name },
            age: Age { created, uid },
            version: resource_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_metadata_only_what_is_needed_is_read_and_an_empty_page_is_one() {
        let nothing = json!({ "metadata": { "resourceVersion": "7" }, "items": null });
        let page: Page = serde_json::from_value(nothing).expect("a page");
        assert_eq!(page.seen().count(), 0);
        let map = json!({ "metadata": { "name": "a", "namespace": "team-a", "uid": "u", "resourceVersion": "5",
            "creationTimestamp": null, "labels": { "l": "" }, "managedFields": [{ "fieldsV1": { "f:x": {} } }] } });
        let page: Page = serde_json::from_value(json!({ "metadata": {}, "items": [map] })).expect("a page");
        let place = ConfigMapName { namespace: "team-a".to_owned(), name: "a".to_owned() };
        let age = Age { created: Timestamp::MAX, uid: "u".to_owned() };
        assert_eq!(page.seen().collect::<Vec<_>>(), [Seen { place, age, version: "5".to_owned() }]);
    }
}
