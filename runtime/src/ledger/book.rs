//! The ConfigMap in which the ledger outlives the daemon: one key for each place of each check.

use crate::{
    cluster::{Account, Cluster, code, within},
    spec::{Digest, Key},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The name of the ConfigMap, in the daemon's namespace.
const NAME: &str = "aviary-ledger";

/// A kind of objects in a namespace, and with whose rights a check made them there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// Group and version.
    pub api_version: String,
    /// Kind in the singular.
    pub kind: String,
    /// None for objects of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// None for the daemon's own rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.api_version, self.kind)?;
        self.namespace.iter().try_for_each(|namespace| write!(out, " in {namespace}"))?;
        self.account.iter().try_for_each(|account| write!(out, " as {account}"))
    }
}

pub(super) struct Book {
    api: Api<ConfigMap>,
}

/// What stands under one key of the ConfigMap.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    check: Key,
    place: Place,
}

impl Book {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self { api: Api::namespaced(cluster.own(), cluster.namespace()) }
    }

    /// All places; none if the book was never written.
    pub(super) async fn read(&self) -> Result<BTreeMap<Key, BTreeSet<Place>>, kube::Error> {
        let book = within(self.api.get_opt(NAME)).await?;
        let lines = book.and_then(|book| book.data).unwrap_or_default();
        let mut places: BTreeMap<Key, BTreeSet<Place>> = BTreeMap::new();
        for (key, line) in lines {
            match serde_json::from_str(&line) {
                Ok(Line { check, place }) => {
                    places.entry(check).or_default().insert(place);
                }
                Err(error) => tracing::warn!("the line {key} of ConfigMap {NAME} is left alone: {error}"),
            }
        }
        Ok(places)
    }

    pub(super) async fn add(&self, check: &Key, place: &Place) -> Result<(), kube::Error> {
        let line = Line { check: check.clone(), place: place.clone() };
        let line = serde_json::to_string(&line).map_err(kube::Error::SerdeError)?;
        within(self.write([(name(check, place), Value::String(line))].into_iter().collect())).await
    }

    pub(super) async fn remove(&self, check: &Key, places: &BTreeSet<Place>) -> Result<(), kube::Error> {
        if places.is_empty() {
            return Ok(());
        }
        within(self.write(places.iter().map(|place| (name(check, place), Value::Null)).collect())).await
    }

    async fn write(&self, lines: Map<String, Value>) -> Result<(), kube::Error> {
        let patch = Patch::Merge(json!({ "data": lines }));
        match self.api.patch(NAME, &PatchParams::default(), &patch).await {
            Err(error) if code(&error) == Some(404) => self.create().await?,
            done => return done.map(|_| ()),
        }
        self.api.patch(NAME, &PatchParams::default(), &patch).await.map(|_| ())
    }

    async fn create(&self) -> Result<(), kube::Error> {
        let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
        let empty = ConfigMap { metadata, ..ConfigMap::default() };
        match self.api.create(&PostParams::default(), &empty).await {
            // Another check was faster.
            Err(error) if code(&error) == Some(409) => Ok(()),
            done => done.map(|_| ()),
        }
    }
}

/// A key that is valid, and the same for the same place.
fn name(check: &Key, place: &Place) -> String {
    let digest = Digest::of(format!("{check} {place:?}").as_bytes()).to_string();
    digest.replace(':', "-")
}
