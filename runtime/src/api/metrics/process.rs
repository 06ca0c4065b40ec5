//! The metrics of the daemon itself: its version, and those of its process.

use super::samples::number;
use procfs::{
    ProcResult, boot_time_secs,
    process::{Process, Stat},
    ticks_per_second,
};
use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    metrics::MetricType::{Counter, Gauge},
};
use std::fmt;

/// The collector of the version and of the process metrics from `/proc`. Values that cannot be read are left
/// out.
#[derive(Debug)]
pub(super) struct Daemon;

impl Collector for Daemon {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The version of the daemon; always 1.";
        let mut version = out.encode_descriptor("aviary_build_info", help, None, Gauge)?;
        number(version.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?, Gauge, 1.0)?;
        let Ok(process) = Process::myself() else { return Ok(()) };
        let stat = process.stat().ok();
        let (cpu, start) = (stat.as_ref().map(cpu_seconds), stat.as_ref().and_then(start_time));
        let (resident, open) = (resident_bytes(&process).ok(), open_files(&process).ok());
        let metrics = [
            (Counter, "process_cpu_seconds", "CPU time of the daemon.", cpu),
            (Gauge, "process_resident_memory_bytes", "Memory of the daemon.", resident),
            (Gauge, "process_open_fds", "Open file descriptors of the daemon.", open),
            (Gauge, "process_start_time_seconds", "When the daemon started.", start),
        ];
        for (kind, name, help, value) in metrics {
            if let Some(value) = value {
                number(out.encode_descriptor(name, help, None, kind)?, kind, value)?;
            }
        }
        Ok(())
    }
}

fn cpu_seconds(stat: &Stat) -> f64 {
    (stat.utime + stat.stime) as f64 / ticks_per_second() as f64
}

fn start_time(stat: &Stat) -> Option<f64> {
    Some(boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks_per_second() as f64)
}

fn resident_bytes(process: &Process) -> ProcResult<f64> {
    const KILOBYTE: f64 = 1024.0;
    Ok(process.status()?.vmrss.unwrap_or_default() as f64 * KILOBYTE)
}

fn open_files(process: &Process) -> ProcResult<f64> {
    Ok(process.fd_count()? as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn the_figures_of_this_process_are_plausible() {
        let process = Process::myself().expect("a process");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
        let age = now - start_time(&process.stat().expect("its figures")).expect("a start");
        assert!((-2.0..3600.0).contains(&age), "{age} s");
        let resident = resident_bytes(&process).expect("its memory");
        assert!((1e6..1e11).contains(&resident), "{resident} bytes");
        assert!(open_files(&process).expect("its files") >= 3.0);
        assert!((0.0..3600.0).contains(&cpu_seconds(&process.stat().expect("its figures"))));
    }
}
