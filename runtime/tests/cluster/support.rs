//! An aviary in this process, over ConfigMaps in namespaces of its own.

use crate::given::{Given, PATIENCE};
use aviary::{
    board::{Board, Source, View},
    capability::dial::{Network, NetworkOptions},
    grant::CLUSTER_DOMAIN,
    inventory::Inventory,
    notify::Notifier,
    policy::Policy,
    sandbox::Sandbox,
    scheduler::Clock,
    settings::{CompilerConfig, Namespaces},
    signature::Keyring,
    source::{Taken, configmap::ConfigMaps},
};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{ConfigMap, Event},
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The service account of tests of rights.
const ACCOUNT: &str = "aviary";

impl Given {
    /// A client with the rights of an account, over this proxy.
    pub(crate) fn as_account(&self, namespace: &str, proxy: &Proxy) -> Client {
        let mut config = self.through(proxy);
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{ACCOUNT}"));
        Client::try_from(config).expect("a client")
    }

    /// A client of the administrator, over this proxy.
    pub(crate) fn over(&self, proxy: &Proxy) -> Client {
        Client::try_from(self.through(proxy)).expect("a client")
    }

    /// The configuration that reaches the cluster over this proxy.
    pub(crate) fn through(&self, proxy: &Proxy) -> Config {
        let mut config = self.config.clone();
        let host = config.cluster_url.host().expect("a host").to_owned();
        config.tls_server_name.get_or_insert(host);
        config.cluster_url = format!("https://127.0.0.1:{}", proxy.port).parse().expect("an address");
        config.default_retry = false;
        config
    }

