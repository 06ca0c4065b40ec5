//! The calls of one guest to the API server: what it may do there, and in whose name.

use super::failure;
use crate::{
    capability::{
        bindings::aviary::check::kubernetes::{Error, Kind as KindName},
        shorten,
    },
    cluster::{Cluster, Kind, asked_pause, in_words},
    fair_semaphore::FairPermit,
    grant::{Access, Account, ObjectName},
    ledger::{Ledger, Round},
    manifest::Program,
    text::{is_label, is_subdomain},
    value::Key,
};
use kube::{Api, api::DynamicObject};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The first pause before a request is repeated; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Calls the API server for one live guest, in the name of its check's account.
pub(crate) struct Caller {
    pub(super) cluster: Arc<Cluster>,
    /// The identity of the check for which it calls.
    pub(super) key: Key,
    pub(super) program: Arc<Program>,
    pub(super) account: Option<Account>,
    pub(super) round: Round,
}

/// The objects of one kind in one namespace, or in all.
pub(super) struct Objects {
    pub(super) kind: Kind,
    /// The namespace of the objects; none for objects of the whole cluster, or of all namespaces.
    pub(super) namespace: Option<String>,
    pub(super) api: Api<DynamicObject>,
}

/// Whether a request that may have been carried out may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Always,
    /// The request is sent again only if the server says that it did nothing.
    IfRefused,
}

impl Caller {
    /// The caller for a guest of this check whose round begins now.
    pub(crate) fn new(ledger: &Arc<Ledger>, key: Key, program: Arc<Program>) -> Self {
        let (round, account) = (ledger.open(&key), program.authorization.account().cloned());
        Self { cluster: ledger.cluster(), account, round, key, program }
    }

