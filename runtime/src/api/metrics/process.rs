//! The daemon itself: its version and what the machine says about its process.

use super::exposition::{Exposition, labels};
use crate::usage::metrics::Kind;
use procfs::{
    ProcResult, boot_time_secs,
    process::{Process, Stat},
    ticks_per_second,
};

/// Writes the version, and what `/proc` tells; what cannot be read is left out.
pub(super) fn write(out: &mut Exposition) {
    let help = "The version of the daemon; always 1.";
    let version = labels(&[("version", env!("CARGO_PKG_VERSION"))]);
    out.family(Kind::Gauge, "aviary_build_info", help).number("", &version, 1.0);
    let Ok(process) = Process::myself() else { return };
    let stat = process.stat();
    let facts = [
        (
            Kind::Counter,
            "process_cpu_seconds",
            "CPU time of the daemon.",
            stat.as_ref().ok().map(cpu_seconds),
        ),
        (
            Kind::Gauge,
            "process_resident_memory_bytes",
            "Memory of the daemon.",
            resident_bytes(&process).ok(),
        ),
        (Kind::Gauge, "process_open_fds", "Open file descriptors of the daemon.", open_files(&process).ok()),
        (
            Kind::Gauge,
            "process_start_time_seconds",
            "When the daemon started.",
            stat.as_ref().ok().and_then(start_time),
        ),
    ];
    for (kind, name, help, value) in facts {
        if let Some(value) = value {
            out.family(kind, name, help).number("", "", value);
        }
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
