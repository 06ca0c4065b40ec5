//! The shapes that people write. Their doc comments become the descriptions in the JSON schema.

use crate::{
    grant::Grants,
    manifest::Severity,
    value::{Digest, ModuleRef, TimeSpan, WrittenLimits},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The JSON schema of one Check document, for editors and for `deploy/check.schema.json`.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<CheckDocument>().into()
}

/// One health check: a WebAssembly module with its settings, its schedule and what it may reach.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Check")]
pub(super) struct CheckDocument {
    /// The version of this format.
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    /// The kind of document.
    #[serde(rename = "kind")]
    _kind: Kind,
    /// Who the check is.
    pub(super) metadata: Metadata,
    /// What the check does.
    pub(super) spec: CheckSpec,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum ApiVersion {
    #[serde(rename = "aviary.dev/v1alpha1")]
    V1alpha1,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Kind {
    Check,
}

/// Who the check is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metadata {
    /// The name: lower-case letters, digits, dashes and dots; unique within the namespace.
    #[schemars(
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub(super) name: String,
    /// The namespace: lower-case letters, digits and dashes. Without it, the namespace of the place where the manifest lies.
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub(super) namespace: Option<String>,
    /// Accepted for kubectl's sake and not used.
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
    /// Accepted for kubectl's sake and not used.
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
}

/// The part of a manifest that tells its check and module, whatever else is wrong with it.
#[derive(Debug, Deserialize)]
pub(super) struct Outline {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Value,
}

/// What people write under `spec`, as it is. Whether it can be meant, [`super::parse`] tells.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Spec", description = "What the check does.")]
pub struct CheckSpec {
    /// The module's file beside this manifest, or key of the same ConfigMap.
    pub module: ModuleRef,
    /// The only digest that the module may have; another one is refused.
    pub digest: Option<Digest>,
    /// How often the check runs, for example `30s`, which is the default. Not together with `schedule`.
    pub interval: Option<TimeSpan>,
    /// When the check runs: a cron expression of 5 or 6 fields, `@hourly` and its like, or `@every 90s`.
    pub schedule: Option<String>,
    /// The time zone of `schedule`, for example `Europe/Berlin`; without it, UTC.
    pub time_zone: Option<String>,
    /// How long one run may take, retries included: by default 10s, or the interval if that is shorter.
    pub timeout: Option<TimeSpan>,
    /// How long a round lasts until the check cleans up and starts a new one.
    pub ttl: Option<TimeSpan>,
    /// How long after init failed polls do not count. By default 0s.
    pub startup_grace: Option<TimeSpan>,
    /// How many bad runs in a row make the check bad.
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<u32>,
    /// How many good runs in a row make the check good again.
    #[schemars(range(min = 1))]
    pub success_threshold: Option<u32>,
    /// How many further tries one run has at once after a failure.
    #[schemars(range(max = 10))]
    pub retries: Option<u32>,
    /// Whether the check is suspended, and does not run.
    #[serde(default)]
    pub suspend: bool,
    /// Whether a fail of this check makes `/health` answer 503.
    #[serde(default)]
    pub severity: Severity,
    /// Who looks after the check; `/health?owner=` selects by it.
    #[schemars(length(min = 1, max = 128))]
    pub owner: Option<String>,
    /// The settings of the module, in its own words.
    pub settings: Option<Map<String, Value>>,
    /// Settings whose value is the text of a file beside this manifest, or key of the same ConfigMap, by their own key.
    #[serde(default)]
    pub settings_from: BTreeMap<String, String>,
    /// What the module may read as secrets.
    #[serde(default)]
    pub secrets: Vec<SecretSpec>,
    /// What the module may reach; nothing else.
    #[serde(default)]
    pub grants: Grants,
    /// The service account, of the check's namespace, whose rights the module's calls to the Kubernetes API have.
    #[schemars(length(max = 253))]
    pub service_account: Option<String>,
    /// What the module may spend.
    #[serde(default)]
    pub limits: WrittenLimits,
}

/// One secret, from exactly one source.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Secret")]
pub struct SecretSpec {
    /// The name under which the module asks for it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The absolute path of a file that holds the value.
    pub file: Option<String>,
    /// The variable of the daemon's environment that holds the value.
    pub env: Option<String>,
    /// The key of a Kubernetes Secret, in the check's namespace, that holds the value.
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a Kubernetes Secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key within it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

#[cfg(test)]
mod tests;
