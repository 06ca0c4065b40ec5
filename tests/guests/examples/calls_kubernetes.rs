//! Does with the Kubernetes API what its settings say, and tells what came of the last step.

use std::time::Duration;

use aviary_guest::json::Value;
use aviary_guest::kubernetes::{self, LogRequest, Object, PatchType, Propagation, Selection};
use aviary_guest::{Check, Outcome};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    init: Vec<Step>,
    #[serde(default)]
    poll: Vec<Step>,
    #[serde(default)]
    cleanup: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Step {
    Get(Thing),
    List {
        kind: String,
        namespace: Option<String>,
        labels: Option<String>,
        keep: Option<String>,
        limit: Option<u32>,
    },
    Create {
        namespace: Option<String>,
        body: Value,
    },
    Apply {
        namespace: Option<String>,
        body: Value,
    },
    Patch {
        of: Thing,
        json: Option<Value>,
        merge: Option<Value>,
    },
    Delete {
        of: Thing,
        #[serde(default)]
        orphan: bool,
    },
    Wait {
        of: Thing,
        path: String,
        value: Option<String>,
        millis: u32,
    },
    Logs {
        namespace: String,
        pod: String,
    },
    Trap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Check for Script {
    fn init(&mut self) -> Result<(), String> {
        run(&self.init).map(drop)
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        run(&self.poll).map(Outcome::pass)
    }

    fn cleanup(&mut self) -> Result<(), String> {
        run(&self.cleanup).map(drop)
    }
}

fn run(steps: &[Step]) -> Result<String, String> {
    let mut last = Ok(String::new());
    for step in steps {
        last = Ok(step.run()?);
    }
    last
}

impl Step {
    fn run(&self) -> Result<String, kubernetes::Error> {
        match self {
            Self::Get(thing) => Ok(thing.object().get::<Value>()?.to_string()),
            Self::List { kind, namespace, labels, keep, limit } => {
                let (api_version, kind) = version(kind);
                let mut selection = Selection::of(api_version, kind);
                selection.namespace.clone_from(namespace);
                selection.label_selector.clone_from(labels);
                selection.fields.extend(keep.clone());
                selection.limit = *limit;
                let (items, truncated) = selection.list::<Value>()?;
                Ok(format!("{} truncated={truncated} {}", items.len(), Value::from(items)))
            }
            Self::Create { namespace, body } => {
                Ok(kubernetes::create(namespace.as_deref(), body)?.to_string())
            }
            Self::Apply { namespace, body } => Ok(kubernetes::apply(namespace.as_deref(), body)?.to_string()),
            Self::Patch { of, json: Some(patch), .. } => of.patch(PatchType::Json, patch),
            Self::Patch { of, merge, .. } => of.patch(PatchType::Merge, &merge.clone().unwrap_or_default()),
            Self::Delete { of, orphan } => {
                let propagation = if *orphan { Propagation::Orphan } else { Propagation::Background };
                of.object().delete(propagation).map(|()| "deleted".to_owned())
            }
            Self::Wait { of, path, value, millis } => {
                let timeout = Duration::from_millis((*millis).into());
                let found: Value = of.object().wait(path, value.as_deref(), Some(timeout))?;
                Ok(found.to_string())
            }
            Self::Logs { namespace, pod } => LogRequest::of(namespace, pod).read(),
            Self::Trap => panic!("the script says so"),
        }
    }
}

impl Thing {
    fn object(&self) -> Object {
        let (api_version, kind) = version(&self.kind);
        let object = Object::new(api_version, kind, &self.name);
        match &self.namespace {
            Some(namespace) => object.namespace(namespace),
            None => object,
        }
    }

    fn patch(&self, kind: PatchType, body: &Value) -> Result<String, kubernetes::Error> {
        Ok(self.object().patch::<Value>(kind, body)?.to_string())
    }
}

/// Splits `apps/v1/Deployment` into API version and kind.
fn version(kind: &str) -> (&str, &str) {
    kind.rsplit_once('/').unwrap_or(("v1", kind))
}

aviary_guest::export!(Script);
