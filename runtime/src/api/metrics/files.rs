//! The metrics of files that the daemon reads again when they change.

use super::samples::{flag, number, unix};
use crate::board::Board;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType::Gauge};
use std::{fmt, sync::Arc};

/// The collector of the metrics of files that are read again. Writes nothing if the daemon has no such files.
#[derive(Debug)]
pub(super) struct Files(pub(super) Arc<Board>);

impl Collector for Files {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let files = self.0.files.all();
        if files.is_empty() {
            return Ok(());
        }
        let name = "aviary_file_last_reload_successful";
        let help = "Whether the tokens or the certificate in use are those in their files.";
        let mut metric = out.encode_descriptor(name, help, None, Gauge)?;
        for (what, reload) in &files {
            number(metric.encode_family(&[("file", *what)])?, Gauge, flag(reload.is_good))?;
        }
        let Some(expires) = files.iter().find_map(|(_, reload)| reload.expires) else { return Ok(()) };
        let name = "aviary_tls_certificate_expiry_timestamp_seconds";
        let help = "When the certificate of the HTTP side ends.";
        number(out.encode_descriptor(name, help, None, Gauge)?, Gauge, unix(expires))
    }
}
