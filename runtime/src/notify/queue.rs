//! Events that wait to be written.

use super::{
    event::{PendingEvent, Reason},
    fair_queue::{FairQueue, Topic},
};
use crate::{
    text::{cut_to, printable},
    value::{Key, Origin},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time::sleep};

/// The longest message of an event in bytes.
pub(super) const LONGEST_MESSAGE: usize = 1024;

/// Events that wait to be written to the objects that they are about.
#[derive(Default)]
pub(super) struct EventQueue {
    waiting: Mutex<FairQueue<PendingEvent>>,
    more: Notify,
}

impl EventQueue {
    /// Adds an event about an object. It replaces an earlier event of the same topic. An origin that is a
    /// file gets no events.
    pub(super) fn put(&self, origin: &Origin, about: &str, reason: Reason, message: &str) {
        let Origin::ConfigMap { name, uid } = origin else { return };
        let message = printable(cut_to(message, LONGEST_MESSAGE));
        let message = cut_to(&message, LONGEST_MESSAGE).to_owned();
        let topic = Topic { place: name.clone(), about: about.to_owned() };
        self.waiting().put(topic, PendingEvent { uid: uid.clone(), reason, message });
        self.more.notify_one();
    }

    /// Adds an event about a check to the object that the check is from.
    pub(super) fn put_about(&self, origin: &Origin, check: &Key, reason: Reason, message: &str) {
        // A denied grant or a quarantine has a topic of its own, so that it does not replace the event of the load.
        let apart = match reason {
            Reason::ModuleLoaded | Reason::ModuleRejected => "",
            Reason::GrantDenied | Reason::CheckQuarantined => reason.label(),
        };
        self.put(origin, &format!("{check} {apart}"), reason, &format!("{}: {message}", check.name()));
    }

    /// Adds an event again that could not be written, unless a later event of its topic waits.
    pub(super) fn put_back(&self, topic: Topic, event: PendingEvent) {
        self.waiting().put_back(topic, event);
    }

    /// Drops all events about an object that is gone.
    pub(super) fn forget(&self, origin: &Origin) {
        if let Origin::ConfigMap { name, .. } = origin {
            self.waiting().forget(name);
        }
    }

    /// Waits until an event may be written, and takes it.
    pub(super) async fn next(&self) -> (Topic, PendingEvent) {
        loop {
            let next = self.waiting().take();
            match next {
                Ok(next) => return next,
                Err(Some(pause)) => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.more.notified() => {}
                    }
                }
                Err(None) => self.more.notified().await,
            }
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, FairQueue<PendingEvent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
