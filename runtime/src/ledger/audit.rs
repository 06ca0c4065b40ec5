//! The audit, which keeps the ledger's ConfigMap as it should be. Somebody may delete it, and lines of an
//! earlier version may have other keys.

use super::{
    Ledger,
    book::{Book, Line, NAME},
};
use crate::cluster::in_words;
use std::{collections::BTreeMap, future::pending, time::Duration};
use tokio::time::sleep;

/// How often the ConfigMap is read while it should have lines.
const PERIOD: Duration = Duration::from_secs(60);

impl Ledger {
    /// Corrects the ConfigMap once in a [`PERIOD`], for as long as the future is polled.
    pub(super) async fn audit(&self) {
        let Some(book) = &self.book else { return pending().await };
        loop {
            if self.state().take_doubt()
                && let Err(error) = self.correct(book).await
            {
                self.state().is_in_doubt = true;
                tracing::debug!("cannot see whether the ledger is as it should be: {}", in_words(&error));
            }
            sleep(PERIOD).await;
        }
    }

    /// Writes the lines that the ConfigMap lacks, and removes those that should not be there.
    async fn correct(&self, book: &Book) -> Result<(), kube::Error> {
        let mut found = book.read().await?.lines;
        let wanted = self.wanted();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(name, line)| found.get(*name) != Some(line))
            .map(|(_, line)| line)
            .collect();
        if !missing.is_empty() {
            tracing::info!(lines = missing.len(), "writing again what the ConfigMap {NAME} lacks");
            book.add(missing).await?;
        }
        found.retain(|name, _| !wanted.contains_key(name));
        self.strike(found).await;
        Ok(())
    }

    /// All lines that the ConfigMap should have, by their keys.
    fn wanted(&self) -> BTreeMap<String, Line> {
        let state = self.state();
        let lines = state.places.iter().flat_map(|(check, places)| {
            places.iter().map(|(place, uid)| Line::new(check, place, uid.as_deref()))
        });
        lines.map(|line| (line.name(), line)).collect()
    }
}
