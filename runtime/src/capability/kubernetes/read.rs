//! Calls that read objects, wait for them, or read logs.

use super::{
    call::{Caller, Repeat},
    fields::{self, Path},
};
use crate::{
    capability::bindings::aviary::check::kubernetes::{
        Error, Kind as KindName, LogRequest, Object, Page, Selection,
    },
    cluster::is_too_large,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, LogParams, ObjectList, TypeMeta};
use serde_json::Value;
use std::time::Duration;
use tokio::{task::yield_now, time::sleep};

/// How many objects the server is asked for at once.
const PAGE: u32 = 100;
/// The most objects in one answer.
const MOST_ITEMS: u32 = 1_000;
/// The most bytes of all objects in one answer.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// The most JSONPaths in one selection.
const MOST_PATHS: usize = 32;
/// The most lines of a log.
const MOST_LINES: u32 = 10_000;
/// The most bytes of a log.
const MOST_LOG_BYTES: i64 = 256 * 1024;
/// How soon a condition is looked at again at first; each time a little later.
const LOOK: Duration = Duration::from_millis(100);
const LATEST_LOOK: Duration = Duration::from_secs(1);

impl Caller {
    pub(super) async fn get(&self, object: &Object) -> Result<String, Error> {
        let objects = self.place(&object.kind, object.namespace.as_deref()).await?;
        self.judge("get", &objects, Some(&object.name))?;
        let found = self.request(Repeat::Always, || objects.api.get(&object.name)).await?;
        text(&bare(found))
    }

    pub(super) async fn list(&self, selection: &Selection) -> Result<Page, Error> {
        let paths = parse_paths(&selection.fields)?;
        let objects = self.objects(&selection.kind, selection.namespace.as_deref()).await?;
        self.judge("list", &objects, None)?;
        let types =
            TypeMeta { api_version: selection.kind.api_version.clone(), kind: selection.kind.kind.clone() };
        let limit = selection.limit.unwrap_or(MOST_ITEMS).min(MOST_ITEMS);
        let mut listed = ListParams {
            label_selector: selection.label_selector.clone(),
            field_selector: selection.field_selector.clone(),
            ..ListParams::default()
        };
        let mut page = Collected::new(limit, paths);
        let mut at_once = PAGE;
        // One permit is held until all pages are there, as what is collected takes memory as well.
        let mut permit = None;
        while page.wants() > 0 {
            let asked = page.wants().min(at_once);
            listed.limit = Some(asked);
            let send = async || match objects.api.list(&listed).await {
                Err(error) if is_too_large(&error) && asked > 1 => Ok(None),
                found => found.map(Some),
            };
            let Some(found) = self.request_in_turn(&mut permit, Repeat::Always, send).await? else {
                at_once = asked / 2;
                continue;
            };
            let next = found.metadata.continue_.clone().filter(|token| !token.is_empty());
            page.take(found, &types).await?;
            listed.continue_token = next;
            if listed.continue_token.is_none() {
                return Ok(page.into());
            }
        }
        page.truncated = true;
        Ok(page.into())
    }

    pub(super) async fn wait(
        &self,
        object: &Object,
        json_path: &str,
        value: Option<&str>,
    ) -> Result<String, Error> {
        let path = Path::parse(json_path).map_err(Error::Invalid)?;
        let objects = self.place(&object.kind, object.namespace.as_deref()).await?;
        self.judge("get", &objects, Some(&object.name))?;
        let mut pause = LOOK;
        loop {
            // An object that is not there yet may still be made.
            let found = self.request(Repeat::Always, || objects.api.get_opt(&object.name)).await?;
            if let Some(found) = found {
                let found = json(&bare(found))?;
                if fields::is_met(&found, &path, value).map_err(Error::Invalid)? {
                    return Ok(found.to_string());
                }
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LATEST_LOOK);
        }
    }

    pub(super) async fn logs(&self, asked: &LogRequest) -> Result<String, Error> {
        let pod = KindName { api_version: "v1".to_owned(), kind: "Pod".to_owned() };
        let objects = self.place(&pod, Some(&asked.namespace)).await?;
        self.judge_resource("get", &objects, "pods/log", Some(&asked.pod))?;
        let pods: Api<Pod> = Api::namespaced(objects.api.into_client(), &asked.namespace);
        let params = LogParams {
            container: asked.container.clone(),
            previous: asked.previous,
            tail_lines: Some(asked.tail_lines.min(MOST_LINES).into()),
            limit_bytes: Some(MOST_LOG_BYTES),
            ..LogParams::default()
        };
        self.request(Repeat::Always, || pods.logs(&asked.pod, &params)).await
    }
}

/// The objects of a list, collected page by page for the guest.
struct Collected {
    limit: u32,
    paths: Vec<Path>,
    items: Vec<String>,
    bytes: usize,
    truncated: bool,
}

impl Collected {
    fn new(limit: u32, paths: Vec<Path>) -> Self {
        Self { limit, paths, items: Vec::new(), bytes: 0, truncated: false }
    }

    /// How many more objects fit.
    fn wants(&self) -> u32 {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if self.truncated { 0 } else { self.limit.saturating_sub(count) }
    }

    /// Adds the objects of a page, with their kind, which objects of a list do not name.
    async fn take(&mut self, found: ObjectList<DynamicObject>, types: &TypeMeta) -> Result<(), Error> {
        for object in found.items {
            // Many large objects take their time.
            yield_now().await;
            let mut object = bare(object);
            object.types.get_or_insert_with(|| types.clone());
            let item = if self.paths.is_empty() { text(&object)? } else { self.masked(&object)?.to_string() };
            self.bytes += item.len();
            if self.bytes > MOST_BYTES || self.wants() == 0 {
                self.truncated = true;
                return Ok(());
            }
            self.items.push(item);
        }
        Ok(())
    }

    fn masked(&self, object: &DynamicObject) -> Result<Value, Error> {
        fields::keep(&json(object)?, &self.paths).map_err(Error::Invalid)
    }
}

impl From<Collected> for Page {
    fn from(collected: Collected) -> Self {
        Self { items: collected.items, truncated: collected.truncated }
    }
}

fn parse_paths(texts: &[String]) -> Result<Vec<Path>, Error> {
    if texts.len() > MOST_PATHS {
        return Err(Error::Invalid(format!("at most {MOST_PATHS} fields can be kept")));
    }
    texts.iter().map(|text| Path::parse(text).map_err(Error::Invalid)).collect()
}

/// The object without the bookkeeping of field managers, which is often larger than the rest.
pub(super) fn bare(mut object: DynamicObject) -> DynamicObject {
    object.metadata.managed_fields = None;
    object
}

pub(super) fn text(object: &DynamicObject) -> Result<String, Error> {
    serde_json::to_string(object).map_err(|error| Error::Unavailable(error.to_string()))
}

fn json(object: &DynamicObject) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|error| Error::Unavailable(error.to_string()))
}
