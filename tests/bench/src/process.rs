//! The figures that the kernel tells about a process.

use anyhow::{Context, Result};
use std::{fs, time::Duration};

/// The length of the ticks in which `/proc/<pid>/stat` counts, the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of a process since its start, over all of its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat has no times: {stat}"))?;
    Ok(TICK * ticks)
}

/// The memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// The size of all pages that are mapped and in memory.
    pub(crate) resident: u64,
    /// The size of all pages in memory, where each is divided by the number of its mappings.
    pub(crate) proportional: u64,
}

/// The memory that a process holds now.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let rollup = read(pid, "smaps_rollup")?;
    let bytes = |key| bytes(&rollup, key).with_context(|| format!("/proc/{pid}/smaps_rollup has no {key}"));
    Ok(Memory { resident: bytes("Rss:")?, proportional: bytes("Pss:")? })
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))
}

/// The user and system time of all threads in ticks, which follow the name in brackets as 12th and 13th
/// field.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest.split(' ').skip(11);
    Some(times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?)
}

/// The bytes in a line of `smaps_rollup` such as `Rss:  12 kB`.
fn bytes(rollup: &str, key: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
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
    fn a_page_that_is_shared_counts_less_than_one_that_is_not() {
        let memory = memory(std::process::id()).expect("on Linux");
        assert!(memory.resident > 100_000 && memory.proportional <= memory.resident, "{memory:?}");
    }
}
