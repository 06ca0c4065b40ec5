//! The board: the latest state and a short history of every check. All readers read only this.

mod demand;
mod entry;
mod files;
mod health;
mod lag;
mod next;
mod notice;
mod source_status;
mod state;
mod view;

pub use demand::Demand;
pub use entry::Entry;
pub use files::{Files, Reload};
pub use health::{CheckState, Thresholds};
pub use lag::Lag;
pub use next::{Next, Quarantine};
pub use notice::Notice;
pub use source_status::{Source, SourceStatus};
pub use view::{Counts, Module, View};

use crate::{
    manifest::Check,
    quota::NamespaceQuotas,
    usage::{
        Leftovers,
        log::{NamespaceLog, NamespaceLogs},
    },
    value::{Key, Origin, Size},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::broadcast, time::Instant};

/// The most events, and the most notices, that a slow listener may lag behind before it misses some.
const EVENT_BACKLOG: usize = 1024;

/// How long a check that arrives may take until its first run, before it counts as one that has not run.
/// Its manifest and module may be copied one after the other, and the module is compiled.
const SETTLING: Duration = Duration::from_secs(2);

/// Something that happened to a check.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The check that it happened to, as `namespace/name`.
    #[schema(value_type = String)]
    pub check: Key,
    /// Where the check's newest manifest lies.
    #[serde(skip)]
    pub origin: Arc<Origin>,
    /// What kind of event it is.
    #[serde(flatten)]
    pub kind: EventKind,
    /// What happened, in words for people.
    pub message: String,
}

/// What happened to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EventKind {
    /// A manifest and module went live.
    Loaded,
    /// A manifest or module was not accepted; whatever ran before goes on.
    Rejected,
    /// The state of the check has changed.
    Changed {
        /// The former state of the check.
        from: CheckState,
        /// The present state of the check.
        to: CheckState,
    },
    /// The guest asked for something that is not granted.
    Denied,
    /// A round ended and its cleanup did not work.
    CleanupFailed,
    /// The guest broke down so often in a row that it is tried more rarely.
    Quarantined,
    /// The check is gone.
    Removed,
}

impl EventKind {
    /// The kind of the event as programs read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Rejected => "rejected",
            Self::Changed { .. } => "changed",
            Self::Denied => "denied",
            Self::CleanupFailed => "cleanupFailed",
            Self::Quarantined => "quarantined",
            Self::Removed => "removed",
        }
    }
}

/// The entries of all checks, and the channel of their events.
#[derive(Debug)]
pub struct Board {
    /// The lag of runs over all checks.
    pub lag: Lag,
    /// The state of the daemon's own files.
    pub files: Files,
    /// The number of objects that checks left over in the cluster.
    pub leftovers: Arc<Leftovers>,
    /// The log budgets of the namespaces that are not trusted.
    pub logs: Arc<NamespaceLogs>,
    entries: RwLock<BTreeMap<Key, Arc<Entry>>>,
    /// The quota of each namespace for the bytes of its checks' metrics.
    namespaces: NamespaceQuotas,
    /// The quota of each namespace for the bytes of its checks' targets.
    targets: NamespaceQuotas,
    contacts: RwLock<Vec<Arc<SourceStatus>>>,
    events: broadcast::Sender<Arc<Event>>,
    notices: broadcast::Sender<Notice>,
    ready: AtomicBool,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            lag: Lag::default(),
            files: Files::default(),
            leftovers: Arc::default(),
            logs: Arc::default(),
            entries: RwLock::default(),
            namespaces: NamespaceQuotas::default(),
            targets: NamespaceQuotas::default(),
            contacts: RwLock::default(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            notices: broadcast::Sender::new(EVENT_BACKLOG),
            ready: AtomicBool::new(false),
        }
    }
}

impl Board {
    /// The entries of all checks, ordered by namespace and name.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The entries of all checks of this namespace, ordered by name.
    pub fn entries_of(&self, namespace: &str) -> Vec<Arc<Entry>> {
        // The first possible name of a check.
        let Ok(first) = Key::new(namespace, "0") else { return Vec::new() };
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let from_first = entries.range(first..).take_while(|(key, _)| key.namespace() == namespace);
        from_first.map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// The entry of this check, if there is one.
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The entry of this check, made if there is none. The check's newest manifest lies at `origin`.
    pub fn enter(&self, check: &Arc<Check>, origin: &Arc<Origin>) -> Arc<Entry> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        // At the start nothing is known about a check, and nobody should take that for good.
        let settled = self.is_ready().then(|| Instant::now() + SETTLING);
        let fresh =
            || Arc::new(Entry::new(Arc::clone(check), Arc::clone(origin), settled, self.events.clone()));
        let entry = Arc::clone(entries.entry(check.key.clone()).or_insert_with(fresh));
        entry.set_origin(origin);
        let of =
            |all: &NamespaceQuotas, most: Option<Size>| most.map(|most| all.of(check.key.namespace(), most));
        // A check that was only refused until now has no known ceiling.
        let (series, targets) = (check.program.authorization.series(), check.program.authorization.targets());
        entry.share(of(&self.namespaces, series), of(&self.targets, targets), self.log_of(check));
        entry
    }

