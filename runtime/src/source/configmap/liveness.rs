//! Asks whether the API server still answers while no watch delivers anything.

use super::objects::Objects;
use crate::cluster::{code, in_words, within};
use kube::{Client, api::ListParams};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How long no watch may deliver anything before the API server is asked. It has 10 s to answer, so that its
/// absence shows within 30 s.
const QUIET: Duration = Duration::from_secs(15);
/// The lowest status code with which an API server in trouble answers, or a proxy before it.
const TROUBLE: u16 = 500;

/// Asks the API server for a sign of life while no watch delivers anything. One instance serves all watches.
pub(super) struct Liveness {
    objects: Objects,
    heard: Mutex<Instant>,
    /// Tells why the API server did not answer.
    silent: watch::Sender<String>,
}

impl Liveness {
    /// An instance that asks for the ConfigMaps of one namespace, or of all namespaces if `namespace` is none.
    pub(super) fn new(client: &Client, namespace: Option<&str>) -> Self {
        let heard = Mutex::new(Instant::now());
        Self { objects: Objects::new(client, namespace), heard, silent: watch::Sender::default() }
    }

    /// Notes that the API server has delivered something.
    pub(super) fn heard(&self) {
        *self.last() = Instant::now();
    }

    /// Changes whenever the API server does not answer, and then holds the reason.
    pub(super) fn silent(&self) -> watch::Receiver<String> {
        self.silent.subscribe()
    }

    /// Asks the API server whenever it is silent for too long, and never ends by itself.
    pub(super) async fn keep(&self) {
        loop {
            let due = *self.last() + QUIET;
            if Instant::now() < due {
                sleep_until(due).await;
                continue;
            }
            if let Err(error) = self.ask().await {
                self.silent.send_replace(in_words(&error));
            }
            self.heard();
        }
    }

    async fn ask(&self) -> kube::Result<()> {
        let one = ListParams::default().limit(1);
        match within(self.objects.list(&one)).await {
            // A refusal is an answer.
            Err(error) if code(&error).is_some_and(|code| code < TROUBLE) => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
