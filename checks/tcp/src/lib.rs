//! Connects to targets, with TLS or a conversation if wanted, and judges how that went.

use std::time::{Duration, SystemTime};

use aviary_guest::targets::{LabelledTarget, TargetSeries};
use aviary_guest::tls::TlsSettings;
use aviary_guest::{Check, Outcome};

pub use judge::judge;
pub use settings::Settings;

use crate::judge::{Failure, Seen};

pub mod bytes;
mod conversation;
mod heard;
pub mod judge;
pub mod presets;
pub mod settings;
pub mod step;

impl Check for Settings {
    fn init(&mut self) -> Result<(), String> {
        self.validate()
    }

    fn poll(&mut self) -> Result<Outcome, String> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let tls = TlsSettings::from(self.tls.clone().unwrap_or_default()).client("settings.tls");
        let talk = |target: &LabelledTarget| match &tls {
            Ok(tls) => conversation::hold(self, tls, &target.name),
            Err(reason) => Err(Failure::at("TLS")(reason.as_str())),
        };
        let seen: Vec<_> = self.targets.iter().map(talk).collect();
        let mut outcome = Vec::new();
        for (index, (target, seen)) in self.targets.iter().zip(&seen).enumerate() {
            record(&mut self.series, index, target, seen.as_ref().ok());
            outcome.push(judge(&self.expect, target, seen, now));
        }
        Ok(Outcome::from_targets(outcome))
    }
}

/// The most series of a target.
const SERIES: usize = 3;

/// Sets the series of a target. Where the conversation failed they are 0.
fn record(series: &mut TargetSeries, index: usize, target: &LabelledTarget, seen: Option<&Seen>) {
    let mut set = |number, metric, value| {
        series.gauge(index * SERIES + number, metric, &target.name, &target.labels, None, value);
    };
    let connect = seen.map_or(0.0, |seen| seen.connect.as_secs_f64());
    set(0, ("tcp_connect_duration_seconds", "How long resolving and connecting took."), connect);
    if let Some(handshake) = seen.and_then(|seen| seen.handshake) {
        set(1, ("tcp_tls_duration_seconds", "How long the TLS handshake took."), handshake.as_secs_f64());
    }
    if let Some(session) = seen.and_then(|seen| seen.session.as_ref()) {
        let end = (
            "tcp_certificate_expiry_timestamp_seconds",
            "When the certificate of the server, or one of its path, ends; Unix seconds.",
        );
        set(2, end, session.first_to_end.not_after as f64);
    }
}

aviary_guest::export!(Settings);