    fn log_of(&self, check: &Check) -> Option<Arc<NamespaceLog>> {
        let namespace = check.key.namespace();
        match check.program.authorization.is_trusted() {
            // Nothing may be granted because nobody could read what the manifest asks for.
            true if check.program.authorization.grants_nothing() => self.logs.get(namespace),
            true => None,
            false => Some(self.logs.bound(namespace)),
        }
    }

    /// Spends a line of `bytes` bytes about a check in the log; false if its budget, or that of its
    /// namespace, leaves no room.
    pub fn has_room_in_log(&self, key: &Key, bytes: usize) -> bool {
        match self.get(key) {
            Some(entry) => entry.usage.log.has_room(bytes),
            None => self.logs.has_room(key.namespace(), bytes),
        }
    }

    /// Takes a check off the board, and publishes that.
    pub fn remove(&self, key: &Key) {
        let removed = self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(entry) = removed {
            entry.tell(EventKind::Removed, String::new());
        }
    }

    /// Puts a source with these places on the board, none of them reached yet.
    pub fn connect(&self, name: &'static str, places: impl IntoIterator<Item = String>) -> Arc<SourceStatus> {
        let contact = Arc::new(SourceStatus::new(name, places));
        self.contacts.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&contact));
        contact
    }

    /// The state of each source.
    pub fn sources(&self) -> Vec<Source> {
        let contacts = self.contacts.read().unwrap_or_else(PoisonError::into_inner);
        contacts.iter().map(|contact| contact.source()).collect()
    }

    /// Subscribes to the events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Publishes something about an object that checks are from.
    pub fn notice(&self, notice: Notice) {
        // Sending fails only without listeners, which is no error.
        let _ = self.notices.send(notice);
    }

    /// Listens to the notices from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Whether every source has been read once, and so all checks are known.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Says whether the daemon is ready. It no longer is once it stops.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grant::{Authorization, CLUSTER_DOMAIN, Ceiling, Grants},
        outcome::Outcome,
        value::Limit,
    };

    fn origin() -> Arc<Origin> {
        Arc::new(Origin::File("test.yaml".into()))
    }

    #[test]
    fn a_check_that_is_off_the_board_tells_nothing_more() {
        let board = Board::default();
        let check = Check::bare("a/b".parse().expect("a key"), "m.wasm".parse().expect("a module"));
        let entry = board.enter(&Arc::new(check), &origin());
        let mut told = board.listen();
        board.remove(&entry.key);
        entry.record_failed_cleanup(&Ok(Outcome::fail("cleanup: no")));
        assert_eq!(told.try_recv().map(|event| event.kind).ok(), Some(EventKind::Removed));
        assert!(told.try_recv().is_err());
    }

    /// The check `name` under this ceiling.
    fn check(name: &str, ceiling: &Arc<Ceiling>) -> Arc<Check> {
        let key = Key::new("team-a", name).expect("a key");
        let authorization =
            Authorization::new("team-a", Grants::default(), None, ceiling).expect("an authorization");
        let mut check = Check::bare(key, "test.wasm".parse().expect("a module"));
        Arc::make_mut(&mut check.program).authorization = authorization;
        Arc::new(check)
    }

    /// How many lines of checks that all want to write ten get into the log, and how often their limit was
    /// hit.
    fn lines(board: &Board, ceiling: &Arc<Ceiling>) -> (usize, u64) {
        let entries: Vec<_> =
            (0..500).map(|number| board.enter(&check(&format!("c{number}"), ceiling), &origin())).collect();
        let admitted =
            entries.iter().map(|entry| (0..10).filter(|_| entry.usage.log.admits(1)).count()).sum();
        (admitted, entries.iter().map(|entry| entry.usage.hits.get(Limit::LogLines)).sum())
    }

    #[tokio::test(start_paused = true)]
    async fn all_checks_of_a_tenant_write_no_more_lines_than_one_namespace_may_and_what_is_lost_is_counted() {
        let tenant = Ceiling::tenant("team-a", CLUSTER_DOMAIN, Arc::default());
        assert_eq!(lines(&Board::default(), &tenant), (200, 4_800));
        assert_eq!(lines(&Board::default(), &Ceiling::trusted("team-a")), (5_000, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_checks_are_refused_in_different_words_again_and_again_counts_as_well() {
        let (board, tenant) = (Board::default(), Ceiling::tenant("team-a", CLUSTER_DOMAIN, Arc::default()));
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            let entry = board.enter(&check(name, &tenant), &origin());
            (0..30).for_each(|number| entry.usage.deny(&format!("not granted: {number}")));
        }
        assert!(!board.logs.has_room("team-a", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_about_checks_that_are_refused_or_gone_counts_for_their_namespace() {
        let board = Board::default();
        board.logs.bound("team-a");
        let key: Key = "team-a/refused".parse().expect("a key");
        let check = Check::bare(key.clone(), "test.wasm".parse().expect("a module"));
        board.enter(&Arc::new(check), &origin());
        assert_eq!((0..500).filter(|_| board.has_room_in_log(&key, 1)).count(), 200);
        board.remove(&key);
        assert!(!board.has_room_in_log(&key, 1));
        assert!(board.has_room_in_log(&"team-b/web".parse().expect("a key"), 1));
    }
}
