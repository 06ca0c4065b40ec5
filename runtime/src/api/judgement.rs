//! The judgement of several checks together, which `/health` and the metric `aviary_cluster_healthy` share.

use crate::{
    board::{CheckState, View},
    manifest::Severity,
};
use axum::http::StatusCode;

/// The judgement of several checks together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Every critical check passes, warns or is suspended.
    Healthy,
    /// No critical check fails, but one is unknown or stale.
    Unsure,
    /// A critical check fails.
    Failing,
    /// There are no checks to judge, and the daemon is not ready.
    NotReady,
}

impl Judgement {
    /// The status code with which `/health` answers.
    pub(super) fn code(self) -> StatusCode {
        match self {
            Self::Healthy => StatusCode::OK,
            Self::Unsure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Failing | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Judges several checks together, as [`judge`] does. Checks that have only just arrived and not run yet are
/// left out.
pub(super) fn judge_settled<'a>(views: impl IntoIterator<Item = &'a View>, is_ready: bool) -> Judgement {
    judge(views.into_iter().filter(|view| !view.settling), is_ready)
}

/// Judges these checks together. Checks of severity `warning` never decide. Without any check, the daemon has
/// to be ready for [`Judgement::Healthy`].
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
