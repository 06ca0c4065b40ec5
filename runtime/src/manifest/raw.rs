//! The shapes that people write. The doc comments become the descriptions in the JSON schema.

use crate::{
    grant::Grants,
    manifest::Severity,
    value::{Digest, Module, TimeSpan, WrittenLimits},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// The JSON schema of one Check document, for editors and for `deploy/check.schema.json`.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Manifest>().into()
}

/// One health check: a WebAssembly module with its settings, its schedule and what it may reach.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Check")]
pub(super) struct Manifest {
    /// The version of this format.
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    /// The kind of document.
    #[serde(rename = "kind")]
    _kind: Kind,
    /// Who the check is.
    pub(super) metadata: Metadata,
    /// What the check does.
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum ApiVersion {
    #[serde(rename = "aviary.dev/v1alpha1")]
    V1alpha1,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Kind {
    Check,
}

/// Who the check is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metadata {
    /// Lower-case letters, digits, dashes and dots; unique within the namespace.
    #[schemars(
        with = "String",
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub(super) name: Spanned<String>,
    /// Lower-case letters, digits and dashes. Without it, the namespace of the place where the manifest lies.
    #[schemars(
        with = "Option<String>",
        length(max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub(super) namespace: Option<Spanned<String>>,
    /// Accepted for kubectl's sake and not used.
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
    /// Accepted for kubectl's sake and not used.
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
}

/// As much of a manifest as tells which check and module it is about, whatever else is wrong with it.
#[derive(Debug, Deserialize)]
pub(super) struct Outline {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Value,
}

/// What the check does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    /// The module's file beside this manifest, or key of the same ConfigMap.
    pub(super) module: Module,
    /// The only digest that the module may have; another one is refused.
    pub(super) digest: Option<Digest>,
    /// How often the check runs, for example `30s`, which is the default. Not together with `schedule`.
    #[schemars(with = "Option<TimeSpan>")]
    pub(super) interval: Option<Spanned<TimeSpan>>,
    /// When the check runs: a cron expression of 5 or 6 fields, `@hourly` and its like, or `@every 90s`.
    #[schemars(with = "Option<String>")]
    pub(super) schedule: Option<Spanned<String>>,
    /// The time zone of `schedule`, for example `Europe/Berlin`; without it, UTC.
    #[schemars(with = "Option<String>")]
    pub(super) time_zone: Option<Spanned<String>>,
    /// How long one run may take, retries included: by default 10s, or the interval if that is shorter.
    #[schemars(with = "Option<TimeSpan>")]
    pub(super) timeout: Option<Spanned<TimeSpan>>,
    /// After this long, the check cleans up and starts a new round.
    #[schemars(with = "Option<TimeSpan>")]
    pub(super) ttl: Option<Spanned<TimeSpan>>,
    /// Polls that fail this soon after init do not count. By default 0s.
    #[schemars(with = "Option<TimeSpan>")]
    pub(super) startup_grace: Option<Spanned<TimeSpan>>,
    /// So many bad runs in a row make the check bad.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub(super) failure_threshold: Option<Spanned<u32>>,
    /// So many good runs in a row make the check good again.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub(super) success_threshold: Option<Spanned<u32>>,
    /// Immediate further tries within one run.
    #[schemars(with = "Option<u32>", range(max = 10))]
    pub(super) retries: Option<Spanned<u32>>,
    /// Whether the check rests.
    #[serde(default)]
    pub(super) suspend: bool,
    /// Whether a fail of this check makes `/health` answer 503.
    #[serde(default)]
    pub(super) severity: Severity,
    /// Who looks after the check; `/health?owner=` selects by it.
    #[schemars(with = "Option<String>", length(min = 1, max = 128))]
    pub(super) owner: Option<Spanned<String>>,
    /// What the module gets to know, in its own words.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(super) settings: Option<Spanned<Map<String, Value>>>,
    /// What the module may read as secrets.
    #[serde(default)]
    #[schemars(with = "Vec<WrittenSecret>")]
    pub(super) secrets: Vec<Spanned<WrittenSecret>>,
    /// What the module may reach; nothing else.
    #[serde(default)]
    pub(super) grants: Grants,
    /// The service account, of the check's namespace, whose rights the module's calls to the Kubernetes API have.
    #[schemars(with = "Option<String>", length(max = 253))]
    pub(super) service_account: Option<Spanned<String>>,
    /// What the module may spend.
    #[serde(default)]
    pub(super) limits: WrittenLimits,
}

/// One secret, from exactly one source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Secret")]
pub(super) struct WrittenSecret {
    /// The name under which the module asks for it.
    #[schemars(length(min = 1, max = 253))]
    pub(super) name: String,
    /// The absolute path of a file that holds the value.
    pub(super) file: Option<String>,
    /// The variable of the daemon's environment that holds the value.
    pub(super) env: Option<String>,
    /// The key of a Kubernetes Secret, in the check's namespace, that holds the value.
    pub(super) secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a Kubernetes Secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub(super) name: String,
    /// The key within it.
    #[schemars(length(min = 1, max = 253))]
    pub(super) key: String,
}

#[cfg(test)]
mod tests;
