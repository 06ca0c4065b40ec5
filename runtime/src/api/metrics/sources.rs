//! Whether the sources of checks can be reached.

use super::{
    checks::{flag, unix},
    exposition::{Exposition, labels},
};
use crate::{board::Board, usage::metrics::Kind};

/// Writes the sources on the board.
pub(super) fn write(out: &mut Exposition, board: &Board) {
    let sources: Vec<_> =
        board.sources().into_iter().map(|source| (labels(&[("source", source.name)]), source)).collect();
    let help = "Whether all of the source can be reached.";
    let mut family = out.family(Kind::Gauge, "aviary_source_connected", help);
    for (labels, source) in &sources {
        family.number(labels, "", flag(source.connected));
    }
    let help = "When all of the source was last known to be up to date.";
    let mut family = out.family(Kind::Gauge, "aviary_source_last_contact_timestamp_seconds", help);
    for (labels, source) in &sources {
        if let Some(last_contact) = source.last_contact {
            family.number(labels, "", unix(last_contact));
        }
    }
    let help = "ConfigMaps of the source that are refused, as their namespace may not have so many checks.";
    let mut family = out.family(Kind::Gauge, "aviary_source_refused_configmaps", help);
    for (labels, source) in &sources {
        family.number(labels, "", source.refused as f64);
    }
}