    /// Lets the account of one namespace follow the ConfigMaps of another.
    pub(crate) async fn grant(&self, account_in: &str, namespace: &str) {
        let rule = PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["configmaps".to_owned()]),
            verbs: ["get", "list", "watch"].map(str::to_owned).into(),
            ..PolicyRule::default()
        };
        let metadata = ObjectMeta { name: Some(ACCOUNT.to_owned()), ..ObjectMeta::default() };
        let role = Role { metadata: metadata.clone(), rules: Some(vec![rule]) };
        let roles: Api<Role> = Api::namespaced(self.client.clone(), namespace);
        // Fails if the role is there already from an earlier grant that was revoked.
        let _ = roles.create(&PostParams::default(), &role).await;
        let subject = Subject {
            kind: "ServiceAccount".to_owned(),
            name: ACCOUNT.to_owned(),
            namespace: Some(account_in.to_owned()),
            ..Subject::default()
        };
        let role_ref = RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: ACCOUNT.to_owned(),
        };
        let binding = RoleBinding { metadata, role_ref, subjects: Some(vec![subject]) };
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        bindings.create(&PostParams::default(), &binding).await.expect("a binding");
    }

    /// Revokes what [`Self::grant`] gave.
    pub(crate) async fn revoke(&self, namespace: &str) {
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        bindings.delete(ACCOUNT, &DeleteParams::default()).await.expect("revoked");
    }

    /// Creates or replaces a ConfigMap of the source.
    pub(crate) async fn apply(&self, namespace: &str, name: &str, files: &Files) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let mut map = files.0.clone();
        map.metadata.name = Some(name.to_owned());
        if api.get_opt(name).await.expect("an answer").is_some() {
            api.replace(name, &PostParams::default(), &map).await.expect("replaced");
        } else {
            api.create(&PostParams::default(), &map).await.expect("created");
        }
    }

    /// Deletes a ConfigMap.
    pub(crate) async fn delete(&self, namespace: &str, name: &str) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        api.delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// Waits for an event on a ConfigMap of this reason, with this in its message.
    pub(crate) async fn until_event(&self, namespace: &str, name: &str, reason: &str, part: &str) -> Event {
        let has_part = |event: &Event| event.message.as_deref().is_some_and(|text| text.contains(part));
        let is_so = |event: &Event| event.reason.as_deref() == Some(reason) && has_part(event);
        self.until_event_like(namespace, name, is_so).await
    }

    /// Waits for an event on a ConfigMap that is like this.
    pub(crate) async fn until_event_like(
        &self,
        namespace: &str,
        name: &str,
        is_so: impl Fn(&Event) -> bool,
    ) -> Event {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let look = async {
            loop {
                let events = api.list(&about).await.expect("events").items;
                if let Some(event) = events.iter().find(|event| is_so(event)) {
                    return event.clone();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("no such event on {name}"))
    }
}

/// The files in a ConfigMap of the source.
#[derive(Clone)]
pub(crate) struct Files(ConfigMap);

impl Files {
    pub(crate) fn new() -> Self {
        let labels = BTreeMap::from([("aviary.dev/checks".to_owned(), "true".to_owned())]);
        let metadata = ObjectMeta { labels: Some(labels), ..ObjectMeta::default() };
        Self(ConfigMap { metadata, ..ConfigMap::default() })
    }

    /// A manifest of the check `web`, whose module `web.wasm` is this guest.
    pub(crate) fn web(guest: &str) -> Self {
        Self::new().manifest("web").module("web.wasm", guest)
    }

    pub(crate) fn manifest(self, name: &str) -> Self {
        self.text(
            "web.yaml",
            &format!(
                "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: {name} }}\n\
                 spec: {{ module: web.wasm, interval: 100ms }}\n"
            ),
        )
    }

    pub(crate) fn text(mut self, key: &str, text: &str) -> Self {
        self.0.data.get_or_insert_default().insert(key.to_owned(), text.to_owned());
        self
    }

    pub(crate) fn module(mut self, key: &str, guest: &str) -> Self {
        let bytes = ByteString(fs::read(guest).expect("a guest"));
        self.0.binary_data.get_or_insert_default().insert(key.to_owned(), bytes);
        self
    }
}

/// A running inventory over ConfigMaps.
pub(crate) struct Aviary {
    pub(crate) board: Arc<Board>,
    pub(crate) taken: watch::Sender<Taken>,
    stop: CancellationToken,
    inventory: JoinHandle<bool>,
    /// The source and the notifier.
    others: [JoinHandle<()>; 2],
}

impl Aviary {
    pub(crate) fn start(client: Client, namespaces: &[&str]) -> Self {
        let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
        let (changes, inbox) = mpsc::channel(4);
        let network = Network::new(&NetworkOptions::default()).expect("a network");
        let compiler =
            CompilerConfig { program: env!("CARGO_BIN_EXE_aviary").into(), ..CompilerConfig::default() };
        let sandbox = Sandbox::new(8, compiler, Arc::new(network), None).expect("a sandbox");
        let inventory =
            Inventory::new(Arc::new(sandbox), Keyring::default(), Arc::clone(&board), Clock::start(), 1);
        let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), PATIENCE));
        let notifier = tokio::spawn(Notifier::new(client.clone(), &board).run(stop.clone()));
        let source = ConfigMaps {
            client,
            namespaces: Namespaces::Only(namespaces.iter().map(|name| (*name).to_owned()).collect()),
            selector: "aviary.dev/checks=true".to_owned(),
            policy: Arc::new(Policy::new(None, CLUSTER_DOMAIN)),
            max_module_size: 1 << 22,
        };
        let (taken, taken_by_others) = watch::channel(Taken::default());
        let source = tokio::spawn(source.watch(changes, taken_by_others, Arc::clone(&board), stop.clone()));
        Self { board, taken, stop, inventory, others: [source, notifier] }
    }

    pub(crate) fn view(&self, check: &str) -> Option<View> {
        self.board.get(&check.parse().expect("a key")).map(|entry| entry.view())
    }

    /// Waits until a check looks like this.
    pub(crate) async fn until(&self, check: &str, what: &str, is_so: impl Fn(&View) -> bool) -> View {
        let look = async {
            loop {
                match self.view(check) {
                    Some(view) if is_so(&view) => return view,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, look)
            .await
            .unwrap_or_else(|_| panic!("{check} never {what}: {:?}", self.view(check)))
    }

    /// Waits until there is no such check.
    pub(crate) async fn until_gone(&self, check: &str) {
        let look = async {
            while self.view(check).is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{check} never goes"));
    }

    /// Waits until the source looks like this.
    pub(crate) async fn until_source(&self, what: &str, is_so: impl Fn(&Source) -> bool) -> Source {
        let look = async {
            loop {
                match self.board.sources().pop() {
                    Some(source) if is_so(&source) => return source,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let found = timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("the source never {what}: {:?}", self.board.sources()))
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        assert!(self.inventory.await.expect("no panic"), "everything ended clean");
        for other in self.others {
            timeout(PATIENCE, other).await.expect("in time").expect("no panic");
        }
    }
}

/// A proxy to the API server that can be cut.
pub(crate) struct Proxy {
    port: u16,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(cluster: &Given) -> Self {
        let url = &cluster.config.cluster_url;
        let server = format!("{}:{}", url.host().expect("a host"), url.port_u16().unwrap_or(443));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (open, is_open) = watch::channel(true);
        let task = tokio::spawn(forward(listener, server, is_open));
        Self { port, open, task }
    }

    /// Cuts every connection, and refuses new ones.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, server: String, is_open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut near, _)) = listener.accept().await else { return };
        let (server, mut is_open) = (server.clone(), is_open.clone());
        connections.spawn(async move {
            if !*is_open.borrow() {
                return;
            }
            let Ok(mut far) = TcpStream::connect(server).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = is_open.wait_for(|open| !open) => {}
            }
        });
    }
}
