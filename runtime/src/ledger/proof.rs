//! That what a check makes can be found and deleted again, shown before it is made.

use super::{ObjectLocation, mark, objects::Objects};
use crate::{
    cluster::{Cluster, Kind, code, in_words, within},
    value::Key,
};
use kube::api::{DeleteParams, ListParams, Preconditions};

/// The name and uid of an object that there is not.
const NONE: &str = "aviary-none";
/// What it takes to sweep.
const VERBS: [&str; 2] = ["list", "delete"];

/// Why it is not sure that objects could be deleted again.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The account lacks a right.
    #[error(
        "what a check makes, it has to be able to list and delete again, whatever its name: {who} lacks the \
         rule {{ apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}] }}{}: {said}",
        scope(.namespace.as_deref())
    )]
    Forbidden {
        /// The account.
        who: String,
        /// What is not allowed.
        verb: &'static str,
        /// The group of the kind of objects.
        group: String,
        /// Its name in the plural.
        resource: String,
        /// None for the whole cluster.
        namespace: Option<String>,
        /// The words of the API server.
        said: String,
    },
    /// Nobody can.
    #[error(
        "what a check makes, it has to be able to {verb} again, and the API server has no {verb} for {place}"
    )]
    Impossible {
        /// What cannot be done.
        verb: &'static str,
        /// Where.
        place: ObjectLocation,
    },
    /// The API server does not say.
    #[error("it cannot be seen whether objects could be deleted again from {place}: {}", in_words(.error))]
    Unknown {
        /// Where.
        place: ObjectLocation,
        /// What it said instead.
        #[source]
        error: kube::Error,
    },
}

/// Asks for objects of the check at the place, and for the deletion of one that there is not.
pub(super) async fn prove(
    cluster: &Cluster,
    place: &ObjectLocation,
    daemon: &str,
    key: &Key,
) -> Result<(), Unproven> {
    let unknown = |error| Unproven::Unknown { place: place.clone(), error };
    let kind = within(cluster.kind(&place.api_version, &place.kind)).await.map_err(unknown)?;
    if let Some(verb) = VERBS.into_iter().find(|verb| !kind.can(verb)) {
        return Err(Unproven::Impossible { verb, place: place.clone() });
    }
    let objects = Objects::at(place, &kind, cluster).map_err(unknown)?;
    let selected = ListParams::default().labels(&mark::selector(daemon, key)).limit(1);
    let nothing = Preconditions { uid: Some(NONE.to_owned()), resource_version: None };
    let nothing = DeleteParams::default().preconditions(nothing).dry_run();
    let (listed, deleted) = tokio::join!(objects.list(&selected), objects.delete(NONE, &nothing));
    let [list, delete] = VERBS;
    listed.map_err(|error| judge(error, list, place, &kind))?;
    match deleted {
        // It may be tried.
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        deleted => deleted.map_err(|error| judge(error, delete, place, &kind)),
    }
}

fn judge(error: kube::Error, verb: &'static str, place: &ObjectLocation, kind: &Kind) -> Unproven {
    match code(&error) {
        Some(403) => Unproven::Forbidden {
            who: place.account.as_ref().map_or_else(|| "the daemon".to_owned(), ToString::to_string),
            verb,
            group: kind.resource.group.clone(),
            resource: kind.resource.plural.clone(),
            namespace: place.namespace.clone(),
            said: in_words(&error),
        },
        Some(405) => Unproven::Impossible { verb, place: place.clone() },
        _ => Unproven::Unknown { place: place.clone(), error },
    }
}

fn scope(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| " in the whole cluster".to_owned(), |namespace| format!(" in {namespace}"))
}
