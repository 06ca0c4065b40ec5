//! The daemon itself: its version and what the machine says about its process.

use super::exposition::{Exposition, labels};
use crate::usage::metrics::Kind;
use std::fs;

/// Ticks per second of the times in `/proc`, which is the same on every Linux.
const TICKS: f64 = 100.0;

/// Writes the version, and what `/proc` tells.
pub(super) fn write(out: &mut Exposition) {
    let help = "The version of the daemon; always 1.";
    let version = labels(&[("version", env!("CARGO_PKG_VERSION"))]);
    out.family(Kind::Gauge, "aviary_build_info", help).number("", &version, 1.0);
    let [stat, status, boot] = ["/proc/self/stat", "/proc/self/status", "/proc/stat"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let facts = [
        (Kind::Counter, "process_cpu_seconds", "CPU time of the daemon.", cpu_seconds(&stat)),
        (Kind::Gauge, "process_resident_memory_bytes", "Memory of the daemon.", resident_bytes(&status)),
        (Kind::Gauge, "process_open_fds", "Open file descriptors of the daemon.", open_files()),
        (Kind::Gauge, "process_start_time_seconds", "When the daemon started.", start_time(&stat, &boot)),
    ];
    for (kind, name, help, value) in facts {
        if let Some(value) = value {
            out.family(kind, name, help).number("", "", value);
        }
    }
}

/// A field of `/proc/self/stat`, numbered as in proc(5); the second may itself hold spaces.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn start_time(stat: &str, boot: &str) -> Option<f64> {
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + field(stat, 22)? / TICKS)
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_and_brackets_shifts_no_field() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 4 0 3000 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(start_time(stat, "cpu 1\nbtime 1000\n"), Some(1030.0));
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2 kB\n"), Some(2048.0));
    }

    #[test]
    fn files_that_cannot_be_read_leave_gaps_and_no_errors() {
        assert_eq!((cpu_seconds(""), start_time("", ""), resident_bytes("")), (None, None, None));
    }
}
