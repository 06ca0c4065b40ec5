//! Reads ConfigMaps, and keeps their modules in memory until these are compiled.

use super::{
    ConfigMapName, ConfigMaps, Seen,
    content::{Content, Former, Modules},
    objects::Objects,
};
use crate::{
    cluster::{in_words, within},
    fair_semaphore::{FairPermit, FairSemaphore},
    policy::Policy,
    source::{FetchedModule, ModuleSource, Packed, bundle::Desired},
    value::{Digest, Key},
};
use futures_util::{FutureExt, future::BoxFuture};
use kube::Client;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
};

/// The most ConfigMaps whose modules are in memory at a time. Each has about 1 MiB.
const MOST_HELD: usize = 32;
/// The most ConfigMaps of one namespace whose modules are in memory at a time.
const MOST_OF_EACH: usize = 2;
/// The most ConfigMaps that are read and decoded at once.
const READS: usize = 4;

/// A reader of ConfigMaps that serves namespaces in turn.
#[derive(Clone)]
pub(super) struct Reader {
    client: Client,
    policy: Arc<Policy>,
    limit: usize,
    turns: FairSemaphore,
    reads: Arc<Semaphore>,
}

/// The result of reading a ConfigMap; none if it is gone. The error says why it cannot be read.
pub(super) type Read = Result<Option<WantedConfigMap>, String>;

/// A ConfigMap that was read, and the checks that it asks for.
pub(super) struct WantedConfigMap {
    pub(super) seen: Seen,
    pub(super) wishes: BTreeMap<Key, Desired>,
    /// The modules that the manifests of the ConfigMap name or named.
    pub(super) named: BTreeSet<String>,
    pub(super) modules: HeldModules,
}

/// The modules of a ConfigMap, and how to read it again. All modules stay in memory while one of them is in use.
pub(super) struct HeldModules {
    modules: Arc<(Modules, FairPermit)>,
    place: ConfigMapName,
    reader: Reader,
}

impl Reader {
    pub(super) fn new(source: &ConfigMaps) -> Self {
        Self {
            client: source.client.clone(),
            policy: Arc::clone(&source.policy),
            limit: source.max_module_size,
            turns: FairSemaphore::new(MOST_HELD, MOST_OF_EACH),
            reads: Arc::new(Semaphore::new(READS)),
        }
    }

    /// Reads a ConfigMap once its namespace has a permit. `former` holds its checks of the last read.
    pub(super) async fn read(&self, place: &ConfigMapName, former: Former) -> Read {
        let turn = self.turns.take(&place.namespace).await;
        let _read = self.reads.acquire().await;
        let objects = Objects::new(&self.client, Some(&place.namespace));
        let found = within(objects.get(&place.name)).await.map_err(|error| in_words(&error))?;
        let Some((seen, map)) = found else { return Ok(None) };
        let ceiling = self.policy.ceiling_for(&place.namespace);
        let (here, limit) = (place.clone(), self.limit);
        let read = spawn_blocking(move || {
            let content = Content::read(here, map, &ceiling, limit);
            (content.wishes(&former), content.into_modules())
        });
        let ((wishes, named), modules) = read.await.map_err(|error| broke_down(&error))?;
        let modules =
            HeldModules { modules: Arc::new((modules, turn)), place: place.clone(), reader: self.clone() };
        Ok(Some(WantedConfigMap { seen, wishes, named, modules }))
    }
}

/// The message for a read that panicked.
pub(super) fn broke_down(error: &JoinError) -> String {
    format!("reading it broke down: {error}")
}

impl HeldModules {
    /// One module of the ConfigMap, to be decoded later.
    pub(super) fn pack(&self, name: &str, digest: Digest) -> Packed {
        let source =
            MapModule { reader: self.reader.clone(), place: self.place.clone(), name: name.to_owned() };
        Packed::new(digest, source).at_hand(self.module(name))
    }

    fn module(&self, name: &str) -> HeldModule {
        HeldModule { modules: Arc::clone(&self.modules), name: name.to_owned() }
    }
}

/// A module in a ConfigMap, as a module source. Fetching reads the ConfigMap again.
struct MapModule {
    reader: Reader,
    place: ConfigMapName,
    name: String,
}

impl ModuleSource for MapModule {
    fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>> {
        async {
            let read = self.reader.read(&self.place, Former::default()).await?;
            let wanted = read.ok_or_else(|| format!("the ConfigMap {} is gone", self.place))?;
            let module: Arc<dyn FetchedModule> = Arc::new(wanted.modules.module(&self.name));
            Ok(module)
        }
        .boxed()
    }
}

/// A fetched module. It keeps the other modules of its ConfigMap in memory as well.
struct HeldModule {
    modules: Arc<(Modules, FairPermit)>,
    name: String,
}

impl FetchedModule for HeldModule {
    fn decode(&self) -> Result<Vec<u8>, String> {
        self.modules.0.decode(&self.name)
    }
}
