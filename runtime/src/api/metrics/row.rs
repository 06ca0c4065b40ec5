//! One check, as the metrics tell of it.

use super::samples::labels;
use crate::{
    board::{Entry, View},
    outcome::Target,
};
use std::sync::Arc;

/// One check at the moment of the scrape.
pub(super) struct Row {
    /// Where it stands on the board.
    pub(super) entry: Arc<Entry>,
    /// What is told of it.
    pub(super) view: View,
}

impl Row {
    /// The check as it stands now.
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self { view: entry.view(), entry }
    }

    /// Its `namespace` and `check`.
    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        labels(&self.entry.key)
    }

    /// Whether it comes from where the operator writes, or vouches for who does.
    pub(super) fn is_trusted(&self) -> bool {
        self.view.check.program.authorization.series().is_none()
    }

    /// The targets of its latest outcome.
    pub(super) fn targets(&self) -> &[Target] {
        match self.view.latest.as_ref().map(|run| run.verdict.as_ref()) {
            Some(Ok(outcome)) => &outcome.targets,
            _ => &[],
        }
    }
}
