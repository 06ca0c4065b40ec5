//! The book: the ConfigMap in which the ledger outlives the daemon, with one key for each place of each
//! check.

use crate::{
    cluster::{Cluster, code, within},
    grant::Account,
    value::{Digest, Key},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt};

/// The name of the ledger's ConfigMap, which is in the daemon's namespace.
pub(super) const NAME: &str = "aviary-ledger";

/// A place where a check makes objects: a kind of objects in a namespace, and the account that makes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectLocation {
    /// The API version of the objects, with the group: `apps/v1`.
    pub api_version: String,
    /// The kind of the objects in the singular: `Deployment`.
    pub kind: String,
    /// The namespace of the objects; none for objects of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The service account whose rights the check has there; none for the daemon's own rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

impl fmt::Display for ObjectLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.api_version, self.kind)?;
        self.namespace.iter().try_for_each(|namespace| write!(out, " in {namespace}"))?;
        self.account.iter().try_for_each(|account| write!(out, " as {account}"))
    }
}

/// The places where a check makes objects, each with the uid that its namespace had then, if it was known.
pub(super) type ObjectLocations = BTreeMap<ObjectLocation, Option<String>>;

pub(super) struct Book {
    api: Api<ConfigMap>,
}

/// A line of the book: the value of one key of the ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Line {
    pub(super) check: Key,
    pub(super) place: ObjectLocation,
    /// The uid that the namespace had. If it has another one, it is another namespace, and nothing is left of
    /// the former.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace_uid: Option<String>,
}

/// The content of the book.
#[derive(Default)]
pub(super) struct BookContent {
    /// The lines by their keys.
    pub(super) lines: BTreeMap<String, Line>,
    /// What is wrong with the values that are no lines, by key.
    pub(super) unreadable: BTreeMap<String, serde_json::Error>,
}

impl Line {
    pub(super) fn new(check: &Key, place: &ObjectLocation, namespace_uid: Option<&str>) -> Self {
        let (check, place) = (check.clone(), place.clone());
        Self { check, place, namespace_uid: namespace_uid.map(str::to_owned) }
    }

    /// The key of the line: valid, and the same for the same place. It is made from what is written, so names
    /// in the code do not change it.
    pub(super) fn name(&self) -> String {
        let text = json!({ "check": self.check, "place": self.place }).to_string();
        Digest::of(text.as_bytes()).to_string().replace(':', "-")
    }
}

impl Book {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self { api: Api::namespaced(cluster.own(), cluster.namespace()) }
    }

    /// Reads the whole book, which is empty if it was never written.
    pub(super) async fn read(&self) -> Result<BookContent, kube::Error> {
        let book = within(self.api.get_opt(NAME)).await?;
        let mut content = BookContent::default();
        for (name, line) in book.and_then(|book| book.data).unwrap_or_default() {
            match serde_json::from_str(&line) {
                Ok(line) => drop(content.lines.insert(name, line)),
                Err(error) => drop(content.unreadable.insert(name, error)),
            }
        }
        Ok(content)
    }

    pub(super) async fn add(&self, lines: impl IntoIterator<Item = &Line>) -> Result<(), kube::Error> {
        let written =
            |line: &Line| serde_json::to_string(line).map(|text| (line.name(), Value::String(text)));
        let lines: Result<_, _> = lines.into_iter().map(written).collect();
        self.write(lines.map_err(kube::Error::SerdeError)?).await
    }

    /// Removes the lines of these keys.
    pub(super) async fn remove<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), kube::Error> {
        self.write(names.into_iter().map(|name| (name.clone(), Value::Null)).collect()).await
    }

    async fn write(&self, lines: Map<String, Value>) -> Result<(), kube::Error> {
        if lines.is_empty() {
            return Ok(());
        }
        within(self.patch(&Patch::Merge(json!({ "data": lines })))).await
    }

    async fn patch(&self, patch: &Patch<Value>) -> Result<(), kube::Error> {
        match self.api.patch(NAME, &PatchParams::default(), patch).await {
            Err(error) if code(&error) == Some(404) => self.create().await?,
            done => return done.map(drop),
        }
        self.api.patch(NAME, &PatchParams::default(), patch).await.map(drop)
    }

    async fn create(&self) -> Result<(), kube::Error> {
        let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
        let empty = ConfigMap { metadata, ..ConfigMap::default() };
        match self.api.create(&PostParams::default(), &empty).await {
            // The round of another check has made the ConfigMap meanwhile.
            Err(error) if code(&error) == Some(409) => Ok(()),
            done => done.map(drop),
        }
    }
}
