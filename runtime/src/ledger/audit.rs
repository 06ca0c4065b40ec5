//! Keeps the book as it should be: somebody may delete the ConfigMap, and lines of an earlier version may stand under
//! other keys.

use super::{
    Ledger,
    book::{Book, Line, NAME},
};
use crate::cluster::in_words;
use std::{collections::BTreeMap, future::pending, time::Duration};
use tokio::time::sleep;

/// How often the book is read while something should stand in it.
const PERIOD: Duration = Duration::from_secs(60);

impl Ledger {
    /// Corrects the book now and then, for as long as it is polled.
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

    /// Writes what is missing, and strikes out what should not stand there.
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

    /// All lines that should stand in the book, by their keys.
    fn wanted(&self) -> BTreeMap<String, Line> {
        let state = self.state();
        let lines = state.places.iter().flat_map(|(check, places)| {
            places.iter().map(|(place, uid)| Line::new(check, place, uid.as_deref()))
        });
        lines.map(|line| (line.name(), line)).collect()
    }
}
