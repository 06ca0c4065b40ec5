//! What the kernel tells about a process.

use anyhow::{Context, Result};
use std::{fs, time::Duration};

/// Length of the ticks that `/proc/<pid>/stat` counts in, which is the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process since its start, over all of its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat has no times: {stat}"))?;
    Ok(TICK * ticks)
}

/// Bytes of memory that a process holds now.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("/proc/{pid}/status has no VmRSS"))? * 1024)
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))
}

/// User and system time of all threads, which follow the name in brackets as 12th and 13th.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest.split(' ').skip(11);
    Some(times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_add_up_whatever_the_process_is_called() {
        assert_eq!(ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 9 9"), Some(200));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        assert!(resident(std::process::id()).expect("on Linux") > 100_000);
    }
}
