//! Whether the API server still answers while nothing is heard of it.

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

/// After so long a silence it is asked. It has 10 s to answer, so that it is missed within 30 s; and it is asked
/// four times a minute at most, however many namespaces are followed.
const QUIET: Duration = Duration::from_secs(15);
/// What an API server in trouble answers with, or who stands before it.
const TROUBLE: u16 = 500;

/// Asks the API server for a sign of life where no watch hears of it, for all watches together.
pub(super) struct Liveness {
    objects: Objects,
    heard: Mutex<Instant>,
    /// Why it did not answer.
    silent: watch::Sender<String>,
}

impl Liveness {
    /// Asks for ConfigMaps in a namespace, or in all.
    pub(super) fn new(client: &Client, namespace: Option<&str>) -> Self {
        let heard = Mutex::new(Instant::now());
        Self { objects: Objects::new(client, namespace), heard, silent: watch::Sender::default() }
    }

    /// Something was heard of it.
    pub(super) fn heard(&self) {
        *self.last() = Instant::now();
    }

    /// Changes when it does not answer, and tells why.
    pub(super) fn silent(&self) -> watch::Receiver<String> {
        self.silent.subscribe()
    }

    /// Asks for as long as it is polled.
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