    /// The objects of a kind in `namespace`, or in all namespaces without it.
    pub(super) async fn objects(&self, kind: &KindName, namespace: Option<&str>) -> Result<Objects, Error> {
        refuse_detours(kind, namespace)?;
        let find = || self.cluster.kind(&kind.api_version, &kind.kind);
        let found = self.request(Repeat::Always, find).await?;
        let namespace = match namespace {
            Some(namespace) if found.is_namespaced => Some(namespace.to_owned()),
            Some(namespace) => {
                let why = format!("{} is in no namespace, so not in {namespace}", found.resource.kind);
                return Err(Error::Invalid(why));
            }
            None => None,
        };
        let client = self.cluster.guest(self.account.as_ref()).map_err(|error| failure::answer(&error))?;
        let api = match &namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &found.resource),
            None => Api::all_with(client, &found.resource),
        };
        Ok(Objects { kind: found, namespace, api })
    }

    /// Sends a request each time there is a permit for its answer, until it is answered for good. The
    /// deadline of the call ends it.
    pub(super) async fn request<T, F>(&self, repeat: Repeat, send: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        self.request_in_turn(&mut None, repeat, send).await
    }

    /// Does as [`Self::request`], and keeps the permit in `permit` for what is done with the answer.
    pub(super) async fn request_in_turn<T, F>(
        &self,
        permit: &mut Option<FairPermit>,
        repeat: Repeat,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut pause = PAUSE;
        loop {
            if permit.is_none() {
                *permit = Some(self.permit().await);
            }
            match send().await {
                Ok(value) => return Ok(value),
                Err(error) if failure::is_passing(&error, repeat == Repeat::Always) => {
                    // Other guests may have the permit during the pause.
                    *permit = None;
                    tracing::debug!("the API server is asked again: {}", in_words(&error));
                    sleep(asked_pause(&error).max(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(failure::answer(&error)),
            }
        }
    }

    /// Waits for a permit for an answer to this guest.
    async fn permit(&self) -> FairPermit {
        self.cluster.turn(self.key.namespace()).await
    }

    /// The place of one object of a kind: `namespace`, or the check's own without it, or none for objects of
    /// the whole cluster.
    pub(super) async fn place(&self, kind: &KindName, namespace: Option<&str>) -> Result<Objects, Error> {
        let objects = self.objects(kind, namespace).await?;
        if objects.kind.is_namespaced && objects.namespace.is_none() {
            return self.objects(kind, Some(self.key.namespace())).await;
        }
        Ok(objects)
    }

    /// Refuses access that is not granted, and names that are not valid.
    pub(super) fn judge(&self, verb: &str, objects: &Objects, name: Option<&str>) -> Result<(), Error> {
        let plural = &objects.kind.resource.plural;
        self.judge_resource(verb, objects, plural, name)
    }

    /// Refuses access to a part of objects such as `pods/log`, as [`Self::judge`] does for whole objects.
    pub(super) fn judge_resource(
        &self,
        verb: &str,
        objects: &Objects,
        resource: &str,
        name: Option<&str>,
    ) -> Result<(), Error> {
        name.map(str::parse::<ObjectName>).transpose().map_err(Error::Invalid)?;
        let group = objects.kind.resource.group.as_str();
        let namespace = objects.namespace.as_deref();
        let access = Access { verb, group, resource, namespace, name };
        self.program.authorization.kubernetes(&access).map_err(|denied| Error::Denied(denied.to_string()))
    }
}

/// Refuses words that would lead to another path. The client writes them into paths as they are, so nobody
/// would have judged that one.
fn refuse_detours(kind: &KindName, namespace: Option<&str>) -> Result<(), Error> {
    let version = kind.api_version.as_str();
    let is_version = match version.split_once('/') {
        Some((group, version)) => is_subdomain(group) && is_label(version),
        None => is_label(version),
    };
    if !is_version {
        let version = shorten(version);
        return Err(Error::Invalid(format!(
            "`{version}` is no apiVersion: write for example `v1` or `apps/v1`"
        )));
    }
    match namespace.filter(|namespace| !is_label(namespace)) {
        Some(namespace) => Err(Error::Invalid(format!("`{}` is no namespace", shorten(namespace)))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use kube::core::Status;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// A caller whose API server does not exist.
    fn caller() -> Caller {
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("a URL"));
        let ledger = Ledger::fleeting(Arc::new(Cluster::new(config).expect("a client")), Arc::default());
        let key = Key::new("team-a", "test").expect("a key");
        let program = Program::bare("team-a", "test.wasm".parse().expect("a module"));
        Caller::new(&ledger, key, Arc::new(program))
    }

    fn refuse<T>(code: u16) -> Result<T, kube::Error> {
        Err(kube::Error::Api(Status { code, ..Status::default() }.boxed()))
    }

    /// Asks a server that refuses this many times with this code. Returns the answer, and how often the
    /// server was asked.
    async fn ask(repeat: Repeat, code: u16, refusals: u32) -> (Result<(), Error>, u32) {
        let asked = AtomicU32::new(0);
        let send = async || if asked.fetch_add(1, Relaxed) < refusals { refuse(code) } else { Ok(()) };
        let answered = caller().request(repeat, &send).await;
        (answered, asked.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_busy_or_failing_is_asked_until_it_answers() {
        for code in [429, 500, 502, 503, 504] {
            assert!(matches!(ask(Repeat::Always, code, 5).await, (Ok(()), 6)), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_left_alone_for_as_long_as_it_asks() {
        let busy =
            || serde_json::from_str::<Status>(r#"{ "code": 429, "details": { "retryAfterSeconds": 30 } }"#);
        let (asked, since) = (AtomicU32::new(0), tokio::time::Instant::now());
        let send = async || match asked.fetch_add(1, Relaxed) {
            0 => Err(kube::Error::Api(busy().expect("a status").boxed())),
            _ => Ok(()),
        };
        assert!(caller().request(Repeat::Always, &send).await.is_ok());
        assert_eq!(since.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_is_not_asked_for_again() {
        assert!(matches!(ask(Repeat::IfRefused, 500, 1).await, (Err(Error::Unavailable(_)), 1)));
        assert!(matches!(ask(Repeat::IfRefused, 429, 1).await, (Ok(()), 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_pauses_lets_others_have_their_turn() {
        let caller = caller();
        let mut permit = Some(caller.permit().await);
        let _others = [caller.permit().await, caller.permit().await, caller.permit().await];
        assert!(caller.permit().now_or_never().is_none(), "all are taken");
        let asked = AtomicU32::new(0);
        let send = async || if asked.fetch_add(1, Relaxed) < 3 { refuse(429) } else { Ok(()) };
        let asking = caller.request_in_turn(&mut permit, Repeat::Always, &send);
        let other = async {
            sleep(PAUSE / 2).await;
            caller.permit().now_or_never().is_some_and(|permit| {
                drop(permit);
                true
            })
        };
        let (asked, other) = tokio::join!(asking, other);
        assert!(asked.is_ok() && other);
        assert!(permit.is_some(), "for what is done with the answer");
    }
}
