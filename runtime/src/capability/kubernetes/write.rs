//! Making, changing and deleting objects. What is made is marked, and noted in the ledger first.

use super::{
    call::{Caller, Objects, Repeat},
    failure,
    read::{bare, text},
    tamper,
};
use crate::{
    capability::bindings::aviary::check::kubernetes::{
        Error, Kind as KindName, Object, PatchType, Propagation,
    },
    ledger::Place,
};
use json_patch::Patch as JsonPatch;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::Value;

/// The largest object or patch, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;
/// The longest name of a field manager that the API server takes.
const LONGEST_MANAGER: usize = 128;

/// An object that a guest wrote.
struct Draft {
    kind: KindName,
    namespace: Option<String>,
    name: Option<String>,
    body: Value,
}

impl Caller {
    pub(super) async fn create(&self, namespace: Option<String>, body: &str) -> Result<String, Error> {
        let mut draft = Draft::read(namespace, body)?;
        let objects = self.place(&draft.kind, draft.namespace.as_deref()).await?;
        self.judge("create", &objects, draft.name.as_deref())?;
        self.claim(&objects, &mut draft).await?;
        let object = draft.object()?;
        let params = PostParams::default();
        let create = || objects.api.create(&params, &object);
        text(&bare(self.request(Repeat::IfRefused, create).await?))
    }

    pub(super) async fn apply(&self, namespace: Option<String>, body: &str) -> Result<String, Error> {
        let mut draft = Draft::read(namespace, body)?;
        let objects = self.place(&draft.kind, draft.namespace.as_deref()).await?;
        let Some(name) = draft.name.clone() else {
            return Err(Error::Invalid("an object to apply needs a metadata.name".to_owned()));
        };
        self.judge("patch", &objects, Some(&name))?;
        let before = self.request(Repeat::Always, || objects.api.get_metadata_opt(&name)).await?;
        match before {
            None => {
                self.judge("create", &objects, Some(&name))?;
                self.claim(&objects, &mut draft).await?;
            }
            Some(before) if self.round.mark().is_on(&before.metadata) => {
                self.claim(&objects, &mut draft).await?;
            }
            // What somebody else made stays theirs, and stays.
            Some(before) => {
                tamper::refuse_in_merge(&draft.body).map_err(invalid)?;
                // Should it go meanwhile, nothing is made in its place.
                draft.body["metadata"]["uid"] = before.metadata.uid.into();
            }
        }
        let mut manager = format!("aviary:{}", self.check.key);
        manager.truncate(LONGEST_MANAGER);
        let params = PatchParams::apply(&manager);
        let patch = Patch::Apply(&draft.body);
        let apply = || objects.api.patch(&name, &params, &patch);
        text(&bare(self.request(Repeat::Always, apply).await?))
    }

    pub(super) async fn patch(&self, object: &Object, kind: PatchType, body: &str) -> Result<String, Error> {
        let patch = read_patch(kind, body)?;
        let objects = self.place(&object.kind, object.namespace.as_deref()).await?;
        self.judge("patch", &objects, Some(&object.name))?;
        let params = PatchParams::default();
        let send = || objects.api.patch(&object.name, &params, &patch);
        text(&bare(self.request(Repeat::IfRefused, send).await?))
    }

    pub(super) async fn delete(&self, object: &Object, propagation: Propagation) -> Result<(), Error> {
        let objects = self.place(&object.kind, object.namespace.as_deref()).await?;
        self.judge("delete", &objects, Some(&object.name))?;
        if propagation == Propagation::Orphan {
            let found = || objects.api.get_metadata_opt(&object.name);
            let found = self.request(Repeat::Always, found).await?;
            if found.is_some_and(|found| self.round.mark().is_on(&found.metadata)) {
                let why = "what depends on it would stay behind: choose background or foreground";
                return Err(Error::Invalid(why.to_owned()));
            }
        }
        let policy = match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        };
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        let delete = || objects.api.delete(&object.name, &params);
        match self.request(Repeat::Always, delete).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes an object the round's own, and notes where it is before it is made.
    async fn claim(&self, objects: &Objects, draft: &mut Draft) -> Result<(), Error> {
        tamper::refuse_in_object(&draft.body).map_err(invalid)?;
        // A review may not even have labels.
        if objects.kind.leaves_nothing() {
            return Ok(());
        }
        let made = self.round.mark().put_on(&mut draft.body);
        let place = |api_version: &str, kind: &str| Place {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: objects.namespace.clone(),
            account: self.account.clone(),
        };
        let own = place(&objects.kind.resource.api_version, &objects.kind.resource.kind);
        let made = made.into_iter().map(|(api_version, kind)| place(api_version, kind));
        for place in [own].into_iter().chain(made) {
            self.round.enter(place).await.map_err(|error| failure::no_entry(&error))?;
        }
        Ok(())
    }
}

impl Draft {
    fn read(namespace: Option<String>, body: &str) -> Result<Self, Error> {
        let body: Value = read(body)?;
        let field = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let required = |name: &str| {
            field(&format!("/{name}")).ok_or_else(|| Error::Invalid(format!("the object has no {name}")))
        };
        let kind = KindName { api_version: required("apiVersion")?, kind: required("kind")? };
        let namespace = match (namespace, field("/metadata/namespace")) {
            (Some(asked), Some(written)) if asked != written => {
                let why = format!("the object is for namespace {written}, but the call for {asked}");
                return Err(Error::Invalid(why));
            }
            (asked, written) => asked.or(written),
        };
        Ok(Self { kind, namespace, name: field("/metadata/name"), body })
    }

    fn object(self) -> Result<DynamicObject, Error> {
        serde_json::from_value(self.body)
            .map_err(|error| Error::Invalid(format!("the object is wrong: {error}")))
    }
}

fn read_patch(kind: PatchType, body: &str) -> Result<Patch<Value>, Error> {
    match kind {
        PatchType::Json => {
            let patch: JsonPatch = read(body)?;
            tamper::refuse_in_json(&patch).map_err(invalid)?;
            Ok(Patch::Json(patch))
        }
        PatchType::Merge | PatchType::Strategic => {
            let patch: Value = read(body)?;
            tamper::refuse_in_merge(&patch).map_err(invalid)?;
            Ok(if kind == PatchType::Merge { Patch::Merge(patch) } else { Patch::Strategic(patch) })
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Error> {
    if body.len() > LARGEST_BODY {
        return Err(Error::Invalid(format!("{} bytes are too many: {LARGEST_BODY} at most", body.len())));
    }
    serde_json::from_str(body).map_err(|error| Error::Invalid(format!("not what is expected here: {error}")))
}

fn invalid(why: &str) -> Error {
    Error::Invalid(why.to_owned())
}
