//! What all checks together say; the same for `/health` and for `aviary_cluster_healthy`.

use crate::{
    board::{CheckState, View},
    manifest::Severity,
};
use axum::http::StatusCode;

/// What some checks together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Every critical check passes, warns or is suspended.
    Healthy,
    /// No critical check fails, but one is unknown or stale.
    Unsure,
    /// A critical check fails.
    Failing,
    /// There are no checks, and the sources have not all been read.
    NotReady,
}

impl Judgement {
    /// How `/health` answers.
    pub(super) fn code(self) -> StatusCode {
        match self {
            Self::Healthy => StatusCode::OK,
            Self::Unsure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Failing | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// As [`judge`], for checks together: one that has only just arrived has a moment to begin.
pub(super) fn judge_settled<'a>(views: impl IntoIterator<Item = &'a View>, is_ready: bool) -> Judgement {
    judge(views.into_iter().filter(|view| !view.settling), is_ready)
}

/// Judges checks. Those of severity `warning` are shown but never decide.
pub(super) fn judge<'a>(views: impl IntoIterator<Item = &'a View>, is_ready: bool) -> Judgement {
    let mut views = views.into_iter().peekable();
    if views.peek().is_none() && !is_ready {
        return Judgement::NotReady;
    }
    let critical = views.filter(|view| view.check.severity == Severity::Critical);
    critical.fold(Judgement::Healthy, |judgement, view| match (judgement, view.standing) {
        (Judgement::Failing, _) | (_, CheckState::Fail) => Judgement::Failing,
        (_, CheckState::Unknown | CheckState::Stale) => Judgement::Unsure,
        (judgement, CheckState::Pass | CheckState::Warn | CheckState::Suspended) => judgement,
    })
}
