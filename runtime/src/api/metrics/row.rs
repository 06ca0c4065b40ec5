//! The state of one check for one scrape.

use super::samples::labels;
use crate::{
    board::{Entry, View},
    outcome::Target,
};
use std::sync::Arc;

/// The state of one check at the moment of the scrape.
pub(super) struct Row {
    /// The entry of the check on the board.
    pub(super) entry: Arc<Entry>,
    /// A snapshot of the check's state, taken once for all its metrics.
    pub(super) view: View,
}

impl Row {
    /// The state of a check now.
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self { view: entry.view(), entry }
    }

    /// The labels `namespace` and `check`, each with its value.
    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        labels(&self.entry.key)
    }

    /// Whether the check comes from a source that the operator controls or trusts.
    pub(super) fn is_trusted(&self) -> bool {
        self.view.check.program.authorization.series().is_none()
    }

    /// The targets of the latest outcome; empty without an outcome.
    pub(super) fn targets(&self) -> &[Target] {
        match self.view.latest.as_ref().map(|run| run.verdict.as_ref()) {
            Some(Ok(outcome)) => &outcome.targets,
            _ => &[],
        }
    }
}
