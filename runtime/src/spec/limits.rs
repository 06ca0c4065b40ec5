//! What one check may spend.

use super::{Size, TimeSpan};
use std::{ops::RangeInclusive, time::Duration};

/// What one check may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of all linear memories together.
    pub memory: Size,
    /// Of one poll or cleanup.
    pub cpu: Duration,
    /// Of one init, which may have tables to build.
    pub init_cpu: Duration,
    /// Calls to capabilities in one run.
    pub host_calls: u32,
}

/// A limit outside of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Too little for any guest to start, or more than one check may have.
    #[error("limits.memory is {0}: choose between {least} and {most}", least = MEMORY.start(), most = MEMORY.end())]
    Memory(Size),
    /// Less than the sandbox can measure, or more than one check may have.
    #[error("limits.cpu is {span}: choose between {least} and {most}", span = TimeSpan::from(*.0),
        least = TimeSpan::from(*CPU.start()), most = TimeSpan::from(*CPU.end()))]
    Cpu(Duration),
    /// None at all, or more than one check may have.
    #[error("limits.hostCalls is {0}: choose between {least} and {most}", least = HOST_CALLS.start(), most = HOST_CALLS.end())]
    HostCalls(u32),
}

/// A Rust guest starts with 17 pages of 64 KiB.
const MEMORY: RangeInclusive<Size> = Size::mebibytes(2)..=Size::mebibytes(1024);

/// The epoch ticks every 10 ms.
const CPU: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

const HOST_CALLS: RangeInclusive<u32> = 1..=10_000;

const INIT_CPU: Duration = Duration::from_secs(5);

impl Limits {
    /// The limits that a manifest may choose; `Err` for the first that is out of its range.
    /// Init gets five seconds of CPU, or as much as a poll if that is more.
    pub fn new(memory: Size, cpu: Duration, host_calls: u32) -> Result<Self, LimitsError> {
        if !MEMORY.contains(&memory) {
            return Err(LimitsError::Memory(memory));
        }
        if !CPU.contains(&cpu) {
            return Err(LimitsError::Cpu(cpu));
        }
        if !HOST_CALLS.contains(&host_calls) {
            return Err(LimitsError::HostCalls(host_calls));
        }
        Ok(Self { memory, cpu, init_cpu: INIT_CPU.max(cpu), host_calls })
    }
}

impl Default for Limits {
    /// 64 MiB, a second of CPU (five for init), 50 host calls.
    fn default() -> Self {
        Self { memory: Size::mebibytes(64), cpu: Duration::from_secs(1), init_cpu: INIT_CPU, host_calls: 50 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Limits::new(Size::mebibytes(64), Duration::from_secs(1), 50), Ok(Limits::default()));
    }

    #[test]
    fn init_never_gets_less_cpu_than_a_poll() {
        let limits = Limits::new(Size::mebibytes(64), Duration::from_secs(30), 50).expect("valid");
        assert_eq!(limits.init_cpu, Duration::from_secs(30));
    }

    #[test]
    fn limits_out_of_range_are_refused_with_the_range() {
        let (memory, cpu) = (Size::mebibytes(64), Duration::from_secs(1));
        for (limits, message) in [
            (Limits::new(Size::bytes(0), cpu, 50), "limits.memory is 0: choose between 2Mi and 1Gi"),
            (Limits::new(Size::mebibytes(2048), cpu, 50), "limits.memory is 2Gi: choose between 2Mi and 1Gi"),
            (Limits::new(memory, Duration::ZERO, 50), "limits.cpu is 0s: choose between 10ms and 1m"),
            (
                Limits::new(memory, Duration::from_secs(61), 50),
                "limits.cpu is 1m1s: choose between 10ms and 1m",
            ),
            (Limits::new(memory, cpu, 0), "limits.hostCalls is 0: choose between 1 and 10000"),
            (Limits::new(memory, cpu, 10_001), "limits.hostCalls is 10001: choose between 1 and 10000"),
        ] {
            assert_eq!(limits.expect_err("out of range").to_string(), message);
        }
    }
}
