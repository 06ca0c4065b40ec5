//! The daemon's own files that may change.

use super::{
    checks::{flag, unix},
    exposition::{Exposition, labels},
};
use crate::{board::Board, usage::metrics::Kind};

/// Writes how reading them went; nothing where there are none.
pub(super) fn write(out: &mut Exposition, board: &Board) {
    let files = board.files.all();
    if files.is_empty() {
        return;
    }
    let help = "Whether the tokens or the certificate in use are those in their files.";
    let mut family = out.family(Kind::Gauge, "aviary_file_last_reload_successful", help);
    for (what, reload) in &files {
        family.number(&labels(&[("file", what)]), "", flag(reload.is_good));
    }
    if let Some(expires) = files.iter().find_map(|(_, reload)| reload.expires) {
        let help = "When the certificate of the HTTP side ends.";
        let mut family = out.family(Kind::Gauge, "aviary_tls_certificate_expiry_timestamp_seconds", help);
        family.number("", "", unix(expires));
    }
}
