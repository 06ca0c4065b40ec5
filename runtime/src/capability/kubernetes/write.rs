//! Calls that make, change or delete objects. What is made is labelled, and noted in the ledger first.

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
    cluster::{MOST_VALUES, Values},
    ledger::ObjectLocation,
};
use hyper::Request;
use json_patch::Patch as JsonPatch;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::Value;

/// The most bytes of an object or patch.
const LARGEST_BODY: usize = 1024 * 1024;
/// The most bytes of a field manager's name that the API server takes.
const LONGEST_MANAGER: usize = 128;

/// The kind, namespace and name of an object that a guest wrote. The rest is left out, as it may take a
/// hundred times its text.
struct ObjectHead {
    kind: KindName,
    namespace: Option<String>,
    name: Option<String>,
}

impl Caller {
    pub(super) async fn create(&self, namespace: Option<String>, body: &str) -> Result<String, Error> {
        let head = ObjectHead::read(namespace, body)?;
        let objects = self.place(&head.kind, head.namespace.as_deref()).await?;
        self.judge("create", &objects, head.name.as_deref())?;
        let (places, request) = self.creation(&objects, body)?;
        self.enter(places).await?;
        self.send(Repeat::IfRefused, &objects, &request).await
    }

    pub(super) async fn apply(&self, namespace: Option<String>, body: &str) -> Result<String, Error> {
        let head = ObjectHead::read(namespace, body)?;
        let objects = self.place(&head.kind, head.namespace.as_deref()).await?;
        let Some(name) = head.name else {
            return Err(Error::Invalid("an object to apply needs a metadata.name".to_owned()));
        };
        self.judge("patch", &objects, Some(&name))?;
        let before = self.request(Repeat::Always, || objects.api.get_metadata_opt(&name)).await?;
        let before = before.map(|before| before.metadata);
        if before.is_none() {
            self.judge("create", &objects, Some(&name))?;
        }
        // An object that somebody else made stays theirs, and is not deleted.
        let others = before.filter(|before| !self.round.mark().is_on(before));
        let (places, request) = self.application(&objects, &name, body, others)?;
        self.enter(places).await?;
        self.send(Repeat::Always, &objects, &request).await
    }

    pub(super) async fn patch(&self, object: &Object, kind: PatchType, body: &str) -> Result<String, Error> {
        let objects = self.place(&object.kind, object.namespace.as_deref()).await?;
        self.judge("patch", &objects, Some(&object.name))?;
        let request =
            requests(&objects).patch(&object.name, &PatchParams::default(), &read_patch(kind, body)?);
        self.send(Repeat::IfRefused, &objects, &request.map_err(unsendable)?).await
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

    /// The request that makes an object, and the places where it leaves objects. Only within this function
    /// the object is more than a text.
    fn creation(
        &self,
        objects: &Objects,
        body: &str,
    ) -> Result<(Vec<ObjectLocation>, Request<Vec<u8>>), Error> {
        let mut object: Value = read(body)?;
        let places = self.claim(objects, &mut object)?;
        let request = requests(objects).create(&PostParams::default(), object.to_string().into_bytes());
        Ok((places, request.map_err(unsendable)?))
    }

    /// The request that applies an object, and the places where it leaves objects. `others` is the metadata
    /// if somebody else made it.
    fn application(
        &self,
        objects: &Objects,
        name: &str,
        body: &str,
        others: Option<ObjectMeta>,
    ) -> Result<(Vec<ObjectLocation>, Request<Vec<u8>>), Error> {
        let mut object: Value = read(body)?;
        let places = match others {
            None => self.claim(objects, &mut object)?,
            Some(others) => {
                tamper::refuse_in_merge(&object).map_err(invalid)?;
                // With the uid, nothing is made in the object's place should it be gone meanwhile.
                object["metadata"]["uid"] = others.uid.into();
                Vec::new()
            }
        };
        let mut manager = format!("aviary:{}", self.key);
        manager.truncate(LONGEST_MANAGER);
        let request = requests(objects).patch(name, &PatchParams::apply(&manager), &Patch::Apply(&object));
        Ok((places, request.map_err(unsendable)?))
    }

    /// Labels an object as the round's own, and returns the places where objects are left if it is made.
    fn claim(&self, objects: &Objects, object: &mut Value) -> Result<Vec<ObjectLocation>, Error> {
        tamper::refuse_in_object(object).map_err(invalid)?;
        // Objects that leave nothing, such as reviews, may not even have labels.
        if objects.kind.leaves_nothing() {
            return Ok(Vec::new());
        }
        let made = self.round.mark().put_on(object);
        let place = |api_version: &str, kind: &str| ObjectLocation {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: objects.namespace.clone(),
            account: self.account.clone(),
        };
        let own = place(&objects.kind.resource.api_version, &objects.kind.resource.kind);
        let made = made.into_iter().map(|(api_version, kind)| place(api_version, kind));
        Ok([own].into_iter().chain(made).collect())
    }

    /// Notes the places in the ledger before objects are made there.
    async fn enter(&self, places: Vec<ObjectLocation>) -> Result<(), Error> {
        for place in places {
            self.round.enter(place).await.map_err(|error| failure::no_entry(&error))?;
        }
        Ok(())
    }

    /// Sends a request about one object, and returns how the object is afterwards.
    async fn send(
        &self,
        repeat: Repeat,
        objects: &Objects,
        request: &Request<Vec<u8>>,
    ) -> Result<String, Error> {
        let client = objects.api.clone().into_client();
        let send = || client.request::<DynamicObject>(request.clone());
        text(&bare(self.request(repeat, send).await?))
    }
}

impl ObjectHead {
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
        Ok(Self { kind, namespace, name: field("/metadata/name") })
    }
}

fn requests(objects: &Objects) -> kube::core::Request {
    kube::core::Request::new(objects.api.resource_url())
}

fn unsendable(error: kube::core::request::Error) -> Error {
    failure::answer(&kube::Error::BuildRequest(error))
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
    Values::default().count(body.as_bytes(), MOST_VALUES).map_err(|error| invalid(&error.to_string()))?;
    serde_json::from_str(body).map_err(|error| Error::Invalid(format!("not what is expected here: {error}")))
}

fn invalid(why: &str) -> Error {
    Error::Invalid(why.to_owned())
}
