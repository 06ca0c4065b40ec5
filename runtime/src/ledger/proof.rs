//! The proof, before a check makes an object, that such objects can be found and deleted again.

use super::{ObjectLocation, mark, objects::Objects};
use crate::{
    cluster::{Cluster, Kind, code, in_words, within},
    value::Key,
};
use kube::api::{DeleteParams, ListParams, Preconditions};

/// The name and uid of an object that does not exist.
const NONE: &str = "aviary-none";
/// The verbs that a sweep needs.
const VERBS: [&str; 2] = ["list", "delete"];

/// Why it is not certain that objects could be deleted again.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The account lacks a right.
    #[error(
        "what a check makes, it has to be able to list and delete again, whatever its name: {who} lacks the \
         rule {{ apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}] }}{}: {said}",
        scope(.namespace.as_deref())
    )]
    Forbidden {
        /// The account, or the daemon itself.
        who: String,
        /// The verb that is not allowed.
        verb: &'static str,
        /// The API group of the resource.
        group: String,
        /// The name of the resource in the plural.
        resource: String,
        /// The namespace in which the right is missing; none for the whole cluster.
        namespace: Option<String>,
        /// The words of the API server.
        said: String,
    },
    /// The API server does not have the verb at all.
    #[error(
        "what a check makes, it has to be able to {verb} again, and the API server has no {verb} for {place}"
    )]
    Impossible {
        /// The verb that is missing.
        verb: &'static str,
        /// The place where objects would be made.
        place: ObjectLocation,
    },
    /// The API server does not say whether it is allowed.
    #[error("it cannot be seen whether objects could be deleted again from {place}: {}", in_words(.error))]
    Unknown {
        /// The place where objects would be made.
        place: ObjectLocation,
        /// The error that came instead of an answer.
        #[source]
        error: kube::Error,
    },
}

/// Lists the objects of the check at the place, and tries to delete one that does not exist. Both have to be
/// allowed.
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
        // The deletion was allowed, and found nothing.
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
